"""The networks of signet's experiments as anybody would write them in PyTorch: same names, same layers, same weights after
`torch.manual_seed`. ReLU stands before pooling, as people write it."""
from torch import nn

RECURRENT = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def head(inputs, model, classes, drop_first):
    """Hidden layers and the last one."""
    dropout = [nn.Dropout(model["dropout"])] if model["dropout"] else []
    layers = dropout if drop_first else []
    for units in model["hidden"]:
        norm = [nn.BatchNorm1d(units)] if model["batch_norm"] else []
        layers = [*layers, nn.Linear(inputs, units), *norm, nn.ReLU(), *dropout]
        inputs = units
    return [*layers, nn.Linear(inputs, classes)]


class Dense(nn.Module):
    def __init__(self, model, side, classes):
        super().__init__()
        self.classifier = nn.Sequential(nn.Flatten(), *head(side * side, model, classes, drop_first=False))

    def forward(self, x):
        return self.classifier(x)


class Cnn(nn.Module):
    def __init__(self, model, side, classes):
        super().__init__()
        layers, channels = [], 1
        for block in model["blocks"]:
            norm = [nn.BatchNorm2d(block["filters"])] if model["batch_norm"] else []
            convolution = nn.Conv2d(channels, block["filters"], block["kernel"], padding=block["kernel"] // 2)
            layers += [convolution, *norm, nn.ReLU(), nn.MaxPool2d(block["pool"])]
            channels, side = block["filters"], side // block["pool"]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Flatten(), *head(channels * side * side, model, classes, drop_first=True))

    def forward(self, x):
        return self.classifier(self.features(x))


class Recurrent(nn.Module):
    """Rows or columns as steps; the last state, or the maximum over time."""

    def __init__(self, model, side, classes):
        super().__init__()
        self.columns, self.maximum = model["sequence"] == "columns", model["pooling"] == "max"
        directions = 2 if model["bidirectional"] else 1
        self.recurrent = RECURRENT[model["kind"]](
            side, model["hidden_size"], model["num_layers"], bidirectional=model["bidirectional"], batch_first=True
        )
        self.classifier = nn.Sequential(*head(directions * model["hidden_size"], model, classes, drop_first=True))

    def forward(self, x):
        x = x.squeeze(1)  # [B, H, W]
        y, _ = self.recurrent(x.transpose(1, 2) if self.columns else x)
        return self.classifier(y.amax(1) if self.maximum else y[:, -1])


def build(model, side, classes):
    """The network of the section `model` of a resolved experiment, for square grey images."""
    if model["kind"] in ["ann", "dnn"]:
        return Dense(model, side, classes)
    if model["kind"] == "cnn":
        return Cnn(model, side, classes)
    return Recurrent(model, side, classes)
