"""How signet grows: from hundreds to hundreds of thousands of images, in memory and from the disk, and colour images that no
memory holds under a real limit. And how fast 12-megapixel JPEGs become images, against Pillow.

Run by `scripts/bench --scale`; `--most N` stops earlier. It needs Pillow, numpy and SIGNET (the binary), some 4 GB of disk, and for
the limit a control group that it may make (root) or systemd-run.
"""
import argparse
import io
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import numpy
from PIL import Image

SIGNET = os.environ["SIGNET"]
LIMIT = 2 << 30

GREY = """version: 1
data:
  source: {kind: class_folders, root: ROOT}
  split: {kind: stratified, train: 0.8, val: 0.1, test: 0.1}
model: {kind: ann, hidden: [64]}
train: {epochs: 3, batch_size: 256}
log: {samples: none}
export: {on_finish: false}
"""

COLOUR = """version: 1
data:
  source: {kind: class_folders, root: ROOT}
  image: {height: 224, width: 224, channels: rgb}
  split: {kind: stratified, train: 0.8, val: 0.1, test: 0.1}
model: {kind: cnn, blocks: [{filters: 8, stride: 2}, {filters: 16}, {filters: 32}], hidden: []}
train: {epochs: 2, batch_size: 64}
log: {samples: none}
export: {on_finish: false}
"""


