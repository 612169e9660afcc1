"""JPEG files that are decoded in part, held against Pillow's `draft`.

Part of check.py; alone it needs Pillow, numpy and SIGNET (the binary).
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy
from PIL import Image, ImageOps

SIGNET = os.environ["SIGNET"]

EXPERIMENT = """version: 1
data:
  source: {kind: class_folders, root: data}
  image: {height: 24, width: 32, channels: CHANNELS, decode: scaled}
model: {kind: ann}
"""


def photo(random, width, height, mode):
    small = random.integers(0, 256, (max(height // 20, 2), max(width // 20, 2), 4), dtype="u1")
    image = Image.fromarray(small, "CMYK").resize((width, height), Image.BICUBIC)
    return image if mode == "CMYK" else image.convert(mode)


class Scaled(unittest.TestCase):
    def test_images_decoded_in_part_are_those_of_pillows_draft(self):
        random = numpy.random.default_rng(4)
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            for label in "01":
                (home / "data" / label).mkdir(parents=True)
            number = 0
            # Just below, at and above where Pillow takes another scale, and sides that no scale divides.
            for size in [(30, 20), (127, 95), (128, 96), (255, 200), (256, 192), (513, 400), (512, 384), (1031, 777), (2000, 300)]:
                for mode in ["RGB", "L", "CMYK"]:
                    for options in [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}]:
                        exif = Image.Exif()
                        exif[0x0112] = 1 + number % 8
                        image = photo(random, *size, mode)
                        image.save(home / f"data/{number % 2}/{number:03}.jpg", quality=85, exif=exif, **options)
                        number += 1
            files = sorted(home.glob("data/*/*.jpg"))
            self.assertEqual(len(files), 81)
            for channels, mode in [("gray", "L"), ("rgb", "RGB")]:
                (home / "own.yaml").write_text(EXPERIMENT.replace("CHANNELS", channels))
                subprocess.run([SIGNET, "data", "npy", "own.yaml", channels], cwd=home, check=True, capture_output=True)
                found = numpy.load(home / channels / "X.npy").reshape(81, 24, 32, -1) * 255
                smaller = 0
                for file, own in zip(files, found):
                    image = Image.open(file)
                    lies = image.getexif()[0x0112] > 4
                    before = image.size
                    image.draft(None, (48, 64) if lies else (64, 48))
                    smaller += image.size != before
                    image = ImageOps.exif_transpose(image).convert(mode).resize((32, 24), Image.BILINEAR)
                    expected = numpy.asarray(image).reshape(24, 32, -1).astype(int)
                    difference = numpy.abs(expected - own).max()
                    self.assertLess(difference, 1.01, f"{file.name} {channels}: {before} lies {lies}")
                self.assertGreater(smaller, 40, "most are decoded in part")


if __name__ == "__main__":
    unittest.main()
