# needs onnxruntime, numpy, Pillow
import json
import sys

import numpy
import onnxruntime
from PIL import Image, ImageOps

{% include "prepare.py" %}
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["signet"])["classes"]
[[logits]] = session.run(["logits"], {"input": x})
probabilities = numpy.exp(logits - logits.max())
probabilities /= probabilities.sum()
best = probabilities.argmax()
print(f"{classes[best]}  {100 * probabilities[best]:.2f} %")
