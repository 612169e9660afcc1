"""A Python that has loaded PyTorch and waits for work: a JSON object a line in, one a line out. Seconds are those of the work."""
import json
import os
import pathlib
import sys
import tempfile
import time

import numpy
import PIL
import torch
import yaml

import limit
from training import Training


def versions():
    return {
        "PyTorch": torch.__version__,
        "Python": sys.version.split()[0],
        "NumPy": numpy.__version__,
        "Pillow": PIL.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def started(run, arrays, recipe, threads):
    """A training of the experiment of signet's `run`, on the pixels that `signet data npy` wrote to `arrays`."""
    torch.set_num_threads(threads)
    run, arrays = pathlib.Path(run), pathlib.Path(arrays)
    experiment = yaml.safe_load((run / "resolved.yaml").read_text())
    names = list(json.loads((run / "data.json").read_text())["images"])
    part = [names.index(name) for name in json.loads((run / "split.json").read_text())["train"]]
    normalize = experiment["data"]["normalize"]
    x = (torch.from_numpy(numpy.load(arrays / "X.npy"))[:, None] - normalize["mean"][0]) / normalize["std"][0]
    return Training(experiment, recipe, x, torch.from_numpy(numpy.load(arrays / "Y.npy")), part)


def steps(run, arrays, recipe, threads, epochs):
    torch._dynamo.reset()
    training = started(run, arrays, recipe, threads)
    epochs = [training.epoch(epoch) for epoch in range(1, epochs + 1)]
    seconds, first, losses = zip(*epochs)
    return {"seconds": seconds, "first": first[0], "losses": losses, "steps": training.steps_per_epoch}


def checkpoint(run, arrays, folder, count):
    """Seconds of writing a checkpoint as safely as torch.save allows: synced, then renamed."""
    training = started(run, arrays, "tuned", torch.get_num_threads())
    training.epoch(1)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as folder:
        for _ in range(count):
            with open(f"{folder}/new.pt", "wb") as file:
                torch.save(training.state(), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{folder}/new.pt", f"{folder}/last.pt")
        return {"seconds": (time.perf_counter() - start) / count}


def products(model, side, batch, classes, threads):
    found = limit.products(model, side, batch, classes)
    return {"ms": min(limit.milliseconds(found, count) for count in threads), "gflop": limit.gflop(found)}


WORK = {work.__name__: work for work in [versions, steps, checkpoint, products]}

if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        work, arguments = json.loads(line)
        print(json.dumps(WORK[work](**arguments)), file=answers, flush=True)
