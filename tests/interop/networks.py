"""The networks of check.py as anybody would write them in PyTorch, without a word of signet."""
import torch
from torch import nn


class Ann(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(256, 12), nn.Tanh(), nn.Dropout(0.2), nn.Linear(12, 2))

    def forward(self, x):
        return self.classifier(x)


class Dnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256, 12), nn.BatchNorm1d(12), nn.SiLU(),
            nn.Linear(12, 8), nn.BatchNorm1d(8), nn.SiLU(),
            nn.Linear(8, 2),
        )

    def forward(self, x):
        return self.classifier(x)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6), nn.MaxPool2d(2), nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
        )

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


class Residuals(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
            Residual([nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1)]),
            Residual([nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)],
                     [nn.AvgPool2d(2), nn.Conv2d(4, 8, 1)]),
            Residual([nn.Conv2d(8, 12, 1, stride=2, groups=4)],
                     [nn.Conv2d(8, 12, 1, stride=2, bias=False), nn.BatchNorm2d(12)]),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 2),
        )

    def forward(self, x):
        return self.layers(x)


class Rnn(nn.Module):
    """Rows as steps, the last state of both layers' top."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(16, 6, num_layers=2, dropout=0.2, batch_first=True)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 2))

    def forward(self, x):
        steps = x.transpose(1, 2).flatten(2)  # [B, H, C * W]
        return self.classifier(self.rnn(steps)[0][:, -1])


class RnnRelu(nn.Module):
    """Both directions; each ends at its own end."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(16, 6, nonlinearity="relu", bidirectional=True, batch_first=True)
        self.classifier = nn.Sequential(nn.Linear(12, 5), nn.LeakyReLU(), nn.Linear(5, 2))

    def forward(self, x):
        _, last = self.rnn(x.transpose(1, 2).flatten(2))
        return self.classifier(torch.cat([last[0], last[1]], 1))


class Lstm(nn.Module):
    """Columns as steps, the maximum over time."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(16, 6, num_layers=2, dropout=0.2, bidirectional=True, batch_first=True)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 2))

    def forward(self, x):
        steps = x.permute(0, 3, 1, 2).flatten(2)  # [B, W, C * H]
        return self.classifier(self.lstm(steps)[0].amax(1))


class Gru(nn.Module):
    """Patches of 4 x 4 as steps, row by row, the mean over time."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(16, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.classifier = nn.Sequential(nn.Linear(12, 2))

    def forward(self, x):
        patches = nn.functional.unfold(x, 4, stride=4).transpose(1, 2)  # [B, 16, 16]
        return self.classifier(self.gru(patches)[0].mean(1))
