"""Images that look alike, made by Pillow: `signet data check` finds them, and no others.

Part of check.py; alone it needs Pillow, numpy and SIGNET (the binary).
"""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy
from PIL import Image, ImageEnhance

SIGNET = os.environ["SIGNET"]

EXPERIMENT = """version: 1
data: {source: {kind: class_folders, root: data}}
model: {kind: ann}
"""


def variants(image, random):
    """The same image as others have it, and whether it is to be found."""
    width, height = image.size
    noise = numpy.asarray(image).astype(int) + random.normal(0, 6, (height, width, 3)).round()
    yield "smaller", image.resize((width * 2 // 3, height * 2 // 3), Image.LANCZOS), {}
    yield "larger", image.resize((width * 2, height * 2), Image.BICUBIC), {}
    yield "jpeg", image, {"format": "JPEG", "quality": 50}
    yield "brighter", ImageEnhance.Brightness(image).enhance(1.15), {}
    yield "noise", Image.fromarray(noise.clip(0, 255).astype("u1")), {}
    yield "grey", image.convert("L"), {}
    yield "webp", image, {"format": "WEBP", "quality": 60}


class Findings(unittest.TestCase):
    def test_images_that_look_alike_are_found_and_no_others(self):
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            generate = ["data", "generate", "data", "--digits", "0,1,2,3,4", "--images", "80", "--side", "96"]
            subprocess.run([SIGNET, *generate], cwd=home, check=True, capture_output=True)
            (home / "own.yaml").write_text(EXPERIMENT)
            self.assertEqual(self.alike(home), [], "drawn signs are no two alike")
            random = numpy.random.default_rng(1)
            expected = []
            for number in range(21):
                original = home / f"data/{number % 5}/{3 * number:04}.png"
                image = Image.open(original).convert("RGB")
                name, image, options = list(variants(image, random))[number % 7]
                # In another class, and under a name that tells nothing.
                copy = home / f"data/{(number + 1) % 5}/x{number}.png"
                image.save(copy, **({"format": "PNG"} | options))
                expected.append(sorted(str(file.relative_to(home / "data")) for file in [original, copy]))
            self.assertEqual(self.alike(home), sorted(expected))

    def alike(self, home):
        answer = subprocess.run([SIGNET, "data", "check", "own.yaml", "--json", "-"], cwd=home, check=True, capture_output=True)
        found = [finding for finding in json.loads(answer.stdout)["findings"] if "equal" in finding["kind"]]
        return sorted(sorted(image["name"] for image in finding["images"]) for finding in found)


if __name__ == "__main__":
    unittest.main()
