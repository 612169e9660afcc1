"""What images show, all in one batch: python classify.py model.pt image...; prints file, class and probability."""
import json
import sys

import torch

import images

files = {"signet.json": ""}
model = torch.jit.load(sys.argv[1], _extra_files=files)
card = json.loads(files["signet.json"])
x = images.load(sys.argv[2:], card["input"]["height"], workers=0)
with torch.inference_mode():
    probabilities, found = model(x).softmax(1).max(1)
for file, index, probability in zip(sys.argv[2:], found.tolist(), probabilities.tolist()):
    print(file, card["classes"][index], f"{probability:.6f}", sep="\t")