def call(arguments, home, group=None):
    """Seconds and peak memory in MiB of a call of signet, in a control group if one is named."""
    def enter():
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))
    began = time.monotonic()
    process = subprocess.Popen([SIGNET, *arguments], cwd=home, preexec_fn=enter, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{arguments}: {status}: {said}"
    return time.monotonic() - began, usage.ru_maxrss / 1024


def epochs(home, run):
    """Seconds of the epochs but the first, which also warms up."""
    lines = (home / run / "timing.jsonl").read_text().splitlines()
    seconds = [json.loads(line)["seconds"] for line in lines]
    return sum(seconds[1:]) / len(seconds[1:])


def linked(home, name, originals, count):
    """`count` images in two classes, whose files are the `originals` again and again."""
    root = home / name
    for number in range(count):
        original = originals[number % len(originals)]
        folder = root / original.parent.name / str(number // 20000)
        if number < len(originals) or number % 20000 < len(originals):
            folder.mkdir(parents=True, exist_ok=True)
        os.link(original, folder / f"{number:06}{original.suffix}")
    return root


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def grow(home, most):
    subprocess.run([SIGNET, "data", "generate", "drawn", "--images", "200", "--side", "64"], cwd=home, check=True, capture_output=True)
    originals = sorted((home / "drawn").glob("*/*.png"))
    row("images", "residency", "to the first step, s", "again, s", "epoch, s", "images/s", "peak, MiB")
    row(*["---"] + ["---:"] * 6)
    for count in [400, 4000, 40000, 400000]:
        if count > most:
            break
        root = linked(home, f"grey-{count}", originals, count)
        (home / "grey.yaml").write_text(GREY.replace("ROOT", str(root)))
        for residency, cache in [("memory", "none"), ("stream", "none"), ("stream", "cache")]:
            keys = ["-s", f"data.residency={residency}", "-s", f"data.cache={cache}"]
            first, _ = call(["train", "grey.yaml", "--dry-run", *keys], home)
            again, _ = call(["train", "grey.yaml", "--dry-run", *keys], home)
            run = f"run-{count}-{residency}-{cache}"
            _, peak = call(["train", "grey.yaml", "--run", run, "-q", *keys], home)
            epoch = epochs(home, run)
            name = residency if cache == "none" else "stream, cached"
            row(f"{count:,}", name, f"{first:.2f}", f"{again:.2f}", f"{epoch:.2f}", f"{0.9 * count / epoch:,.0f}", f"{peak:.0f}")
        shutil.rmtree(root)


def limited(home, most):
    random = numpy.random.default_rng(1)
    (home / "photos/0").mkdir(parents=True)
    (home / "photos/1").mkdir()
    for number in range(200):
        small = random.integers(0, 256, (12 + number % 2, 16, 3), dtype="u1")
        photo = Image.fromarray(small).resize((320, 240), Image.BICUBIC)
        photo.save(home / f"photos/{number % 2}/{number:03}.jpg", quality=88)
    count = min(20000, most)
    root = linked(home, "colour", sorted((home / "photos").glob("*/*.jpg")), count)
    (home / "colour.yaml").write_text(COLOUR.replace("ROOT", str(root)))
    group = pathlib.Path("/sys/fs/cgroup/memory/signet-scale")
    group.mkdir(exist_ok=True)
    try:
        (group / "memory.limit_in_bytes").write_text(str(LIMIT))
        row(f"{count:,} colour images of 224 x 224", "to the first step, s", "again, s", "epoch, s", "images/s", "peak RSS, MiB", "most of the group, MiB")
        row(*["---"] + ["---:"] * 6)
        for cache in ["none", "cache"]:
            keys = ["-s", f"data.cache={cache}"]
            first, _ = call(["train", "colour.yaml", "--dry-run", *keys], home, group)
            again, _ = call(["train", "colour.yaml", "--dry-run", *keys], home, group)
            (group / "memory.max_usage_in_bytes").write_text("0")
            run = f"colour-{cache}"
            _, peak = call(["train", "colour.yaml", "--run", run, "-q", *keys], home, group)
            most_used = int((group / "memory.max_usage_in_bytes").read_text()) >> 20
            epoch = epochs(home, run)
            row(f"cache: {cache}", f"{first:.1f}", f"{again:.1f}", f"{epoch:.1f}", f"{0.9 * count / epoch:,.0f}", f"{peak:.0f}", most_used)
    finally:
        group.rmdir()


def photos(home):
    """Images of 12 megapixels a second, on one processor; 64 of them, so that the start of signet is a small part."""
    random = numpy.random.default_rng(2)
    folder = home / "large"
    for label in "01":
        (folder / label).mkdir(parents=True)
    for number in range(16):
        small = random.integers(0, 256, (60, 80, 3), dtype="u1")
        photo = numpy.asarray(Image.fromarray(small).resize((4000, 3000), Image.BICUBIC)).astype(int)
        photo = (photo + random.normal(0, 3, photo.shape)).clip(0, 255).astype("u1")
        Image.fromarray(photo).save(folder / f"{number % 2}/{number}.jpg", quality=90)
        for again in range(3):
            os.link(folder / f"{number % 2}/{number}.jpg", folder / f"{number % 2}/{number}-{again}.jpg")
    files = sorted(folder.glob("*/*.jpg"))
    text = "version: 1\ndata: {source: {kind: class_folders, root: large}, image: {height: 224, width: 224, channels: rgb}}\nmodel: {kind: ann}\n"
    (home / "large.yaml").write_text(text)

    def by_pillow(scaled):
        began = time.monotonic()
        for file in files:
            image = Image.open(io.BytesIO(file.read_bytes()))
            if scaled:
                image.draft("RGB", (448, 448))
            image.convert("RGB").resize((224, 224), Image.BILINEAR)
        return len(files) / (time.monotonic() - began)

    def by_signet(decode):
        keys = ["data", "info", "large.yaml", "-s", f"data.image.decode={decode}"]
        began = time.monotonic()
        subprocess.run(["taskset", "-c", "0", SIGNET, *keys], cwd=home, check=True, capture_output=True)
        return time.monotonic() - began

    os.sched_setaffinity(0, {0})
    row("12-megapixel JPEGs a second, one processor", "full", "scaled")
    row("---", "---:", "---:")
    row("Pillow", *(f"{max(by_pillow(scaled) for _ in range(3)):.1f}" for scaled in [False, True]))
    row("signet", *(f"{len(files) / min(by_signet(decode) for _ in range(3)):.1f}" for decode in ["full", "scaled"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=400000, help="the largest number of images")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        for part in [lambda: grow(home, arguments.most), lambda: limited(home, arguments.most), lambda: photos(home)]:
            part()
            print()
