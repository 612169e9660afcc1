"""Measures signet against PyTorch in Python; scripts/bench calls it. See measure.py for what, and results.py for the table."""
import argparse
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import time

import results
import machine
import measure
from processes import Failure, run

ROOT = pathlib.Path(__file__).parent.parent.parent
# Both programs shall choose their threads by themselves.
THREAD_VARIABLES = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "SLURM_CPUS_PER_TASK", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure signet against PyTorch on this machine.")
    parser.add_argument("--quick", action="store_true", help="two pairs of short measurements, in three minutes")
    parser.add_argument("--only", metavar="PARTS", help=f"comma-separated: {', '.join(measure.SECTIONS)}")
    parser.add_argument("--pairs", type=int, metavar="N", help="pairs per row [default: 5, or 2 with --quick]")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--readme", action="store_true", help=f"replace what stands between {' and '.join(results.MARKERS)} in README.md")
    parser.add_argument("--signet", type=pathlib.Path, default=ROOT / "target/release/signet", metavar="PATH", help="the program to measure")
    parsed = parser.parse_args()
    parsed.only = (parsed.only or ",".join(measure.SECTIONS)).split(",")
    for part in parsed.only:
        if part not in measure.SECTIONS:
            parser.error(f"--only: {part} is not one of {', '.join(measure.SECTIONS)}")
    if parsed.pairs is not None and parsed.pairs < 1:
        parser.error(f"--pairs: {parsed.pairs} is not a number from 1 on")
    if parsed.json and not parsed.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder {parsed.json.parent}")
    return parsed


def needed(signet):
    """The folder of class folders, once everything that is needed is known to be there."""
    if not signet.is_file():
        raise Failure(f"there is no program {signet}; build it with `cargo build --release --locked`, or name one by --signet PATH")
    if importlib.util.find_spec("torch") is None:
        raise Failure(f"{sys.executable} has no PyTorch; start this by scripts/bench, which installs it under .interop/")
    data = os.environ.get("SIGNET_DATA", ROOT / "data/sign-language-digits")
    root = pathlib.Path(data).absolute() / "Dataset"
    if not root.is_dir():
        raise Failure(f"no images in {root}; fetch them with `signet data fetch --out data/sign-language-digits`, or set SIGNET_DATA")
    os.environ["SIGNET_DATA"] = str(root.parent)
    return root


def measured(arguments, root):
    """Every row, and what the figures were measured on."""
    doubts = machine.warnings()
    for doubt in doubts:
        measure.say(f"warning: {doubt}; the figures will not be worth much")
    for variable in THREAD_VARIABLES:
        if os.environ.pop(variable, None) is not None:
            measure.say(f"{variable} is not heeded: both programs choose their threads by themselves")
    place = ROOT / "target"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder:
        bench = measure.Bench(arguments.signet.absolute(), root, pathlib.Path(folder), arguments.quick, arguments.pairs)
        try:
            rows = [row for part in measure.SECTIONS if part in arguments.only for row in measure.SECTIONS[part](bench)]
        finally:
            bench.worker.close()
    version = run([arguments.signet.absolute(), "--version"]).text.strip()
    return {
        "machine": machine.describe(bench.versions, version),
        "quick": arguments.quick,
        "pairs": bench.pairs,
        "warnings": doubts,
        "left_out": bench.left_out,
        "rows": rows,
    }


def page(found):
    """The table with what one must know to read it."""
    sentences = [
        f"Medians of {found['pairs']} pairs{' of short measurements (--quick)' if found['quick'] else ''}, in brackets the range of ratios. {machine.sentence(found['machine'])}",
        *(f"Caution: {doubt}." for doubt in found["warnings"]),
        *(f"Left out: {what}." for what in found["left_out"]),
        *(f"{row.name}: {'; '.join(row.notes)}." for row in found["rows"] if row.notes),
    ]
    return results.table(found["rows"]) + "\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)


def update(readme, text):
    try:
        return results.between_markers(readme.read_text(), text)
    except ValueError as error:
        raise Failure(f"{readme} {error}") from None


def main():
    options, readme = arguments(), ROOT / "README.md"
    if options.readme:
        update(readme, "")  # rather now than after the measurements
    start = time.perf_counter()
    found = measured(options, needed(options.signet))
    text = page(found)
    print(text)
    measure.say(f"this took {time.perf_counter() - start:.0f} s")
    if options.json:
        rows = [row.as_json() for row in found["rows"]]
        options.json.write_text(json.dumps(found | {"rows": rows}, indent=2) + "\n")
    if options.readme:
        readme.write_text(update(readme, text))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped")
