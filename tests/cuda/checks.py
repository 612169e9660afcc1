"""The checks. Each gets the context and a dict for its figures, and answers with one line; Failed and LeftOut end it."""
import json
import pathlib
import re
import shutil
import subprocess
from statistics import median

import torch

from measure import SAME_LOSS, SKIPPED, per_step
from program import Failed, LeftOut, Signet, finite
from training import Training

HEAD = {"dropout": 0.0, "batch_norm": False}
TIME = {"hidden_size": 64, "num_layers": 1, "bidirectional": False, "sequence": "rows", "pooling": "last", "hidden": []}
MODELS = {
    "ann": HEAD | {"hidden": [128, 64]},
    "dnn": HEAD | {"hidden": [128, 64, 32], "batch_norm": True},
    "cnn": HEAD | {"blocks": [{"filters": size, "kernel": 3, "pool": 2} for size in [16, 32]], "hidden": [64]},
    "rnn": HEAD | TIME,
    "lstm": HEAD | TIME,
    "gru": HEAD | TIME,
}
AUGMENT = [
    {"kind": "shift", "max_px": 2.0}, {"kind": "rotate", "max_degrees": 10.0}, {"kind": "brightness", "max": 0.1},
    {"kind": "contrast", "max": 0.1}, {"kind": "noise", "std": 0.02}, {"kind": "erase", "p": 0.5, "max_area": 0.2},
]
MEAN, STD = 0.5, 0.25
# Logits on two devices, in units of the largest: float32 sums of some thousand terms in another order.
SAME_LOGITS = 1e-4


class Context:
    """Where everything happens, and how large it is: small on a CPU, where only the checks are tried."""

    def __init__(self, program, folder, device):
        self.signet, self.device, self.cuda = Signet(program, folder), device, device == "cuda"
        self.side, self.images, self.batch = (64, 256, 64) if self.cuda else (16, 24, 16)
        self.pairs, self.timed = (3, 20) if self.cuda else (1, 2)
        if not self.cuda:
            torch.set_num_threads(1)  # networks this small gain nothing from more
        # As signet's f32.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def experiment(self, kind, epochs=4, model={}, data={}, **train):
        """Of generated signs of two classes, in batches of which the last is smaller."""
        plain = {"kind": "adamw", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
        return {
            "version": 1,
            "name": "check",
            "seed": 3,
            "device": self.device,
            "data": {
                "source": {"kind": "generated", "pictures": self.images},
                "classes": ["0", "1"],
                "image": {"height": self.side, "width": self.side},
                "split": {"kind": "stratified", "train": 0.9, "val": 0.05, "test": 0.05},
                "normalize": {"mean": [MEAN], "std": [STD]},
                "augment": [],
            } | data,
            "model": {"kind": kind} | MODELS[kind] | model,
            "train": {
                "epochs": epochs,
                "batch_size": self.batch,
                "optimizer": plain,
                "schedule": {"kind": "constant", "warmup_epochs": 0},
                "clip_grad_norm": 1.0,
                "precision": "f32",
            } | train,
            "checkpoint": {"every": "1000 epochs"},
            "export": {"on_finish": False},
        }

    def random(self, kind, **train):
        """With everything that draws random numbers, in every step."""
        model = {"dropout": 0.25} | ({"num_layers": 2} if kind in ["rnn", "lstm", "gru"] else {})
        return self.experiment(kind, model=model, data={"augment": AUGMENT}, deterministic=True, **train)

    def peer(self, experiment, run):
        """The same training in PyTorch, eager, on the same device."""
        x, y = self.signet.arrays(experiment)
        x, y = ((x - MEAN) / STD).to(self.device), y.to(self.device)
        return Training(experiment, "tuned", x, y, run.part())

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()


def apart(own, theirs):
    """The largest difference between losses of epochs, as a share of the first."""
    if len(own) != len(theirs) or not finite([*own, *theirs]):
        raise Failed(f"losses that cannot be compared: {own} and {theirs}")
    return max(abs(a - b) for a, b in zip(own, theirs)) / own[0]


def same_run(one, other, what):
    """Every bit of weights and moments, and the metrics of every epoch."""
    ones, others = one.tensors(), other.tensors()
    different = [name for name in ones.keys() | others.keys() if ones.get(name) != others.get(name)]
    if different:
        raise Failed(f"{what}: {len(different)} of {len(ones)} tensors differ, such as {min(different)}")
    if one.metrics() != other.metrics():
        raise Failed(f"{what}: equal weights, but metrics.jsonl differs")
    return len(ones)


def doctor(context, figures):
    said, _ = context.signet.call("doctor")
    found = figures["doctor"] = dict(re.split("  +| (?=takes)", line, maxsplit=1) for line in said.splitlines())
    home = pathlib.Path(torch.__file__).parent
    if home not in pathlib.Path(found["libtorch"]).parents:
        raise Failed(f"signet runs on {found['libtorch']}, not on this Python's libtorch in {home}")
    if not context.cuda:
        return "signet runs on this Python's libtorch"
    if not found["device: auto"].startswith("takes cuda:0"):
        raise Failed(f"device: auto {found['device: auto']}")
    return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}"


