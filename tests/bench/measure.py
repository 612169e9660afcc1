"""What is measured, and how: each function runs signet and PyTorch in turns and answers with rows."""
import csv
import json
import pathlib
import sys
from statistics import median

import machine
import processes
from results import Row

HERE = pathlib.Path(__file__).parent
CONFIGS = HERE.parent.parent / "configs"

# The networks whose steps are timed: 64 x 64 grey images, 64 steps of 64 values for the recurrent ones.
MODELS = {
    "ann": "{kind: ann, hidden: [128, 64]}",
    "dnn": "{kind: dnn, hidden: [128, 64, 32], batch_norm: true}",
    "cnn": "{kind: cnn, blocks: [{filters: 16}, {filters: 32}], hidden: [64]}",
    "rnn": "{kind: rnn, hidden_size: 64, sequence: rows}",
    "lstm": "{kind: lstm, hidden_size: 64, sequence: rows}",
    "gru": "{kind: gru, hidden_size: 64, sequence: rows}",
}
STEP_TARGETS = {"ann": 1.4, "cnn": 2.0, "rnn": 3.0, "lstm": 1.35, "gru": 3.0}
SHIPPED = ["quickstart", "ann", "dnn", "cnn", "rnn", "lstm", "gru"]
SIDE, BATCH, CLASSES = 64, 32, 2
# The first epoch warms up, and a checkpoint is written behind the second.
SKIPPED = 2
# Losses of epochs may differ by this share of the first one: sums of floats in another order, which training amplifies.
SAME_LOSS = {"f32": 0.01, "bf16": 0.1}

# Twelve full batches an epoch. A falling loss is never a larger one, so that no better epoch causes a checkpoint.
STEPS = """version: 1
name: bench
device: cpu
data:
  source: {{kind: class_folders, root: {root}}}
  classes: ["0", "1"]
  per_class: 192
  split: {{kind: stratified, train: 1.0, val: 0, test: 0}}
  normalize: {{mean: [0.65], std: [0.15]}}
model: {model}
train: {{epochs: {epochs}, batch_size: {batch}, precision: {precision}, optimizer: {{kind: adamw, lr: 1.0e-4}}, schedule: {{kind: constant}}}}
checkpoint: {{every: {every}, metric: train.loss, mode: max}}
log: {{csv: false, samples: none}}
"""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """The two programs that are compared, and where they work."""

    def __init__(self, signet, root, folder, quick, pairs):
        self.signet, self.root, self.folder, self.quick = signet, root, folder, quick
        self.pairs = pairs or (2 if quick else 5)
        self.threads = sorted({1, machine.cores()})
        # A cold cache, as whoever compiles a new model has.
        environment = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
        self.worker = processes.Worker(sys.executable, HERE / "worker.py", environment)
        self.versions = self.worker("versions")
        self.best_threads = {}  # by kind of model
        self.left_out = []
        self.made = 0

    def fresh(self, name):
        """A path in the folder that nobody has used."""
        self.made += 1
        return self.folder / f"{name}-{self.made}"

    def train(self, config, *settings, stop=None, until=None):
        """Trains by signet, to epoch `stop` or to the record that `until` waits for. Returns its run directory and what
        the process cost."""
        out = self.fresh("run")
        words = [word for setting in settings for word in ("-s", setting)]
        words += ["--until", stop] if stop else []
        command = [self.signet, "train", config, "--run", out, "--progress", "json", *words]
        return out, processes.run(command, until)

    def script(self, name, *arguments, until=None):
        return processes.run([sys.executable, "-W", "ignore", HERE / name, *arguments], until)

    def turns(self, own, their, pairs=None):
        """Both in turns; the other one begins every other time."""
        for pair in range(pairs or self.pairs):
            for work in [own, their] if pair % 2 == 0 else [their, own]:
                work()

    def steps_config(self, model, epochs, precision="f32", every="1000 epochs"):
        file = self.fresh("steps").with_suffix(".yaml")
        root = json.dumps(str(self.root))
        file.write_text(STEPS.format(root=root, model=model, epochs=epochs, batch=BATCH, precision=precision, every=every))
        return file

    def reference(self, config, *settings):
        """A run whose settings and split the Python takes; it is stopped after its first epoch."""
        out, _ = self.train(config, *settings, stop=1)
        return out


