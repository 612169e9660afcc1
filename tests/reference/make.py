"""Makes the files beside it: what PyTorch itself says of each kind of model.

    pip install torch==2.11.0 numpy safetensors
    python tests/reference/make.py

Each file holds the weights that torch.manual_seed(7) gives, randomised weights, a batch, the logits and
loss PyTorch computes from those, and the weights after three steps of an optimiser. The experiment that
describes the same model to signet is in its metadata. tests/parity.rs reads them.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

SIDE, CLASSES = 8, 3


class Recurrent(nn.Module):
    """Rows, columns or 4-pixel patches as steps, a recurrent part called `name`, pooling, a head."""

    def __init__(self, name, part, sequence, pooling, classifier):
        super().__init__()
        self.name, self.sequence, self.pooling = name, sequence, pooling
        setattr(self, name, part)
        self.classifier = classifier

    def forward(self, x):  # [B, C, H, W]
        if self.sequence == "rows":
            x = x.permute(0, 2, 1, 3).flatten(2)
        elif self.sequence == "columns":
            x = x.permute(0, 3, 1, 2).flatten(2)
        else:
            x = nn.functional.unfold(x, 4, stride=4).transpose(1, 2)
        y, h = getattr(self, self.name)(x)
        if self.pooling == "mean":
            y = y.mean(1)
        elif self.pooling == "max":
            y = y.max(1).values
        elif getattr(self, self.name).bidirectional:
            y = torch.cat([h[-2], h[-1]], 1)
        else:
            y = h[-1]
        return self.classifier(y)


class Two(nn.Module):
    """The parts of a convolutional network under their usual names."""

    def __init__(self, features, classifier):
        super().__init__()
        self.features, self.classifier = features, classifier

    def forward(self, x):
        return self.classifier(self.features(x))


class Residual(nn.Module):
    """Adds what comes in, or what the shortcut makes of it, to what the body gives."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = nn.Sequential(*body)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class One(nn.Module):
    def __init__(self, name, part, binary=False):
        super().__init__()
        self.name, self.binary = name, binary
        setattr(self, name, part)

    def forward(self, x):
        z = getattr(self, self.name)(x)
        return torch.cat([torch.zeros_like(z), z], 1) if self.binary else z


def recurrent(name, cls, sequence, pooling, head, inputs, **settings):
    def make():
        part = cls(inputs, 6, batch_first=True, **settings)
        width = 6 * (2 if settings.get("bidirectional") else 1)
        return Recurrent(name, part, sequence, pooling, nn.Sequential(*head(width)))

    return make


last = lambda width: [nn.Linear(width, CLASSES)]
hidden = lambda width: [nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, CLASSES)]
pixels = SIDE * SIDE

