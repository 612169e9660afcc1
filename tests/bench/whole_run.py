"""An experiment from image files to an exported model: python whole_run.py RUN ROOT OUT SEED EPOCHS THREADS

Takes settings and split from signet's run directory RUN, images from ROOT; prints a JSON object an epoch, as signet does.
A script like many: PyTorch and Pillow alone, the best epoch kept, a checkpoint every epoch, TorchScript at the end.
"""
import json
import pathlib
import sys
import time

import torch
import yaml

import images
from training import Training

run, root, out = map(pathlib.Path, sys.argv[1:4])
seed, epochs, threads = map(int, sys.argv[4:7])
torch.set_num_threads(threads)
experiment = yaml.safe_load((run / "resolved.yaml").read_text())
experiment["seed"], experiment["train"]["epochs"] = seed, epochs
split = json.loads((run / "split.json").read_text())
names = list(json.loads((run / "data.json").read_text())["images"])
train, val = ([names.index(name) for name in split[part]] for part in ["train", "val"])
classes = experiment["data"]["classes"]

x = images.load([root / name for name in names], experiment["data"]["image"]["height"], workers=0)
y = torch.tensor([classes.index(name.split("/")[0]) for name in names])
mean, std = x[train].mean(), x[train].std()
training = Training(experiment, "tuned", (x - mean) / std, y, train)

out.mkdir(parents=True)
best = -1.0
for epoch in range(1, epochs + 1):
    start = time.perf_counter()
    _, _, loss = training.epoch(epoch)
    record = {"epoch": epoch, "train": {"loss": loss}}
    accuracy = 0.0
    if val:
        val_loss, accuracy = training.evaluate(val)
        record["val"] = {"loss": val_loss, "accuracy": accuracy}
    print(json.dumps(record | {"seconds": time.perf_counter() - start}), flush=True)
    torch.save(training.state(), out / "last.pt")
    if accuracy > best:
        best = accuracy
        torch.save(training.state(), out / "best.pt")


class Exported(torch.nn.Module):
    """Normalises, so that whoever loads it need not know how."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


training.network.load_state_dict(torch.load(out / "best.pt")["model"])
torch.jit.script(Exported(training.network.eval())).save(str(out / "model.pt"))
