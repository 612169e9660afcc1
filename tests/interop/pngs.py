"""Writes PNG files of every colour type, depth and order of rows (PNG 3rd edition, sections 8.1, 9.2, 11.2.1)."""
import itertools
import struct
import zlib

import numpy

from orientation import SIGNATURE, chunk

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
DEPTHS = {GREY: [1, 2, 4, 8, 16], RGB: [8, 16], PALETTE: [1, 2, 4, 8], GREY_ALPHA: [8, 16], RGB_ALPHA: [8, 16]}
NAMES = {GREY: "grey", RGB: "RGB", PALETTE: "palette", GREY_ALPHA: "grey and alpha", RGB_ALPHA: "RGB and alpha"}
# Figure 13, passes of Adam7: first row, first column, rows apart, columns apart.
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def rows(samples, depth):
    """Rows of [height, width, channels] samples behind filter types 0 and 2 (Up), in turns."""
    if not samples.size:
        return b""
    if depth == 16:
        lines = [row.astype(">u2").tobytes() for row in samples.reshape(len(samples), -1)]
    else:
        bits = (samples.reshape(len(samples), -1, 1) >> numpy.arange(depth)[::-1]) & 1
        lines = [numpy.packbits(row.reshape(-1)).tobytes() for row in bits]
    packed, above = b"", bytes(len(lines[0]))
    for number, line in enumerate(lines):
        packed += b"\2" + bytes((a - b) % 256 for a, b in zip(line, above)) if number % 2 else b"\0" + line
        above = line
    return packed


def encode(samples, depth, colour, interlaced=False, chunks=()):
    height, width, _ = samples.shape
    passes = [samples[y::down, x::across] for y, x, down, across in ADAM7] if interlaced else [samples]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    data = zlib.compress(b"".join(rows(part, depth) for part in passes))
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def kinds(width, height):
    """(name, bytes)"""
    for colour, interlaced in itertools.product(CHANNELS, [False, True]):
        for depth in DEPTHS[colour]:
            most = 2**depth
            samples = numpy.random.default_rng(depth).integers(0, most, (height, width, CHANNELS[colour]))
            samples[:, :, 0] = (numpy.arange(width) * (most - 1) // (width - 1))[None, :]
            name = f"{depth} bits {NAMES[colour]}{', interlaced' if interlaced else ''}"
            palette = numpy.random.default_rng(9).integers(0, 256, 3 * most, dtype=numpy.uint8).tobytes() if colour == PALETTE else b""
            before = [chunk(b"PLTE", palette)] if palette else []
            yield name, encode(samples, depth, colour, interlaced, before)
            if interlaced:
                continue
            key = {GREY: struct.pack(">H", int(samples[0, 3, 0])), RGB: struct.pack(">3H", *map(int, numpy.resize(samples[0, 3], 3)))}
            clear = bytes(255 - index % 256 for index in range(most)) if colour == PALETTE else key.get(colour)
            if clear:
                yield f"{name}, tRNS", encode(samples, depth, colour, chunks=[*before, chunk(b"tRNS", clear)])
            if colour == PALETTE:
                yield f"{name}, one transparent", encode(samples, depth, colour, chunks=[*before, chunk(b"tRNS", b"\xff\0")])
            for gamma in [45455, 100000, 220000]:
                named = f"{name}, gamma {gamma / 100000}"
                yield named, encode(samples, depth, colour, chunks=[chunk(b"gAMA", struct.pack(">I", gamma)), *before])
            yield f"{name}, sRGB", encode(samples, depth, colour, chunks=[chunk(b"sRGB", b"\0"), *before])
            bits = bytes([max(1, depth - 2)] * (3 if colour == PALETTE else CHANNELS[colour]))
            yield f"{name}, significant bits", encode(samples, depth, colour, chunks=[chunk(b"sBIT", bits), *before])
    short = numpy.random.default_rng(3).integers(0, 200, (height, width, 1))
    yield "8 bits palette, index beyond the palette", encode(short, 8, PALETTE, chunks=[chunk(b"PLTE", bytes(range(150)))])
