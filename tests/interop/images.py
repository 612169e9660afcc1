"""Other people's images: signet's pixels against Pillow's, for every layout, every orientation, every kind of damage.

`data npy` shows what signet reads; files of one size go in one call, so that nothing is resized. Run by check.py.
"""
import collections
import functools
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy
from PIL import Image, ImageOps

import layouts
import odd
import orientation
import pngs

SIGNET = os.environ["SIGNET"]
PREDICT = pathlib.Path(__file__).parent.parent.parent / "scripts" / "predict.py"
# What exif_transpose raises on a block of EXIF, a text or other tags that it cannot read or write again.
NO_ORIENTATION = (SyntaxError, struct.error, ValueError, TypeError, AttributeError)
# Pillow looks for the transparent level among levels of eight bits, whatever the depth it was written for.
KEY_OF_OTHER_DEPTH = ["2 bits grey, tRNS", "4 bits grey, tRNS", "16 bits grey, tRNS", "16 bits RGB, tRNS"]
SHAPES = [("square", 24, 24), ("oblong", 16, 24)]


def experiment(width, height, channels):
    return (
        "version: 1\nthreads: 1\ndevice: cpu\ndata:\n  source: {kind: class_folders, root: data}\n"
        f"  image: {{height: {height}, width: {width}, channels: {channels}}}\n"
        "  split: {train: 1.0, val: 0.0, test: 0.0}\n  on_bad_image: skip\n"
        "model: {kind: ann}\ntrain: {epochs: 1, batch_size: 4}\n"
    )


def answer_of(*call, folder):
    answer = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, f"{call[:4]}: {answer.returncode}: {answer.stderr[-2000:]}"
    return answer.stdout


def file_name(number, data):
    return f"{number:05}.png" if data.startswith(orientation.SIGNATURE) else f"{number:05}.jpg"


def signet_reads(files, width, height, channels="rgb", *settings):
    """What signet makes of `files` (name to bytes): levels [height, width, channels], or the reason why it left one out."""
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        for name, level in [("a", 10), ("b", 20)]:
            (home / "data" / name).mkdir(parents=True)
            Image.new("RGB", (width, height), (level,) * 3).save(home / "data" / name / "valid.png")
        placed = {file_name(number, data): data for number, data in enumerate(files.values())}
        for name, data in placed.items():
            (home / "data" / "a" / name).write_bytes(data)
        (home / "own.yaml").write_text(experiment(width, height, channels))
        call = [SIGNET, "--verbose", "data", "npy", "own.yaml", "out", *(word for setting in settings for word in ["-s", setting])]
        answer = subprocess.run(call, capture_output=True, cwd=home)
        said = answer.stderr.decode(errors="replace")
        if answer.returncode:
            # One file brings all the others down: which one?
            names = list(files)
            if len(names) == 1:
                return {names[0]: f"ends the program with {answer.returncode}: {said.strip()}"}
            half = len(names) // 2
            parts = [{name: files[name] for name in some} for some in [names[:half], names[half:]]]
            return {name: found for part in parts for name, found in signet_reads(part, width, height, channels, *settings).items()}
        read = numpy.load(home / "out" / "X.npy")
    reasons = {}
    for line in said.splitlines():
        for place in line.split():
            name = place.strip(":,;").rsplit("/", 1)[-1]
            if name in placed:
                reasons[name] = line.split(place, 1)[1].strip()
    levels = iter(numpy.rint(read * 255).astype(int).reshape(len(read), height, width, -1))
    found = [reasons[name] if name in reasons else next(levels) for name in placed]
    assert len(list(levels)) == 2, f"some of {len(files)} files were left out without being named:\n{said}"
    return dict(zip(files, found))


def opened(data):
    """The image as Pillow reads it, none where it refuses."""
    with warnings.catch_warnings(action="ignore"):
        try:
            image = Image.open(io.BytesIO(data))
            image.load()
            return image
        except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
            return None


