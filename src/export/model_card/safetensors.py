# needs torch, safetensors, numpy, Pillow
import json
import sys
from collections import OrderedDict

import numpy
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import nn

{% for class in torch.classes %}
{{ class|safe }}
{% endfor %}
network = {{ torch.network|safe }}
network.load_state_dict(load_file("model.safetensors"))
network.eval()

{% include "prepare.py" %}
with open("model.json") as file:
    card = json.load(file)
mean, std = (torch.tensor(card["normalization"][key]).view(-1, 1, 1) for key in ["mean", "std"])
with torch.no_grad():
    probabilities = network((torch.from_numpy(x) - mean) / std).softmax(1)[0]
best = probabilities.argmax()
print(f"{card['classes'][best]}  {100 * probabilities[best]:.2f} %")
