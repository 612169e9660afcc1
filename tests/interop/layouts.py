"""JPEG files of every layout: (name, width, height, bytes), nearly all of them valid.

Whether they can be read is not said here, Pillow is asked; but `UNSUPPORTED` says which of those that it refuses, or that
its libjpeg-turbo reads and others do not, are no damage.
"""
import functools
import io
import itertools
import random
import struct

import numpy
from PIL import Image

import jpegs
from jpegs import adobe, comment, jfif

ONE, TWO = (1, 1), (2, 2)
FACTORS = list(itertools.product(range(1, 5), repeat=2))
USUAL = {
    "4:4:4": [ONE, ONE, ONE], "4:2:2": [(2, 1), ONE, ONE], "4:4:0": [(1, 2), ONE, ONE],
    "4:2:0": [TWO, ONE, ONE], "4:1:1": [(4, 1), ONE, ONE], "4:1:0": [(4, 2), ONE, ONE],
}  # fmt: skip
# Words in the names of files that are valid, and of a kind that a decoder may lack.
UNSUPPORTED = [
    "fractional", "of two components", "of five components", "12 bits", "lossless", "arithmetic", "hierarchical",
    "other quantisation tables between scans",
]


def drawn(width, height, content, seed=0):
    """An image [height, width, 3] with long slopes, with sharp edges, or of noise."""
    y, x = numpy.mgrid[:height, :width]
    if content == "slopes":
        levels = [255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), 127 + 127 * numpy.cos((x + 2 * y) / 9)]
    elif content == "edges":
        levels = [255 * ((x // 5 + y // 3) % 2), 255 * (x * 2 > y * 5), 255 * ((x - 20) ** 2 + (y - 9) ** 2 < 60)]
    else:
        levels = numpy.random.default_rng(seed).integers(0, 256, (3, height, width))
    return numpy.stack(list(levels), 2).astype(numpy.uint8)


def fractional(sampling):
    return any(max(factors) % factor for factors in zip(*sampling) for factor in factors)


def blocks(sampling):
    return sum(h * v for h, v in sampling)


def told(sampling):
    return " ".join(f"{h}x{v}" for h, v in sampling)


def of(width, height, sampling, model="YCbCr", content="slopes", seed=0, **keywords):
    planes = jpegs.colours(drawn(width, height, content, seed), sampling, model)
    return jpegs.encode(width, height, planes, sampling, **keywords)


SCANS = {"one scan": None, "one scan each": [[0], [1], [2]], "luma apart": [[0], [1, 2]], "Cr apart": [[0, 1], [2]]}
PROGRESSIVE = {"marker": jpegs.SOF2, "bands": ((0, 0), (1, 5), (6, 63))}


def fits(sampling, scans):
    """No scan of several components may have more than ten blocks an MCU (B.2.3)."""
    return all(len(members) == 1 or blocks([sampling[c] for c in members]) <= 10 for members in scans or [range(len(sampling))])


def samplings():
    width, height = 67, 21
    for luma in FACTORS:
        for name, scans in [("one scan", None), ("one scan each", [[0], [1], [2]])]:
            sampling = [luma, ONE, ONE]
            if fits(sampling, scans):
                yield f"{told(sampling)}, {name}", width, height, of(width, height, sampling, scans=scans, markers=[jfif()])
    chance = random.Random(1)
    whole = [s for s in itertools.product(FACTORS, repeat=3) if not fractional(s)]
    broken = [s for s in itertools.product(FACTORS, repeat=3) if fractional(s)]
    for number, sampling in enumerate(chance.sample(whole, 180)):
        name, scans = chance.choice([pair for pair in SCANS.items() if fits(sampling, pair[1])])
        content, restart = ["slopes", "edges", "noise"][number % 3], chance.choice([0, 0, 1, 2, 3, 7, 100])
        quality, progressive = chance.choice([10, 50, 75, 90, 100]), number % 4 == 3
        tables = [jpegs.scaled(jpegs.LUMINANCE, quality), jpegs.scaled(jpegs.CHROMINANCE, quality)]
        more = {"scans": scans, "restart": restart, "tables": tables, "markers": [jfif()], **(PROGRESSIVE if progressive else {})}
        what = f"{content} at {quality}, restart {restart}{', progressive' if progressive else ''}"
        yield f"{told(sampling)}, {name}, {what}", width, height, of(width, height, sampling, content=content, seed=number, **more)
    for number, sampling in enumerate([[(3, 1), (2, 1), ONE], *chance.sample(broken, 19)]):
        scans = None if fits(sampling, None) and number % 2 else [[0], [1], [2]]
        yield f"fractional {told(sampling)}", width, height, of(width, height, sampling, scans=scans, markers=[jfif()])
    for sampling in [[(4, 3), ONE, ONE], [TWO, TWO, TWO], [(4, 4), (4, 4), (4, 4)], [(4, 2), (2, 1), ONE]]:
        yield f"more than ten blocks an MCU, {told(sampling)}", width, height, of(width, height, sampling, markers=[jfif()])


def sizes():
    for width, height in [(1, 1), (2, 2), (3, 5), (16, 1), (1, 16), (17, 16), (33, 50)]:
        for (name, sampling), (how, scans) in itertools.product(USUAL.items(), list(SCANS.items())[:2]):
            if fits(sampling, scans):
                yield f"{name}, {how}", width, height, of(width, height, sampling, scans=scans, markers=[jfif()])
        yield "grey", width, height, of(width, height, [ONE], "grey", markers=[jfif()])
        yield "chroma finer than luma", width, height, of(width, height, [ONE, TWO, (1, 2)], markers=[jfif()])
        yield "progressive 4:2:0", width, height, of(width, height, USUAL["4:2:0"], markers=[jfif()], **PROGRESSIVE)


def colour_models():
    width, height = 17, 16
    marked = {"no Adobe": [], **{f"Adobe {number}": [adobe(number)] for number in [0, 1, 2, 7]}}
    exif = jpegs.segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    for (name, own), place in itertools.product(marked.items(), ["no JFIF", "behind JFIF", "before JFIF"]):
        markers = {"no JFIF": own, "behind JFIF": [jfif(), *own], "before JFIF": [*own, jfif()]}[place]
        if not own and place == "before JFIF":
            continue
        for ids in [(1, 2, 3), (0, 1, 2), tuple(b"RGB"), tuple(b"rgb"), (3, 2, 1)]:
            for model in ["YCbCr", "RGB"] if ids == (1, 2, 3) else ["RGB"]:
                title = f"{name} {place}, ids {ids}, {model} inside"
                yield title, width, height, of(width, height, [ONE] * 3, model, "edges", markers=markers, ids=ids)
        for model, luma in [("CMYK", ONE), ("YCCK", ONE), ("YCCK", TWO)]:
            sampling = [luma, ONE, ONE, luma]
            for how, scans in [("one scan", None), ("one scan each", [[0], [1], [2], [3]])]:
                title = f"{name} {place}, four components {told(sampling)}, {how}, {model} inside"
                yield title, width, height, of(width, height, sampling, model, "edges", markers=markers, scans=scans)
        title = f"{name} {place}, EXIF first"
        yield title, width, height, of(width, height, USUAL["4:2:0"], markers=[exif, *markers])
        yield f"{name} {place}, EXIF last", width, height, of(width, height, USUAL["4:2:0"], markers=[*markers, exif])
        yield f"{name} {place}, grey", width, height, of(width, height, [ONE], "grey", markers=markers)
    rgb = {"width": width, "height": height, "sampling": [ONE] * 3, "model": "RGB", "content": "edges"}
    for title, more in {
        "Adobe 0 cut to 11 bytes": {"markers": [adobe(0, 11)]},
        "Adobe 0 with a tail": {"markers": [jpegs.segment(0xEE, adobe(0)[4:] + b"tail")]},
        "Adobe 0 in APP13": {"markers": [jpegs.segment(0xED, adobe(0)[4:])]},
        "adobe in small letters": {"markers": [jpegs.segment(0xEE, adobe(0)[4:].lower())]},
        "Adobe 0 behind the frame": {"before_scan": [adobe(0)]},
        "Adobe 0 behind the first scan": {"between": [adobe(0)], "scans": [[0], [1], [2]]},
        "Adobe 1 then 0": {"markers": [adobe(1), adobe(0)]},
        "Adobe 0 then 1": {"markers": [adobe(0), adobe(1)]},
        "JFIF cut to 7 bytes, Adobe 0": {"markers": [jfif(cut=7), adobe(0)]},
        "JFIF cut to 13 bytes, Adobe 0": {"markers": [jfif(cut=13), adobe(0)]},
        "JFIF of version 2, Adobe 0": {"markers": [jfif(0x0200), adobe(0)]},
        "JFIF behind the frame, Adobe 0 before": {"markers": [adobe(0)], "before_scan": [jfif()]},
        "JFXX and Adobe 0": {"markers": [jpegs.segment(0xE0, b"JFXX\0\x13" + bytes(9)), adobe(0)]},
        "ids RGB, JFIF cut to 7 bytes": {"markers": [jfif(cut=7)], "ids": tuple(b"RGB")},
    }.items():
        yield title, width, height, of(**rgb, **more)


def frames():
    width, height = 33, 50
    sampling = USUAL["4:2:0"]
    three = [jpegs.scaled(jpegs.LUMINANCE, 95), jpegs.scaled(jpegs.CHROMINANCE, 40), jpegs.scaled(jpegs.LUMINANCE, 20)]
    coarse = [numpy.clip(jpegs.LUMINANCE * 9, 1, 1023), numpy.clip(jpegs.CHROMINANCE * 5, 1, 1023)]
    each = [[0], [1], [2]]
    again = [jpegs.quantisation(table, number) for number, table in enumerate(three[1:])]
    for title, more in {
        "extended sequential": {"marker": jpegs.SOF1},
        "extended sequential, one scan each": {"marker": jpegs.SOF1, "scans": each},
        "three quantisation tables": {"tables": three, "table_of": (0, 1, 2)},
        "four quantisation tables, one unused": {"tables": [*three, three[0]], "table_of": (3, 1, 2)},
        "one quantisation table": {"tables": three[:1], "table_of": (0, 0, 0)},
        "one pair of Huffman tables": {"huffman_of": (0, 0, 0)},
        "16 bits a step, baseline": {"tables": coarse, "wide": True},
        "16 bits a step, extended": {"tables": coarse, "wide": True, "marker": jpegs.SOF1},
        "steps of one": {"tables": [numpy.ones((8, 8), int)] * 2},
        "steps of 255": {"tables": [numpy.full((8, 8), 255)] * 2, "content": "noise"},
        "comments": {"markers": [jfif(), comment(), comment(b"")], "before_scan": [comment()], "between": [comment()], "scans": each},
        "fill bytes before markers": {"markers": [jfif(), b"\xff" * 3], "before_scan": [b"\xff"], "between": [b"\xff"], "scans": each},
        "tables told again between scans": {"scans": each, "between": [jpegs.quantisation(jpegs.scaled(jpegs.CHROMINANCE, 90), 1)]},
        "other quantisation tables between scans": {"scans": each, "between": again},
        "scans in another order": {"scans": [[2], [0], [1]]},
        "components of a scan in another order": {"scans": [[2, 0, 1]]},
        "restart interval 1": {"restart": 1},
        "restart interval 65535": {"restart": 65535},
        "restart intervals, one scan each": {"restart": 3, "scans": each},
        "restart interval told anew": {"scans": each, "between": [jpegs.restarts(0)]},
        "restart interval 0 told": {"markers": [jfif(), jpegs.restarts(0)]},
        "progressive in two bands": {"marker": jpegs.SOF2, "bands": ((0, 0), (1, 63))},
        "progressive, DC one scan each": {"scans": each, **PROGRESSIVE},
        "progressive with restarts": {"restart": 2, **PROGRESSIVE},
        "every id 1": {"ids": (1, 1, 1)},
        "ids 255 0 128": {"ids": (255, 0, 128)},
        "12 bits, extended": {"marker": jpegs.SOF1, "precision": 12},
        "12 bits, baseline": {"precision": 12},
        "12 bits, progressive": {"precision": 12, **PROGRESSIVE},
        "arithmetic, sequential": {"marker": jpegs.SOF9},
        "arithmetic, progressive": {**PROGRESSIVE, "marker": jpegs.SOF10},
        "hierarchical, sequential": {"marker": 0xC5},
        "hierarchical, progressive": {"marker": 0xC6},
        "hierarchical, lossless": {"marker": 0xC7},
        "hierarchical, arithmetic": {"marker": 0xCD},
        "lossless and arithmetic": {"marker": 0xCB},
    }.items():
        yield title, width, height, of(width, height, sampling, **{"markers": [jfif()], **more})
    for factors in FACTORS:
        yield f"grey {told([factors])}", width, height, of(width, height, [factors], "grey", markers=[jfif()], restart=factors[0] - 1)
    for restart in range(1, 9):
        data = of(width, height, [(2, 1), ONE, ONE], content="noise", restart=restart, markers=[jfif()])
        yield f"4:2:2, restart interval {restart}", width, height, data
    image = drawn(width, height, "edges")
    for model in ["RGB", "grey"]:
        planes = jpegs.colours(image, [ONE] * 3, model)
        yield f"lossless, {model}", width, height, jpegs.lossless(width, height, planes, markers=[adobe(0)] if model == "RGB" else [])
    planes = jpegs.colours(image, [ONE] * 4, "CMYK")
    yield "of two components", width, height, jpegs.encode(width, height, planes[:2], [ONE] * 2)
    alike = {"ids": (1, 2, 3, 4, 5), "table_of": [0] * 5, "huffman_of": [0] * 5, "scans": [[0], [1], [2], [3], [4]]}
    yield "of five components", width, height, jpegs.encode(width, height, [*planes, planes[0]], [ONE] * 5, **alike)
    for title, sampling in {
        "all 2x2": [TWO] * 4, "K alone finer": [ONE, ONE, ONE, (2, 1)], "mixed": [(2, 1), (1, 2), ONE, TWO],
        "colours coarser": [TWO, ONE, ONE, TWO],
    }.items():  # fmt: skip
        for model, transform in [("CMYK", 0), ("YCCK", 2)]:
            data = of(width, height, sampling, model, markers=[adobe(transform)], scans=[[0], [1], [2], [3]], restart=4)
            yield f"four components, {title}, {model}", width, height, data


def pillows():
    """Written by Pillow, that is by libjpeg-turbo: what most of the world's files are."""
    width, height = 64, 40
    plain = Image.fromarray(drawn(width, height, "slopes"))
    noisy = Image.fromarray(drawn(width, height, "noise"))

    def saved(image, **keywords):
        file = io.BytesIO()
        image.save(file, "JPEG", **keywords)
        return file.getvalue()

    def case(title, image, **keywords):
        return title, width, height, saved(image, **keywords)

    for quality in range(1, 101, 3):
        image = noisy if quality % 2 else plain
        for number, subsampling in enumerate(["4:4:4", "4:2:2", "4:2:0"]):
            progressive, optimize = (quality // 3 + number) % 2 == 0, (quality // 3 + number) % 3 == 0
            title = f"Pillow {quality} {subsampling}{' progressive' * progressive}{' optimised' * optimize}"
            yield case(title, image, quality=quality, subsampling=subsampling, progressive=progressive, optimize=optimize)
    for progressive in [False, True]:
        word = "progressive" if progressive else "sequential"
        yield case(f"Pillow grey {word}", plain.convert("L"), progressive=progressive)
        yield case(f"Pillow restarts by blocks {word}", plain, restart_marker_blocks=3, progressive=progressive)
        yield case(f"Pillow restarts by rows {word}", plain, restart_marker_rows=1, progressive=progressive)
        yield case(f"Pillow RGB kept {word}", plain, keep_rgb=True, progressive=progressive)
        yield case(f"Pillow with dpi and comment {word}", plain, dpi=(300, 300), comment="of a test", progressive=progressive)
        for quality in [30, 90]:
            cmyk = saved(plain.convert("CMYK"), quality=quality, progressive=progressive)
            at = cmyk.index(b"Adobe") + 11
            for transform in [0, 1, 2]:
                data = cmyk[:at] + bytes([transform]) + cmyk[at + 1 :]
                yield f"Pillow CMYK {quality} {word}, Adobe {transform}", width, height, data
            yield f"Pillow CMYK {quality} {word}, no Adobe", width, height, cmyk.replace(b"Adobe", b"adobe")


@functools.cache
def all_layouts():
    return [*samplings(), *sizes(), *colour_models(), *frames(), *pillows()]


def damaged():
    """(kind, width, height, bytes) of files in which something is amiss, made from four valid ones."""
    width, height = 64, 40
    image = Image.fromarray(drawn(width, height, "noise"))

    def saved(**keywords):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=80, **keywords)
        return file.getvalue()

    valid = [saved(), saved(progressive=True), of(width, height, [ONE, TWO, ONE], content="noise", restart=2, scans=[[0], [1], [2]])]
    valid += [of(width, height, USUAL["4:2:0"], content="noise", restart=1, markers=[jfif()])]
    chance = random.Random(2)
    for data in valid:
        start = data.index(b"\xff\xda")  # the first scan's header
        scan = start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0]
        for part in range(1, 40):
            yield "cut", width, height, data[: len(data) * part // 40]
        yield "cut before the last byte of EOI", width, height, data[:-1]
        yield "cut before EOI", width, height, data[:-2]
        for less in [3, 4, 5, 8, 20]:
            yield "cut shortly before EOI", width, height, data[:-less]
        for part in range(1, 20):
            yield "ends early, with EOI", width, height, data[: scan + (len(data) - 2 - scan) * part // 20] + jpegs.EOI
        for count in [1, 4, 64]:
            for _ in range(8):
                at = chance.randrange(scan, len(data) - count - 2)
                yield f"{count} bytes of zero in the scan", width, height, data[:at] + bytes(count) + data[at + count :]
                yield f"{count} bytes missing in the scan", width, height, data[:at] + data[at + count :]
        for tail in [b"\0", b"\n", b"tail of a download", bytes(1000), b"\xff\xd8\xff", data]:
            yield "behind EOI", width, height, data + tail
        for extra in [b"\0", b"extra", bytes(100)]:
            yield "extra bytes before EOI", width, height, data[:-2] + extra + data[-2:]
            yield "extra bytes before the first scan", width, height, data[:start] + extra + data[start:]
            yield "extra bytes behind SOI", width, height, data[:2] + extra + data[2:]
        for fill in [b"\xff", b"\xff" * 50]:
            yield "fill bytes before EOI", width, height, data[:-2] + fill + data[-2:]
        yield "EOI twice", width, height, data + jpegs.EOI
        yield "SOI twice", width, height, data[:2] + data
        yield "no Huffman tables", width, height, data.replace(b"\xff\xc4", b"\xff\xfe")
        yield "no quantisation tables", width, height, data.replace(b"\xff\xdb", b"\xff\xfe")
        places = [at for at in range(scan, len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
        for at in places[:: max(1, len(places) // 5)]:
            yield "a restart marker missing", width, height, data[:at] + data[at + 2 :]
            yield "a restart marker out of order", width, height, data[: at + 1] + bytes([0xD0 + (data[at + 1] + 3) % 8]) + data[at + 2 :]
            yield "a restart marker twice", width, height, data[:at] + data[at : at + 2] + data[at:]
            yield "extra bytes before a restart marker", width, height, data[:at] + b"extra" + data[at:]
        seconds = [at for at in range(scan, len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
        for at in seconds:
            yield "later scans missing", width, height, data[:at] + jpegs.EOI