def turned(data):
    """The image as exif_transpose turns it; none where Pillow refuses it or that raises."""
    image = opened(data)
    with warnings.catch_warnings(action="ignore"):
        try:
            return image and ImageOps.exif_transpose(image)
        except NO_ORIENTATION:
            return None


def rgb(image, background="black"):
    """Levels as scripts/predict.py takes them."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda level: level / 257 + 0.5).convert("L")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image.convert("RGBA"))
    return numpy.asarray(image.convert("RGB")).astype(int)


def grey(levels):
    """Luma as signet defines it, of Pillow's colours."""
    return (levels @ [299, 587, 114] + 500)[..., None] // 1000


def scaled(size, largest):
    """Of an image that becomes as large as it can within `largest`."""
    factor = min(most / side for side, most in zip(size, largest))
    return [side * factor for side in size]


def by_size(cases):
    """(width, height) to name to bytes"""
    sizes = collections.defaultdict(dict)
    for name, width, height, data in cases:
        sizes[width, height][name] = data
    return sizes


@functools.cache
def oriented(width, height):
    """Every case whose turned image has this size, name to bytes; then those that Pillow cannot make sense of.

    There it refuses the file for a side chunk, or raises over the orientation while the image itself can be read: signet
    may refuse, or read it as it lies, or turn it.
    """
    files, unsure = {}, {}
    for name, make in [*orientation.jpeg_cases(), *orientation.png_cases()]:
        data = make((width, height))
        image = turned(data)
        if image and image.size != (width, height):
            data = make((height, width))
        (files if image else unsure)[name] = data
    return files, unsure


class Comparison:
    """Files read by both, the differences of those that differ, the reasons of those refused, and what is wrong."""

    def __init__(self, what):
        self.what, self.compared, self.largest, self.unsure = what, 0, 0, 0
        self.refused, self.reasons, self.tolerated, self.wrong = collections.Counter(), collections.Counter(), [], []

    def pixels(self, name, found, wanted, tolerance=0):
        self.compared += 1
        if isinstance(found, str):
            self.wrong.append(f"{name}: refused: {found}")
            return
        difference = int(numpy.abs(found - wanted).max())
        self.largest = max(self.largest, difference)
        if difference > tolerance:
            self.wrong.append(f"{name}: differs by up to {difference} levels")
        elif difference:
            self.tolerated.append(name)

    def refusal(self, name, found, kind, words=""):
        self.refused[kind] += 1
        if not isinstance(found, str):
            self.wrong.append(f"{name}: was read")
            return
        self.reasons[found] += 1
        if words not in found or "ends the program" in found:
            self.wrong.append(f"{name}: not {words!r} but {found}")

    def end(self, test):
        refused = ", ".join(f"{count} {kind}" for kind, count in self.refused.items()) or "none"
        line = f"{self.what}: {self.compared} compared, largest difference {self.largest}; refused: {refused}"
        line += f"; {self.unsure} that Pillow makes no sense of" * bool(self.unsure) + f"; WRONG: {len(self.wrong)}" * bool(self.wrong)
        lines = [line, *(f"by one level: {name}" for name in self.tolerated)]
        lines += [f"{count} refused: {reason[:200]}" for reason, count in self.reasons.most_common(20)]
        print("\n  ".join(lines), file=sys.stderr)
        if self.wrong:
            test.fail("\n".join([f"{len(self.wrong)} wrong:", *self.wrong[:200], "and more" * (len(self.wrong) > 200)]))