def losses(context, figures):
    for kind in MODELS:
        experiment = context.experiment(kind)
        run = context.signet.train(experiment)
        training = context.peer(experiment, run)
        theirs = [training.epoch(epoch)[2] for epoch in range(1, experiment["train"]["epochs"] + 1)]
        own, figures[kind] = run.losses(), apart(run.losses(), theirs)
        if figures[kind] > SAME_LOSS["f32"]:
            raise Failed(f"{kind}: losses {own} are not PyTorch's, {theirs}")
    return f"{len(MODELS)} kinds learn as in PyTorch: losses differ by up to {max(figures.values()):.1e} of the first"


def resume(context, figures):
    for kind in MODELS:
        experiment = context.random(kind)
        whole, half = context.signet.train(experiment), context.signet.train(experiment, "--until", 2)
        if half.tensors() == whole.tensors():
            raise Failed(f"{kind}: two epochs leave what four leave")
        context.signet.resume(half)
        figures[kind] = same_run(whole, half, kind)
    return f"{len(MODELS)} kinds, with dropout and augmentation: a resumed run has every bit of an uninterrupted one"


def precision(context, figures):
    off = "float32, TF32 off" if context.cuda else "float32"
    tf32 = "float32, products in TF32" if context.cuda else "float32"
    recorded = {"f32": off, "tf32": tf32, "bf16": f"bfloat16 by autocast, else {off}"}
    for kind in ["cnn", "lstm"]:
        runs = {word: context.signet.train(context.experiment(kind, precision=word)) for word in recorded}
        for word, run in runs.items():
            found = run.json("environment.json")["arithmetic"]
            if found != recorded[word]:
                raise Failed(f"{kind} in {word}: environment.json says {found}, not {recorded[word]}")
            difference = figures[f"{kind} {word}"] = apart(runs["f32"].losses(), run.losses())
            if difference > SAME_LOSS["bf16"]:
                raise Failed(f"{kind} in {word}: losses differ from f32's by {difference:.1e} of the first")
    # Factors of ten bits must be seen in a convolution's losses, and full float32 on the CPU must be the same.
    changed = figures["cnn tf32"] > 0
    if changed != context.cuda and (not context.cuda or torch.cuda.get_device_capability() >= (8, 0)):
        raise Failed(f"tf32 {'changes' if changed else 'does not change'} the losses of a cnn")
    return "; ".join(f"{name} {difference:.1e}" for name, difference in figures.items()) + " from f32"


def exports(context, figures):
    for kind in MODELS:
        experiment = context.experiment(kind) | {"export": {"on_finish": True, "formats": ["torchscript"]}}
        run = context.signet.train(experiment)
        x, y = context.signet.arrays(experiment)
        file = str(run.folder / "export" / "model.pt")
        with torch.no_grad():
            here, there = (torch.jit.load(file, device)(x.to(device)).cpu() for device in ["cpu", context.device])
        figures[kind] = float((here - there).abs().max() / here.abs().max())
        if not figures[kind] < SAME_LOGITS:
            raise Failed(f"{kind}: logits on {context.device} differ by {figures[kind]:.1e} of the largest")
        answer = run.folder / "eval.json"
        context.signet.call("eval", run.folder, "--part", "train", "--json", answer)
        part = run.part()
        right = (there.argmax(1) == y)[part].sum().item()
        accuracy = json.loads(answer.read_text())["accuracy"]
        if abs(accuracy * len(part) - right) > 1:  # an image on the edge may fall either way
            raise Failed(f"{kind}: signet recognises {100 * accuracy:.1f} %, PyTorch {right} of {len(part)} images")
    return f"{len(MODELS)} exported models on {context.device}: logits within {max(figures.values()):.1e}, the same accuracy"