def per_step(seconds, steps):
    return 1000 * median(seconds[SKIPPED:]) / steps


def steps(bench):
    """A row for each kind of network: milliseconds of a training step."""
    precisions = ["f32"]
    if machine.has_bf16():
        precisions.append("bf16")
    else:
        bench.left_out.append("training steps in bf16: this processor has no arithmetic for it")
    if not machine.has_compiler():
        bench.left_out.append("torch.compile: no C++ compiler (CXX, g++ or clang++) was found")
    arrays = bench.fresh("arrays")
    config = bench.steps_config(MODELS["ann"], 1)
    processes.run([bench.signet, "data", "npy", config, arrays])
    return [steps_of(bench, kind, precision, arrays) for precision in precisions for kind in MODELS]


def steps_of(bench, kind, precision, arrays):
    say(f"training steps of {kind}, {precision}")
    row = Row(f"training step, {kind}" + ("" if precision == "f32" else f" in {precision}"), "ms")
    row.target = STEP_TARGETS.get(kind) if precision == "f32" else None
    epochs = SKIPPED + (4 if bench.quick else 20)
    config = bench.steps_config(MODELS[kind], epochs, precision)
    reference = bench.reference(config)
    losses, first = {}, []

    def signet():
        run, _ = bench.train(config)
        seconds = [record["steps"] for record in lines(run / "timing.jsonl")]
        row.signet.append(per_step(seconds, 384 // BATCH))
        losses["signet"] = [record["train"]["loss"] for record in lines(run / "metrics.jsonl")]

    def pytorch(recipe, threads):
        found = bench.worker("steps", run=reference, arrays=arrays, recipe=recipe, threads=threads, epochs=epochs)
        losses[f"{recipe}, {threads}"] = found["losses"]
        return per_step(found["seconds"], found["steps"]), found["first"]

    def peers():
        for threads in bench.threads:
            row.add(f"{threads} thread{'s' * (threads > 1)}", pytorch("tuned", threads)[0])
        row.add("usual", pytorch("usual", bench.threads[-1])[0], others=True)
        if machine.has_compiler() and (not bench.quick or kind == "cnn" and not first):  # slow to begin
            best = int(row.better()[0].split()[0])
            milliseconds, seconds = pytorch("compiled", best)
            row.add("compiled", milliseconds, others=True)
            first.append(seconds)

    bench.turns(signet, peers)
    if first:
        row.notes.append(f"torch.compile took {first[0]:.1f} s to its first step")
    bench.best_threads[kind] = int(row.better()[0].split()[0])
    model = load_yaml(reference / "resolved.yaml")["model"]
    found = bench.worker("products", model=model, side=SIDE, batch=BATCH, classes=CLASSES, threads=bench.threads)
    if precision == "f32":
        row.limit = found["ms"]
        row.notes.append(f"{1000 * found['gflop']:.0f} MFLOP in matrix products, {found['ms']:.2f} ms alone")
    row.notes.append(same_work(losses, SAME_LOSS[precision]))
    return row


def same_work(losses, allowed):
    """Whether every way had signet's losses, epoch by epoch."""
    own = losses["signet"]
    apart = {
        way: max(abs(a - b) for a, b in zip(own, theirs)) / own[0] for way, theirs in losses.items() if way != "signet"
    }
    way, most = max(apart.items(), key=lambda item: item[1])
    if most > allowed or any(len(theirs) != len(own) for theirs in losses.values()):
        raise processes.Failure(
            f"signet and PyTorch ({way}) did not do the same work: mean losses of epochs differ by up to {100 * most:.2g} % "
            f"of the first, {100 * allowed:g} % is allowed: {own} and {losses[way]}"
        )
    return f"losses of {len(own)} epochs differ by up to {100 * most:.1g} % of the first"


def runs(bench):
    """Of shipped experiments: from the start of the process to an exported model, and the memory at its peak."""
    rows = []
    for name in ["quickstart", "lstm"] if bench.quick else SHIPPED:
        config = CONFIGS / f"{name}.yaml"
        reference = bench.reference(config)
        settings = load_yaml(config)
        epochs = 4 if bench.quick else settings["train"]["epochs"]
        kind = settings["model"]["kind"]
        say(f"whole run of {name}, {epochs} epochs")
        wall = Row(f"whole run of {name}, {epochs} epochs", "s", target=3.0)
        peak = Row(f"peak memory of {name}", "MB", target=3.0)
        accuracies = {}
        threads = bench.best_threads.get(kind, bench.threads[-1])

        def signet():
            _, finished = bench.train(config, f"train.epochs={epochs}", "export.on_finish=true", "log.report=false")  # the script in Python draws nothing either
            wall.signet.append(finished.seconds)
            peak.signet.append(finished.peak_mb)
            accuracies["signet"] = max(record["val"]["accuracy"] for _, record in finished.records)

        def pytorch():
            out, seed = bench.fresh("pytorch"), settings.get("seed", 42)
            finished = bench.script("whole_run.py", reference, bench.root, out, seed, epochs, threads)
            way = f"{threads} thread{'s' * (threads > 1)}"
            wall.add(way, finished.seconds)
            peak.add(way, finished.peak_mb)
            accuracies["PyTorch"] = max(record["val"]["accuracy"] for _, record in finished.records)

        bench.turns(signet, pytorch, None if bench.quick else 3)
        # Augmentation draws other numbers there, so that losses cannot be equal.
        wall.notes += [f"best val accuracy by {who} {100 * accuracy:.1f} %" for who, accuracy in accuracies.items()]
        rows += [wall, peak]
    return rows


def start(bench):
    """From the start of the process, over 410 decoded images, to the end of the first step."""
    say("start to first step")
    row = Row("start to first step", "s", target=10.0)
    settings = [
        "data.split={kind: stratified, train: 0.08, val: 0, test: 0.92}", "data.augment=[]", "checkpoint.metric=train.loss",
    ]
    config = CONFIGS / "cnn.yaml"
    reference = bench.reference(config, *settings)

    def until(record):
        return record["epoch"] == 1

    def signet():
        _, finished = bench.train(config, *settings, until=until)
        row.signet.append(finished.records[0][0])

    def pytorch():
        out = bench.fresh("pytorch")
        finished = bench.script("whole_run.py", reference, bench.root, out, 42, 60, bench.threads[-1], until=until)
        row.add("", finished.records[0][0])

    bench.turns(signet, pytorch)
    return [row]


def goal(bench):
    """From the start of the process to 99 % of the val part of the 0/1 signs, over seeds."""
    say("time to 99 %")
    row = Row("start to 99 % val accuracy (cnn)", "s", at_most=1.0)
    config = CONFIGS / "cnn.yaml"
    reference = bench.reference(config)
    threads = bench.best_threads.get("cnn", bench.threads[-1])
    epochs = load_yaml(config)["train"]["epochs"]
    needed = {"signet": [], "PyTorch": []}

    def until(record):
        return record["val"]["accuracy"] >= 0.99

    def reached(who, finished):
        seconds, record = finished.records[-1]
        if not until(record):
            raise processes.Failure(f"{who} did not reach 99 % in {epochs} epochs of {config.name}; nothing to compare")
        needed[who].append(record["epoch"])
        return seconds

    for seed in range(1, 1 + (2 if bench.quick else 5)):

        def signet():
            row.signet.append(reached("signet", bench.train(config, f"seed={seed}", until=until)[1]))

        def pytorch():
            out = bench.fresh("pytorch")
            finished = bench.script("whole_run.py", reference, bench.root, out, seed, epochs, threads, until=until)
            row.add("", reached("PyTorch", finished))

        bench.turns(signet, pytorch, 1)
    row.notes += [f"epochs that {who} needed: {', '.join(map(str, epochs))}" for who, epochs in needed.items()]
    return [row]


def loading(bench):
    """From the start of the process to the last of all JPEGs there are; signet also hashes and compares them."""
    say("loading JPEGs")
    row = Row("loading JPEGs", "s", target=3.0)

    def signet():
        found = processes.run([bench.signet, "data", "info", CONFIGS / "ten-digits.yaml"])
        row.signet.append(found.seconds)

    def pytorch():
        for workers in sorted({0, bench.threads[-1]}):
            found = bench.script("load.py", bench.root, SIDE, workers)
            row.add(f"DataLoader with {workers} processes" if workers else "a loop", found.seconds)
            row.name = f"loading {int(found.text)} JPEGs"

    bench.turns(signet, pytorch)
    return [row]


def inference(bench):
    """From the start of the process to the classes of so many image files."""
    out, _ = bench.train(CONFIGS / "cnn.yaml", "train.epochs=3", "export.on_finish=true")
    model = out / "export" / "model.pt"
    files = sorted(bench.root.rglob("*.JPG"))[:512]
    rows = []
    for count in [1, 512] if bench.quick else [1, 32, 512]:
        say(f"classifying {count} images")
        row = Row(f"classifying {count} image file{'s' * (count > 1)}", "s", target=3.0 if count == 1 else None)
        answers = {}

        def signet():
            finished = processes.run([bench.signet, "predict", model, *files[:count], "--format", "csv"])
            row.signet.append(finished.seconds)
            answers["signet"] = [line[1] for line in csv.reader(finished.text.splitlines()[1:])]

        def pytorch():
            finished = bench.script("classify.py", model, *files[:count])
            row.add("", finished.seconds)
            answers["PyTorch"] = [line.split("\t")[1] for line in finished.text.splitlines()]

        bench.turns(signet, pytorch)
        apart = sum(a != b for a, b in zip(answers["signet"], answers["PyTorch"]))
        if len(answers["signet"]) != len(answers["PyTorch"]) or apart > count // 100:
            raise processes.Failure(f"signet and PyTorch name {apart} of {count} images differently; they did not do the same work")
        row.notes.append(f"{apart} of {count} classes differ")
        rows.append(row)
    return rows


def checkpoint(bench):
    """What a checkpoint adds to a training whose epochs are shorter than it takes to write one."""
    say("cost of a checkpoint")
    row = Row("a checkpoint, ann", "ms")
    epochs = 22
    often, never = (bench.steps_config(MODELS["ann"], epochs, every=every) for every in ["1 epoch", "1000 epochs"])
    reference, arrays = bench.reference(never), bench.fresh("arrays")
    processes.run([bench.signet, "data", "npy", never, arrays])

    def signet():
        with_them, without = (bench.train(config)[1].seconds for config in [often, never])
        row.signet.append(1000 * (with_them - without) / (epochs - 2))  # the first and the last are written in any case

    def pytorch():
        found = bench.worker("checkpoint", run=reference, arrays=arrays, folder=bench.folder, count=epochs - 2)
        row.add("", 1000 * found["seconds"])

    bench.turns(signet, pytorch)
    row.notes.append("signet's is also hashed, read back and pointed to; PyTorch's is synced and renamed")
    return [row]


SECTIONS = {work.__name__: work for work in [steps, runs, start, goal, loading, inference, checkpoint]}


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def load_yaml(file):
    import yaml  # here, so that a Python that lacks the packages is told so by bench.py

    return yaml.safe_load(file.read_text())
