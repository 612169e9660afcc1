# needs torch, numpy, Pillow
import json
import sys

import numpy
import torch
from PIL import Image, ImageOps

{% include "prepare.py" %}
files = {"signet.json": ""}
model = torch.jit.load("model.pt", _extra_files=files)
classes = json.loads(files["signet.json"])["classes"]
with torch.no_grad():
    probabilities = model(torch.from_numpy(x)).softmax(1)[0]
best = probabilities.argmax()
print(f"{classes[best]}  {100 * probabilities[best]:.2f} %")
