"""Arrays as numpy writes them: real numpy saves every kind that signet reads, and loads what `signet data npy` writes.

Part of check.py; alone it needs numpy and SIGNET (the binary).
"""
import itertools
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy

SIGNET = os.environ["SIGNET"]
HEIGHT, WIDTH = 4, 5
EXPERIMENT = "version: 1\nname: arrays\nmodel: {kind: ann}\ndata: {source: {kind: npy, images: X.npy, labels: Y.npy}, image: {height: 4, width: 5}}\n"
WHOLE = [f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)]
FLOATS = [f"{order}f{size}" for order in "<>" for size in (2, 4, 8)]


class Arrays(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.home = pathlib.Path(self.folder.name)
        (self.home / "own.yaml").write_text(EXPERIMENT)
        self.random = numpy.random.default_rng(1)
        self.calls = 0

    def call(self, *overrides, code=0):
        """What `signet data npy` wrote: images, labels, and its words."""
        out = self.home / f"out-{self.calls}"
        self.calls += 1
        settings = [word for override in overrides for word in ("-s", override)]
        call = [SIGNET, "data", "npy", "own.yaml", out, *settings]
        answer = subprocess.run(call, capture_output=True, text=True, cwd=self.home)
        self.assertEqual(answer.returncode, code, (overrides, answer.stderr))
        if code:
            self.assertEqual(answer.stderr.count("\n"), 1, answer.stderr)
            return answer.stderr
        return numpy.load(out / "X.npy"), numpy.load(out / "Y.npy"), answer.stdout + answer.stderr

    def save(self, images, labels):
        numpy.save(self.home / "X.npy", images)
        numpy.save(self.home / "Y.npy", labels)

    def bytes(self, *shape):
        return self.random.integers(0, 256, shape, dtype="uint8")

    def check(self, images, labels, *overrides, message=None):
        """signet's rows come class by class, and in each class in the order of the file."""
        found, numbers, words = self.call(*overrides)
        order = numpy.argsort(labels, kind="stable")
        numpy.testing.assert_array_equal(numbers, labels[order], err_msg=message)
        self.assertEqual(found.dtype, numpy.float32)
        numpy.testing.assert_array_equal(found, images[order], err_msg=message)
        return words

    def test_images_of_every_type_come_back_bit_for_bit(self):
        labels = numpy.array([1, 0, 2, 1, 0, 2])
        pixels = self.bytes(6, HEIGHT, WIDTH)
        pixels[0, 0, :2] = 0, 255
        for kind in WHOLE:
            fitting = pixels // 2 if kind.endswith("i1") else pixels
            self.save(fitting.astype(kind), labels)
            self.check(fitting.astype("float32") / numpy.float32(255), labels, message=kind)
        for kind in FLOATS:
            numbers = (pixels / 255).astype(kind)
            self.save(numbers, labels)
            self.check(numbers.astype("float32"), labels, message=kind)
        self.save(pixels > 99, labels)
        self.check((pixels > 99).astype("float32"), labels, message="bool")

    def test_images_of_every_layout_and_order_are_the_same_images(self):
        labels = numpy.array([1, 0, 2, 1, 0, 2])
        grey, colour = self.bytes(6, HEIGHT, WIDTH), self.bytes(6, HEIGHT, WIDTH, 3)
        rgb = "data.image.channels=rgb"
        layouts = {
            "NHW": (grey, grey), "NHW1": (grey[..., None], grey), "N1HW": (grey[:, None], grey),
            "NHWC": (colour, colour, rgb), "NCHW": (numpy.moveaxis(colour, -1, 1), colour, rgb),
        }
        for name, (saved, images, *overrides) in layouts.items():
            expected = images.astype("float32") / numpy.float32(255)
            for order in "CF":
                for kind in ["u1", ">i4", "f8"]:
                    self.save(numpy.array(saved / 255 if kind == "f8" else saved, dtype=kind, order=order), labels)
                    self.check(expected, labels, *overrides, message=f"{name} {order} {kind}")

    def test_labels_of_every_type_and_shape_are_the_same_labels(self):
        labels = numpy.array([1, 0, 11, 10, 2, 9, 3, 8, 4, 7, 5, 6])
        images = self.bytes(12, HEIGHT, WIDTH)
        expected = images.astype("float32") / numpy.float32(255)
        hot = numpy.eye(12)[labels]
        shapes = itertools.cycle([((12,), "C"), ((12, 1), "C"), ((12, 1), "F")])
        for kind, (shape, order) in zip([*WHOLE, *FLOATS, "U2", ">U7", "S2"], shapes):
            self.save(images, numpy.array(labels.reshape(shape).astype(kind), order=order))
            self.check(expected, labels, message=f"{kind} {shape}")
        for kind, order in zip([*WHOLE, *FLOATS, "?"], itertools.cycle("CF")):
            self.save(images, numpy.array(hot.astype(kind), order=order))
            self.check(expected, labels, message=f"one-hot {kind} {order}")
        self.save(images, labels > 5)
        self.check(expected, (labels > 5).astype(int), message="bool")

    def test_names_are_classes_and_negative_numbers_too(self):
        images = self.bytes(6, HEIGHT, WIDTH)
        expected = images.astype("float32") / numpy.float32(255)
        for labels in [["hund", "affe", "zebra"] * 2, ["ä", "a", "日本"] * 2]:
            self.save(images, numpy.array(labels))
            classes = sorted(set(labels))
            words = self.check(expected, numpy.array([classes.index(label) for label in labels]))
            self.assertIn(", ".join(classes), words)
        self.save(images, numpy.array([1, -1, 1, -10, -1, -10]))
        words = self.check(expected, numpy.array([2, 1, 2, 0, 1, 0]))
        self.assertIn("-10, -1, 1", words)
        self.save(images, numpy.array([1, -1, 1, -1, -1, 1]))
        self.check(expected, numpy.array([0, 1, 0, 1, 1, 0]), "data.source.label_map={a: 1, b: -1}")

    def test_labels_beyond_the_whole_numbers_of_floats_stay_apart(self):
        images = self.bytes(6, HEIGHT, WIDTH)
        expected = images.astype("float32") / numpy.float32(255)
        near = [2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2, 2**53 + 1, 2**53]
        for kind in ["<i8", ">i8", "u8"]:
            self.save(images, numpy.array(near, dtype=kind))
            words = self.check(expected, numpy.array([0, 1, 3, 2, 1, 0]), message=kind)
            self.assertIn(f"{2**53}, {2**53 + 1}, {2**63 - 2}, {2**63 - 1}", words)
        top = [2**64 - 1, 2**64 - 2] * 3
        self.save(images, numpy.array(top, dtype="u8"))
        self.check(expected, numpy.array([1, 0] * 3))

    def test_archives_are_read_packed_or_not(self):
        labels = numpy.array([1, 0, 2, 1, 0, 2])
        images = self.bytes(6, HEIGHT, WIDTH)
        expected = images.astype("float32") / numpy.float32(255)
        named = ["data.source.images=all.npz/x_train", "data.source.labels=all.npz/y_train.npy"]
        for save in [numpy.savez, numpy.savez_compressed]:
            for order in "CF":
                save(self.home / "all.npz", x_train=numpy.array(images, order=order), y_train=labels, x_test=images[:1])
                self.check(expected, labels, *named, message=f"{save.__name__} {order}")
            save(self.home / "one.npz", images)
            save(self.home / "labels.npz", labels)
            self.check(expected, labels, "data.source.images=one.npz", "data.source.labels=labels.npz")
        said = self.call("data.source.images=all.npz", named[1], code=3)
        self.assertIn('"x_test" ([1, 4, 5] uint8), "x_train" ([6, 4, 5] uint8), "y_train" ([6] int64)', said)
        self.assertIn("data.source.images: all.npz/x_t", said)

    def test_the_line_of_numpy_that_a_refusal_gives_makes_it_read(self):
        images, labels = self.bytes(6, HEIGHT, WIDTH), numpy.array([1, 0, 2, 1, 0, 2])
        images[0, 0, :2] = 0, 255
        scaled = images / 255
        objects = numpy.empty(6, dtype=object)  # as numpy.array makes of images of several sizes
        objects[:] = list(images)
        record = numpy.zeros(6, dtype=[("image", "u1", (HEIGHT, WIDTH)), ("label", "i8")])
        record["image"] = images
        cases = {
            "floats in 0..255": (images.astype("float32"), scaled),
            "uint16": (images.astype("uint16") * 257, scaled),
            "floats in -1..1": (scaled * 2 - 1, scaled),
            "objects": (objects, scaled),
            "records": (record, scaled),
            "complex": (scaled.astype("complex64"), scaled),
            "long doubles": (scaled.astype("longdouble"), scaled),
            "flat": (images.reshape(6, -1), scaled),
            "images last": (numpy.moveaxis(images, 0, -1), scaled),
            "not a number": (numpy.where(images == 7, numpy.nan, scaled), numpy.where(images == 7, 0, scaled)),
        }
        for name, (saved, expected) in cases.items():
            self.save(saved, labels)
            found, _, _ = self.converted("images")
            order = numpy.argsort(labels, kind="stable")
            numpy.testing.assert_allclose(found, expected[order], atol=1e-6, err_msg=name)
        soft = numpy.full((6, 3), 0.1)
        soft[range(6), labels] = 0.8
        cases = {
            "row": labels[None], "square": labels.reshape(2, 3), "cube": labels[:, None, None], "soft": soft, "objects": labels.astype(object),
            "transposed": numpy.eye(3)[labels].T, "nearly whole": labels + 0.01,
        }
        for name, saved in cases.items():
            self.save(images, saved)
            _, numbers, _ = self.converted("labels")
            numpy.testing.assert_array_equal(numbers, numpy.sort(labels), err_msg=name)

    def converted(self, key):
        """Runs the line of numpy in a refusal, and reads what it wrote."""
        said = self.call(code=3)
        line = said[said.index("numpy.save("):]
        end = next(at for at in range(len(line)) if line[at] == ")" and line[: at + 1].count("(") == line[: at + 1].count(")"))
        before = os.getcwd()
        os.chdir(self.home)
        try:
            exec(line[: end + 1], {"numpy": numpy})
        finally:
            os.chdir(before)
        return self.call(f"data.source.{key}=new.npy")


if __name__ == "__main__":
    unittest.main(verbosity=2)