def library_there(context):
    library = context.signet.cuda_library()
    if not library.is_file():
        raise LeftOut(f"there is no {library.name} beside the program; scripts/cuda-library builds it")


def graphs_there(context):
    if not context.cuda:
        raise LeftOut("CUDA graphs are for CUDA")
    library_there(context)


def processes(context, figures):
    if context.cuda:
        if torch.cuda.device_count() < 2:
            raise LeftOut("there is one GPU, and each process needs its own")
        library_there(context)
    for kind in MODELS:
        experiment = context.random(kind, shards=2) | {"threads": 1}  # on which results depend
        one, two = context.signet.train(experiment), context.signet.train_on(2, experiment)
        figures[kind] = same_run(one, two, f"{kind}, on two processes")
    return f"{len(MODELS)} kinds: two processes give every bit of one"


def graphs(context, figures):
    graphs_there(context)
    for kind in MODELS:
        eager = context.signet.train(context.random(kind))
        experiment = context.random(kind, cuda_graphs=True)
        replayed, resumed = context.signet.train(experiment), context.signet.train(experiment, "--until", 2)
        if not replayed.json("environment.json")["cuda_graphs"]:
            raise Failed(f"{kind}: steps were not replayed: {replayed.said.strip()}")
        same_run(eager, replayed, f"{kind}, replayed")
        context.signet.resume(resumed)
        figures[kind] = same_run(eager, resumed, f"{kind}, replayed and resumed")
    return f"{len(MODELS)} kinds: replayed steps have every bit of steps taken one by one"


def waits(context, figures):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise LeftOut("there is no C compiler for the counter of waits")
    library, source = context.signet.fresh("waits").with_suffix(".so"), pathlib.Path(__file__).with_name("waits.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    for kind in MODELS:
        counts = figures[kind] = {}
        for batch in [context.batch, context.batch // 4]:
            file = context.signet.fresh("count")
            experiment = context.random(kind, batch_size=batch)
            context.signet.train(experiment, WAITS=str(file), LD_PRELOAD=str(library))
            counts[batch] = int(file.read_text())
        few, many = counts.values()
        if few != many:
            raise Failed(f"{kind}: four times the steps in as many epochs wait {many} times for the GPU, not {few} times")
        if context.cuda and few == 0:
            raise Failed(f"{kind}: no wait was counted at all, so the counter does not work")
    return f"{len(MODELS)} kinds: no step waits for the GPU" if context.cuda else "nothing to wait for on the CPU"


def speed(context, figures):
    """Medians of pairs, taken in turns; nothing is asked of them."""
    words = []
    replay = context.cuda and context.signet.cuda_library().is_file()
    for kind in MODELS:
        part = {"split": {"kind": "stratified", "train": 1, "val": 0, "test": 0}}
        experiment = context.experiment(kind, epochs=SKIPPED + context.timed, data=part)
        experiment["checkpoint"] = {"every": "1000 epochs", "metric": "train.loss", "mode": "max"}
        graphed = experiment | {"train": experiment["train"] | {"cuda_graphs": True}}
        found = figures[kind] = {"signet": [], "PyTorch": []} | ({"signet with graphs": []} if replay else {})
        for _ in range(context.pairs):
            run = context.signet.train(experiment)
            training = context.peer(experiment, run)
            context.wait()
            theirs = [training.epoch(epoch)[0] for epoch in range(1, experiment["train"]["epochs"] + 1)]
            found["signet"].append(per_step(run.seconds(), training.steps_per_epoch))
            found["PyTorch"].append(per_step(theirs, training.steps_per_epoch))
            if replay:
                seconds = context.signet.train(graphed).seconds()
                found["signet with graphs"].append(per_step(seconds, training.steps_per_epoch))
        times = [f"{way} {median(numbers):.3g}" for way, numbers in found.items()]
        words.append(f"{kind} {', '.join(times)}")
    return "ms a step: " + "; ".join(words)


CHECKS = {check.__name__: check for check in [doctor, losses, resume, precision, exports, graphs, processes, waits, speed]}