# name: (experiment's model, its channels, model in PyTorch, optimiser in the experiment, in PyTorch, classes)
CASES = {
    "softmax": ("{kind: ann, hidden: []}", 1,
        lambda: One("classifier", nn.Sequential(nn.Flatten(), nn.Linear(pixels, CLASSES))),
        "{kind: sgd, lr: 0.1}", lambda p: torch.optim.SGD(p, 0.1), CLASSES),
    "ann": ("{kind: ann, hidden: [7], activation: sigmoid}", 3,
        lambda: One("classifier", nn.Sequential(nn.Flatten(), nn.Linear(3 * pixels, 7), nn.Sigmoid(), nn.Linear(7, CLASSES))),
        "{kind: sgd, lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01}",
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01), CLASSES),
    "binary": ("{kind: ann, hidden: [4], activation: tanh, output: binary}", 1,
        lambda: One("classifier", nn.Sequential(nn.Flatten(), nn.Linear(pixels, 4), nn.Tanh(), nn.Linear(4, 1)), binary=True),
        "{kind: adam, lr: 0.01, weight_decay: 0.1}", lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1), 2),
    "dnn": ("{kind: dnn, hidden: [9, 5], activation: silu, batch_norm: true}", 1,
        lambda: One("classifier", nn.Sequential(nn.Flatten(), nn.Linear(pixels, 9), nn.BatchNorm1d(9), nn.SiLU(),
            nn.Linear(9, 5), nn.BatchNorm1d(5), nn.SiLU(), nn.Linear(5, CLASSES))),
        # A bias before batch normalisation has no gradient but rounding, which Adam would blow up: hence SGD.
        "{kind: sgd, lr: 0.1, momentum: 0.5}", lambda p: torch.optim.SGD(p, 0.1, momentum=0.5), CLASSES),
    "cnn": ("{kind: cnn, blocks: [{filters: 4, kernel: 3, pool: 2}, {filters: 5, kernel: 3, pool: 2}], hidden: [6], batch_norm: true}", 1,
        # signet pools before ReLU, which is the same numbers and the same names for what has weights.
        lambda: Two(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(),
                nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5), nn.MaxPool2d(2), nn.ReLU()),
            nn.Sequential(nn.Flatten(), nn.Linear(20, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, CLASSES))),
        "{kind: sgd, lr: 0.1}", lambda p: torch.optim.SGD(p, 0.1), CLASSES),
    "cnn-gelu": ("{kind: cnn, blocks: [{filters: 4, kernel: 2, stride: 2, padding: valid, pool: 2}], hidden: [], activation: gelu}", 3,
        lambda: Two(nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.GELU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES))),
        "{kind: rmsprop, lr: 0.01, momentum: 0.5, weight_decay: 0.01}",
        lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5, weight_decay=0.01), CLASSES),
    "rnn": ("{kind: rnn, hidden_size: 6, sequence: rows}", 3,
        recurrent("rnn", nn.RNN, "rows", "last", last, 3 * SIDE),
        "{kind: rmsprop, lr: 0.01}", lambda p: torch.optim.RMSprop(p, 0.01), CLASSES),
    "rnn-relu": ("{kind: rnn, nonlinearity: relu, hidden_size: 6, sequence: columns, bidirectional: true, hidden: [5]}", 1,
        recurrent("rnn", nn.RNN, "columns", "last", hidden, SIDE, nonlinearity="relu", bidirectional=True),
        "{kind: adam, lr: 0.01}", lambda p: torch.optim.Adam(p, 0.01), CLASSES),
    "lstm": ("{kind: lstm, hidden_size: 6, sequence: patches, patch_px: 4, num_layers: 2, bidirectional: true, pooling: mean}", 3,
        recurrent("lstm", nn.LSTM, "patches", "mean", last, 48, num_layers=2, bidirectional=True),
        "{kind: adamw, lr: 0.01, weight_decay: 0.1}", lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1), CLASSES),
    "gru": ("{kind: gru, hidden_size: 6, sequence: rows, num_layers: 2, pooling: max, hidden: [5]}", 1,
        recurrent("gru", nn.GRU, "rows", "max", hidden, SIDE, num_layers=2),
        "{kind: sgd, lr: 0.1, momentum: 0.9}", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), CLASSES),
    "layers": ("{kind: layers, layers: [{kind: conv2d, filters: 3}, {kind: activation, function: leaky_relu}, {kind: flatten}, {kind: linear}]}", 1,
        lambda: One("layers", nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.LeakyReLU(), nn.Flatten(), nn.Linear(3 * pixels, CLASSES))),
        "{kind: adamw, lr: 0.01}", lambda p: torch.optim.AdamW(p, 0.01), CLASSES),
    "residual": ("{kind: layers, layers: [{kind: conv2d, filters: 4, bias: false}, {kind: residual, body: [{kind: conv2d, filters: 4, groups: 2}, {kind: batch_norm}, {kind: activation}]}, {kind: residual, body: [{kind: conv2d, filters: 6, stride: 2}, {kind: residual, body: [{kind: activation, function: tanh}]}], shortcut: [{kind: conv2d, filters: 6, kernel: 1, stride: 2, bias: false}, {kind: batch_norm}]}, {kind: avg_pool2d}, {kind: global_avg_pool}, {kind: flatten}, {kind: linear}]}", 1,
        lambda: One("layers", nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False),
            Residual([nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU()]),
            Residual([nn.Conv2d(4, 6, 3, stride=2, padding=1), Residual([nn.Tanh()])],
                [nn.Conv2d(4, 6, 1, stride=2, bias=False), nn.BatchNorm2d(6)]),
            nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES))),
        "{kind: sgd, lr: 0.1}", lambda p: torch.optim.SGD(p, 0.1), CLASSES),
}


def state(prefix, model):
    return {f"{prefix}.{name}": tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}


for name, (experiment, channels, make, optimizer, make_optimizer, classes) in CASES.items():
    torch.manual_seed(7)
    model = make()
    tensors = state("init", model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        for key, buffer in model.named_buffers():
            if buffer.dtype == torch.float32:
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    tensors |= state("before", model)
    x, y = torch.rand(5, channels, SIDE, SIDE), torch.randint(0, classes, (5,))
    normalized = (x - 0.4) / 0.3
    model.eval()
    with torch.no_grad():
        tensors["logits"] = model(normalized)
    model.train()
    steps = make_optimizer(model.parameters())
    losses = []
    for _ in range(3):
        steps.zero_grad()
        loss = nn.functional.cross_entropy(model(normalized), y, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        steps.step()
        losses.append(loss.detach())
    tensors |= state("after", model) | {"x": x, "y": y, "losses": torch.stack(losses)}
    kind = "gray" if channels == 1 else "rgb"
    names = [f"'{n}'" for n in range(classes)]
    text = (f"version: 1\nmodel: {experiment}\ntrain: {{optimizer: {optimizer}, clip_grad_norm: 0.5, loss: {{label_smoothing: 0.1}}}}\n"
        f"data: {{source: {{kind: generated}}, classes: [{', '.join(names)}], image: {{height: {SIDE}, width: {SIDE}, channels: {kind}}}}}\n")
    save_file(tensors, Path(__file__).with_name(f"{name}.safetensors"), {"experiment": text})
