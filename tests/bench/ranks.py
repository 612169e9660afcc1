"""What many processes bring: steps of one process and of several, and a model of them that says where more processes stop paying.

Run by `scripts/bench --processes`; it needs numpy and SIGNET (the binary). Nothing else should run meanwhile.

The model: a step of W processes on a batch of B takes as long as one process takes for B / W images, and an all-gather of n
numbers among W processes, a (W - 1) + b n (W - 1) seconds as a ring has it. The former is measured by one process with one thread,
a and b are fitted to exchanges of two, four and eight processes of this machine. Where those are more than its processors they
wait for each other, so the exchange is rather over- than underestimated.
"""
import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile

import numpy

SIGNET = os.environ["SIGNET"]
TRAIN = 4096

EXPERIMENT = f"""version: 1
threads: 1
device: cpu
data:
  source: {{kind: npy, images: X.npy, labels: Y.npy}}
  image: {{height: 20, width: 20}}
  split: {{kind: stratified, train: 0.8, val: 0.1, test: 0.1}}
model: MODEL
train: {{epochs: 4, batch_size: 32, optimizer: {{kind: sgd, lr: 0.01, momentum: 0.9}}}}
checkpoint: {{every: 1000000 steps}}
log: {{samples: none, report: false, csv: false}}
"""

MODELS = {
    "dnn, 481,802 weights": "{kind: dnn, hidden: [600, 400], dropout: 0}",
    "cnn, 6,402 weights": "{kind: cnn, blocks: [{filters: 16, pool: 2}, {filters: 32, pool: 2}], hidden: [], dropout: 0}",
}
# For exchanges of many sizes; the work is next to nothing.
WIDTHS = [8, 256, 1024, 4096]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Lab:
    """A folder for runs."""

    def __init__(self, folder, repeats):
        self.folder, self.repeats, self.runs = pathlib.Path(folder), repeats, 0
        chance, images = numpy.random.default_rng(5), TRAIN * 5 // 4
        numpy.save(self.folder / "X.npy", chance.random((images, 20, 20), dtype=numpy.float32))
        numpy.save(self.folder / "Y.npy", numpy.arange(images) % 2)

    def steps(self, model, world, *keys):
        """Milliseconds of a step, and of the exchange in it, of rank 0: the medians over the epochs but the first."""
        (self.folder / "own.yaml").write_text(EXPERIMENT.replace("MODEL", model))
        self.runs += 1
        run, port = self.folder / f"run-{self.runs}", free_port()
        command = [SIGNET, "train", "own.yaml", "--run", str(run), "--quiet", *(word for key in keys for word in ("-s", key))]
        address = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started = [
            subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **address, "RANK": str(rank)}, stdout=subprocess.DEVNULL
            )
            for rank in range(world)
        ]
        codes = [process.wait() for process in started]
        if any(codes):
            raise SystemExit(f"{' '.join(command)} ended with {codes}")
        read = lambda log: [json.loads(line) for line in (run / log).read_text().splitlines()]
        steps, timing = read("metrics.jsonl")[0]["step"], read("timing.jsonl")[1:]
        of = lambda key: statistics.median(1000 * line.get(key, 0) / steps for line in timing)
        return of("steps"), of("exchange")

    def repeated(self, *arguments):
        found = [self.steps(*arguments) for _ in range(self.repeats)]
        return tuple(statistics.median(values) for values in zip(*found)), [step for step, _ in found]


def exchange(lab):
    """The milliseconds a for each process, and b for each number and process, of an all-gather."""
    rows, times = [], []
    for width in WIDTHS:
        model = f"{{kind: ann, hidden: [{width}], dropout: 0}}"
        numbers = 400 * width + width + 2 * width + 2
        for world in (2, 4, 8):
            _, exchanged = lab.steps(model, world, "train.batch_size=128")
            rows.append([world - 1, numbers * (world - 1)])
            times.append(exchanged)
            print(f"all-gather of {numbers:,} numbers among {world}: {exchanged:.2f} ms", flush=True)
    weights = 1 / numpy.array(times)  # relative errors count alike
    (a, b), *_ = numpy.linalg.lstsq(numpy.array(rows) * weights[:, None], numpy.ones(len(times)), rcond=None)
    return max(a, 0), max(b, 0)


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def measure(lab, a, b):
    """A table of what was measured, and one of what the model says."""
    measured = ["| model | batch | one process, ms | two, tree | two, flat | of it exchange | times as fast, tree | flat |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
    predicted = ["| model | batch | 1 | 2 | 4 | 8 | 16 | 32 | 64 | pays up to |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for name, model in MODELS.items():
        numbers = int(name.split(", ")[1].split()[0].replace(",", ""))
        compute = {size: lab.repeated(model, 1, f"train.batch_size={size}")[0][0] for size in (32, 64, 128, 256, 512, 1024, 2048)}
        for batch in (32, 256, 2048):
            key = f"train.batch_size={batch}"
            (_, _), one = lab.repeated(model, 1, key)
            (_, exchanged), tree = lab.repeated(model, 2, key)
            _, flat = lab.repeated(model, 2, key, "train.reduction=flat")
            ratio = [statistics.median(one) / statistics.median(two) for two in (tree, flat)]
            measured.append(
                f"| {name} | {batch} | {spread(one)} | {spread(tree)} | {spread(flat)} | {exchanged:.2f} | {ratio[0]:.2f} | {ratio[1]:.2f} |"
            )
            print(measured[-1], flush=True)
        for batch in (256, 2048):
            fastest = lambda world: compute[batch] / (at(compute, batch / world) + a * (world - 1) + b * numbers * (world - 1))
            worlds = [1, 2, 4, 8, 16, 32, 64]
            speeds = [1.0] + [fastest(world) for world in worlds[1:]]
            pays = 1
            for world, before, after in zip(worlds[1:], speeds, speeds[1:]):
                if after < 1.2 * before:
                    break
                pays = world
            predicted.append(f"| {name} | {batch} | " + " | ".join(f"{speed:.2f}" for speed in speeds) + f" | {pays} |")
    return measured, predicted


def at(compute, size):
    """Milliseconds of one process for `size` images, between those that were measured; below them, that of the smallest."""
    sizes = sorted(compute)
    return float(numpy.interp(size, sizes, [compute[known] for known in sizes]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each kind, of which the median counts")
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(folder, parser.parse_args().repeats)
        a, b = exchange(lab)
        print(f"a {a:.3f} ms for each further process, b {b * 1e6:.2f} ms for each million numbers and further process")
        sharded = [lab.repeated(next(iter(MODELS.values())), 1, "train.batch_size=2048", f"train.shards={count}")[1] for count in (1, 8)]
        print("one process, batch 2048, dnn: one shard", spread(sharded[0]), "ms; eight", spread(sharded[1]), "ms")
        measured, predicted = measure(lab, a, b)
        print("\nMeasured:\n\n" + "\n".join(measured) + "\n\nPredicted times as fast as one process:\n\n" + "\n".join(predicted))


if __name__ == "__main__":
    main()