class Images(unittest.TestCase):
    def test_every_layout_of_a_jpeg_has_the_pixels_of_libjpeg_turbo(self):
        for channels, seen in [("rgb", lambda levels: levels), ("gray", grey)]:
            with self.subTest(channels):
                result = Comparison(f"JPEG layouts, {channels}")
                for (width, height), files in by_size(layouts.all_layouts()).items():
                    for name, found in signet_reads(files, width, height, channels).items():
                        image = opened(files[name])
                        lacking = next((word for word in layouts.UNSUPPORTED if word in name), None)
                        if lacking and (image is None or isinstance(found, str)):
                            # Arithmetic coding is read; those files have Huffman codes under its header.
                            words = "bad arithmetic code" if "arithmetic code" in found else "unsupported"
                            result.refusal(f"{width}x{height} {name}", found, lacking, words)
                        elif image is None:
                            result.refusal(f"{width}x{height} {name}", found, "refused by Pillow as well")
                        else:
                            result.pixels(f"{width}x{height} {name}", found, seen(rgb(image)))
                self.assertGreater(result.compared, 700)
                result.end(self)

    def test_every_place_of_an_orientation_is_honoured_as_pillow_honours_it(self):
        for shape, width, height in SHAPES:
            with self.subTest(shape):
                result = Comparison(f"orientation, {shape}")
                files, unsure = oriented(width, height)
                for name, found in signet_reads(files, width, height).items():
                    result.pixels(name, found, rgb(turned(files[name])))
                for name, found in signet_reads(unsure, width, height).items():
                    result.unsure += 1
                    if isinstance(found, str) and "ends the program" in found:
                        result.wrong.append(f"{name}: {found}")
                self.assertGreater(result.compared, 1200)
                result.end(self)

    def test_predictions_of_the_script_the_run_and_both_artefacts_agree_on_every_orientation(self):
        for shape, width, height in SHAPES:
            with self.subTest(shape), tempfile.TemporaryDirectory() as folder:
                home = pathlib.Path(folder)
                for number in range(12):
                    place = home / "data" / "ab"[number % 2] / f"{number}.png"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(layouts.drawn(width, height, "noise", number)).save(place)
                (home / "own.yaml").write_text(experiment(width, height, "rgb"))
                exported = ["-s", "export.on_finish=true", "-s", "export.formats=[torchscript, onnx]"]
                answer_of(SIGNET, "train", "own.yaml", "--run", "run", *exported, folder=home)
                files, _ = oriented(width, height)
                names = [file_name(number, data) for number, data in enumerate(files.values())]
                for name, data in zip(names, files.values()):
                    (home / name).write_bytes(data)
                script = answer_of(sys.executable, "-W", "ignore", PREDICT, "run/export/model.pt", *names, folder=home)
                wanted = [tuple(line.removesuffix(" %").split("  ")) for line in script.splitlines()]
                self.assertEqual([name for name, _, _ in wanted], names)
                self.assertGreater(len({percent for _, _, percent in wanted}), 7, "turned images look alike to this model")
                for model in ["run", "run/export/model.pt", "run/export/model.onnx"]:
                    lines = answer_of(SIGNET, "predict", model, *names, "--format", "jsonl", folder=home).splitlines()
                    firsts = [(line["image"], line["classes"][0]) for line in map(json.loads, lines)]
                    ours = [(name, first["class"], f"{100 * first['probability']:.2f}") for name, first in firsts]
                    pairs = zip(files, ours, wanted)
                    differing = [f"{title}: {mine[1:]}, not {theirs[1:]}" for title, mine, theirs in pairs if mine != theirs]
                    print(f"predictions, {shape}, {model}: {len(ours)} compared, {len(differing)} differ", file=sys.stderr)
                    self.assertEqual(len(ours), len(names))
                    self.assertFalse(differing, "\n".join(differing[:50]))

    def test_a_truncated_jpeg_is_refused_and_a_harmless_tail_is_not(self):
        result = Comparison("damaged JPEGs")
        counts = collections.defaultdict(collections.Counter)
        cases = [(f"{number} {kind}", *case) for number, (kind, *case) in enumerate(layouts.damaged())]
        for (width, height), files in by_size(cases).items():
            for name, found in signet_reads(files, width, height).items():
                kind, image = name.split(" ", 1)[1], opened(files[name])
                pillow = "refused" if image is None or image.size != (width, height) else "read"
                signet = "refused" if isinstance(found, str) else "read"
                alike = pillow == signet == "read" and numpy.array_equal(found, rgb(image))
                counts[kind][f"Pillow {pillow}, signet {signet}{' alike' if alike else ''}"] += 1
                if isinstance(found, str) and "ends the program" in found:
                    result.wrong.append(f"{name}: {found}")
                elif kind.startswith("cut"):
                    result.refusal(name, found, "cut")
                elif kind in ["behind EOI", "fill bytes before EOI", "EOI twice"]:
                    result.pixels(name, found, rgb(image))
        for kind, count in counts.items():
            print(f"  {kind}: " + ", ".join(f"{number} {what}" for what, number in sorted(count.items())), file=sys.stderr)
        result.end(self)

    def test_every_format_has_the_levels_of_pillow_on_the_background_that_was_asked_for(self):
        files = dict(odd.kinds())
        self.assertGreater(len(files), 60)
        for channels, seen in [("rgb", lambda levels: levels), ("gray", grey)]:
            for background in ["black", "white", "#3060c0"]:
                with self.subTest(channels, background=background):
                    result = Comparison(f"odd files, {channels} on {background}")
                    found = signet_reads(files, odd.WIDTH, odd.HEIGHT, channels, f"data.image.background='{background}'")
                    for name, levels in found.items():
                        if name in odd.REFUSED:
                            result.refusal(name, levels, "of an unsupported kind", "is of an unsupported kind")
                        elif name in odd.UNSURE:
                            result.unsure += 1
                        else:
                            result.pixels(name, levels, seen(rgb(opened(files[name]), background)), 1)
                    result.end(self)

    def test_every_format_is_turned_as_pillow_turns_it(self):
        result = Comparison("odd files, turned")
        files = dict(odd.oriented())
        for name, found in signet_reads(files, odd.WIDTH, odd.HEIGHT).items():
            result.pixels(name, found, rgb(turned(files[name])))
        result.end(self)

    def test_images_of_any_ratio_are_fitted_as_pillow_fits_them(self):
        sides = [1, 2, 3, 17, 24, 31, 50, 150]
        files = {f"{width} x {height}": odd.saved(odd.drawn("RGB", 0, width, height), "PNG") for width in sides for height in sides}
        bilinear = Image.Resampling.BILINEAR
        ways = {
            "squeeze": lambda image, size, _: image.resize(size, bilinear),
            "crop": lambda image, size, _: ImageOps.fit(image, size, bilinear),
            "pad": lambda image, size, color: ImageOps.pad(image, size, bilinear, color=color),
        }
        for width, height in [(24, 24), (16, 25), (31, 9)]:
            for fit, way in ways.items():
                for background in ["black", "#f09020"]:
                    with self.subTest(fit, size=(width, height), background=background):
                        result = Comparison(f"{fit} to {width} x {height} on {background}")
                        settings = [f"data.image.fit={fit}", f"data.image.background='{background}'"]
                        for name, found in signet_reads(files, width, height, "rgb", *settings).items():
                            image = opened(files[name])
                            if fit == "pad" and not all(map(round, scaled(image.size, (width, height)))):
                                result.unsure += 1  # it leaves nothing of so thin an image, and signet a line
                                continue
                            wanted = numpy.asarray(way(image, (width, height), background)).astype(int)
                            result.pixels(name, found, wanted, 1)
                        result.end(self)

    def test_every_kind_of_png_has_the_levels_of_pillow(self):
        width, height = 21, 13
        files = dict(pngs.kinds(width, height))
        for channels, seen in [("rgb", lambda levels: levels), ("gray", grey)]:
            with self.subTest(channels):
                result = Comparison(f"PNG kinds, {channels}")
                for name, found in signet_reads(files, width, height, channels).items():
                    image = opened(files[name])
                    # Pillow drops the lower eight of sixteen bits of a colour, others round.
                    tolerance = 1 if name.startswith("16 bits") else 0
                    if name in KEY_OF_OTHER_DEPTH:
                        result.unsure += 1
                    else:
                        result.pixels(name, found, seen(rgb(image)), tolerance)
                result.end(self)


if __name__ == "__main__":
    unittest.main(verbosity=2)
