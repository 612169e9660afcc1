"""Training as PyTorch's users write it, in three ways (RECIPES), from the settings of a resolved experiment of signet."""
import math
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from networks import build
from order import epoch_order

# tuned: all images normalised once and in memory, one fused update, channels last for convolutions, no waiting for losses.
# usual: a DataLoader, the default update, `loss.item()` after every step.
# compiled: tuned, through torch.compile.
RECIPES = ["tuned", "usual", "compiled"]


class Training:
    """A model on its way, on the device of `x`, which is normalised, `[N, 1, H, W]`; `part` holds the indices to train on."""

    def __init__(self, experiment, recipe, x, y, part):
        train = experiment["train"]
        self.experiment, self.train, self.recipe, self.part = experiment, train, recipe, part
        torch.manual_seed(experiment["seed"])
        self.network = build(experiment["model"], x.shape[-1], len(experiment["data"]["classes"])).to(x.device)
        if recipe != "usual" and experiment["model"]["kind"] == "cnn":
            self.network = self.network.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        self.x, self.y = x, y
        self.model = torch.compile(self.network) if recipe == "compiled" else self.network
        self.steps_per_epoch = math.ceil(len(part) / train["batch_size"])
        settings = train["optimizer"]
        assert settings["kind"] == "adamw", settings
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings["lr"], (settings["beta1"], settings["beta2"]), settings["eps"],
            settings["weight_decay"], fused=None if recipe == "usual" else True,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.rate)

    def rate(self, step):
        """What the learning rate is multiplied by: constant, or half a cosine after a linear warm-up."""
        schedule = self.train["schedule"]
        warmup = round(schedule["warmup_epochs"] * self.steps_per_epoch)
        if step < warmup:
            return (step + 1) / warmup
        if schedule["kind"] == "constant":
            return 1.0
        done = (step - warmup) / max(self.train["epochs"] * self.steps_per_epoch - warmup, 1)
        return (1 + math.cos(math.pi * done)) / 2

    def batches(self, epoch):
        order = epoch_order(self.part, self.experiment["seed"], epoch)
        size = self.train["batch_size"]
        if self.recipe == "usual":
            yield from DataLoader(TensorDataset(self.x, self.y), size, sampler=order)
            return
        for batch in torch.tensor(order, device=self.x.device).split(size):
            yield self.x[batch], self.y[batch]

    def step(self, x, y):
        """Returns the mean loss of the batch, which need not be known yet."""
        x = augment(x, self.experiment["data"]["augment"])
        self.optimizer.zero_grad()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.train["precision"] == "bf16"):
            logits = self.model(x)
        loss = nn.functional.cross_entropy(logits.float(), y)
        loss.backward()
        if self.train["clip_grad_norm"]:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.train["clip_grad_norm"])
        self.optimizer.step()
        self.schedule.step()
        return loss.item() if self.recipe == "usual" else loss.detach()

    def epoch(self, epoch):
        """Takes the steps of an epoch, counted from 1. Returns their seconds, that of the first, and the mean loss."""
        self.model.train()
        total, start, first = 0.0, time.perf_counter(), None
        for x, y in self.batches(epoch):
            total += self.step(x, y) * len(y)
            first = first or time.perf_counter() - start
        total = float(total)  # waits for a GPU
        return time.perf_counter() - start, first, total / len(self.part)

    def evaluate(self, part):
        """The mean loss and the accuracy on `part`."""
        self.model.eval()
        x, y = self.x[part], self.y[part]
        with torch.inference_mode():
            logits = torch.cat([self.model(piece) for piece in x.split(256)])
        accuracy = (logits.argmax(1) == y).double().mean().item()
        return nn.functional.cross_entropy(logits, y).item(), accuracy

    def state(self):
        """What a checkpoint holds."""
        return {"model": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}


def augment(x, kinds):
    """Shifts, turns and scales each image by random numbers of its own, in one sampling; the edge goes on beyond itself."""
    if not kinds:
        return x
    most = {key: value for kind in kinds for key, value in kind.items() if key != "kind"}

    def uniform(bound, *size):
        return (torch.rand(len(x), *size, device=x.device) * 2 - 1) * bound

    angle = torch.deg2rad(uniform(most["max_degrees"]))
    scale = 1 + uniform(most["max"])
    cos, sin = angle.cos() / scale, angle.sin() / scale
    shift = uniform(2 * most["max_px"] / x.shape[-1], 2, 1)
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)  # [B, 2, 2]
    grid = nn.functional.affine_grid(torch.cat([turn, -turn @ shift], 2), x.shape, align_corners=False)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
