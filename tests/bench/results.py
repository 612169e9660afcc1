"""Figures of paired runs as rows, and rows as tables."""
from dataclasses import asdict, dataclass, field
from statistics import median

MARKERS = ("<!-- bench -->", "<!-- /bench -->")


@dataclass
class Row:
    """One thing measured: numbers of signet, and of each way in PyTorch, pair by pair; smaller is better."""

    name: str
    unit: str
    target: float | None = None  # the least ratio of PyTorch's tuned number to signet's
    at_most: float | None = None  # the most that signet's own number may be
    limit: float | None = None  # what the arithmetic alone takes, in the same unit
    signet: list = field(default_factory=list)
    tuned: dict = field(default_factory=dict)  # numbers by thread count or way; the better one counts
    others: dict = field(default_factory=dict)  # "usual", "compiled"
    notes: list = field(default_factory=list)

    def add(self, way, number, others=False):
        (self.others if others else self.tuned).setdefault(way, []).append(number)

    def better(self):
        """The tuned way with the smaller median, and its numbers."""
        return min(self.tuned.items(), key=lambda item: median(item[1]))

    def ratios(self, theirs):
        """Of each pair: how many times signet's number fits into theirs."""
        return [their / own for their, own in zip(theirs, self.signet)]

    def met(self):
        """Whether every target holds; None without one."""
        verdicts = []
        if self.target is not None:
            verdicts.append(median(self.ratios(self.better()[1])) >= self.target)
        if self.at_most is not None:
            verdicts.append(median(self.signet) <= self.at_most)
        return all(verdicts) if verdicts else None

    def as_json(self):
        way, theirs = self.better()
        ratios = {name: self.ratios(numbers) for name, numbers in {"tuned": theirs, **self.others}.items()}
        share = self.limit / median(self.signet) if self.limit else None
        return asdict(self) | {
            "better": way,
            "ratios": {name: {"median": median(r), "min": min(r), "max": max(r)} for name, r in ratios.items()},
            "share_of_limit": share,
            "met": self.met(),
        }


def number(value):
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ratio(ratios):
    """The median, and the range where there are several."""
    middle = f"{median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f} to {max(ratios):.2f})"


def wanted(row):
    words = []
    if row.target is not None:
        words.append(f"{row.target:g}")
    if row.at_most is not None:
        words.append(f"at most {row.at_most:g} {row.unit}")
    verdict = {True: ": met", False: ": **not met**", None: ""}[row.met()]
    return ", ".join(words) + verdict


HEADER = ["measured", "signet", "PyTorch", "PyTorch / signet", "target", "as most write it / signet", "torch.compile / signet", "share of limit"]


def cells(row):
    way, theirs = row.better()
    others = [ratio(row.ratios(row.others[name])) if name in row.others else "" for name in ["usual", "compiled"]]
    return [
        row.name,
        f"{number(median(row.signet))} {row.unit}",
        f"{number(median(theirs))} {row.unit}, {way}" if way else f"{number(median(theirs))} {row.unit}",
        ratio(row.ratios(theirs)),
        wanted(row),
        *others,
        f"{100 * row.limit / median(row.signet):.0f} %" if row.limit else "",
    ]


def table(rows):
    """A table in Markdown; columns that no row fills are left out."""
    lines = [HEADER, *map(cells, rows)]
    used = [column for column in zip(*lines) if any(column[1:])]
    lines = [f"| {' | '.join(line)} |" for line in zip(*used)]
    return "\n".join([lines[0], "|" + "---|" * len(used), *lines[1:]])


def between_markers(page, text):
    """`page` with `text` in place of what stands between the markers."""
    begin, end = MARKERS
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"needs one line {begin} and, below it, one line {end}")
    before, rest = page.split(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"
