"""Image files of every format that is read, as other programs write them: WebP, BMP, GIF, TIFF, and what is odd about each."""
import io
import struct

import numpy
from PIL import Image, ImageCms, TiffImagePlugin

WIDTH, HEIGHT = 23, 17
ORIENTATION = 0x0112
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'

# What the decoder of TIFF does not know.
REFUSED = ["TIFF, 1, group3"]
# Pillow paints what the first frame leaves of the canvas in a colour of the palette; in browsers it is transparent.
UNSURE = ["GIF, a first frame smaller than its canvas"]


def drawn(mode, seed=0, width=WIDTH, height=HEIGHT):
    """A smooth picture with a little noise, opaque on one side where it has opacity."""
    chance = numpy.random.default_rng(seed)
    across, down = numpy.arange(width) / max(width - 1, 1), numpy.arange(height)[:, None] / max(height - 1, 1)
    channels = [across + 0 * down, down + 0 * across, (across + down) / 2, numpy.clip(across * 1.5, 0, 1) + 0 * down]
    levels = numpy.stack(channels, 2) * 200 + chance.uniform(0, 50, (height, width, 4))
    levels[:, -3:, 3], levels[:, 0, 3] = 255, 0
    whole = Image.fromarray(levels.astype(numpy.uint8), "RGBA")
    if mode == "I;16":
        return Image.fromarray((levels[:, :, 0] * 257).astype(numpy.uint16))
    return whole.convert("LA").convert("L") if mode == "L" else whole.convert(mode)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(number, xmp=False):
    """EXIF that says so, or XMP."""
    if xmp:
        return {"xmp": XMP % number}
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return {"exif": exif}


def webp():
    for mode in ["L", "RGB", "RGBA", "P"]:
        for lossless in [False, True]:
            for seed in range(2):
                word = "lossless" if lossless else "lossy"
                yield f"WebP, {mode}, {word}, {seed}", saved(drawn(mode, seed), "WEBP", lossless=lossless, quality=90 - 60 * seed)
    yield "WebP, lossless, exact colours behind transparent pixels", saved(drawn("RGBA"), "WEBP", lossless=True, exact=True)
    yield "WebP, animated", saved(drawn("RGB"), "WEBP", save_all=True, append_images=[drawn("RGB", 1)], lossless=True)
    yield "WebP, animated and transparent", saved(drawn("RGBA"), "WEBP", save_all=True, append_images=[drawn("RGBA", 1)], lossless=True)
    yield "WebP, with a profile", saved(drawn("RGB"), "WEBP", icc_profile=PROFILE, lossless=True)


def bmp():
    for mode in ["1", "L", "P", "RGB", "RGBA"]:
        yield f"BMP, {mode}", saved(drawn(mode), "BMP")
    data = bytearray(saved(drawn("RGB"), "BMP"))
    struct.pack_into("<i", data, 22, -HEIGHT)
    yield "BMP, from top to bottom", bytes(data)
    levels = numpy.asarray(drawn("RGB")).astype(numpy.uint16)
    row = (2 * WIDTH + 3) // 4 * 4
    for name, bits, masks in [("555", (5, 5, 5), None), ("565", (5, 6, 5), (0xF800, 0x07E0, 0x001F))]:
        red, green, blue = (levels[:, :, at] >> 8 - bits[at] for at in range(3))
        packed = (red << bits[1] + bits[2] | green << bits[2] | blue)[::-1].astype("<u2")
        rows = b"".join(line.tobytes().ljust(row, b"\0") for line in packed)
        extra = struct.pack("<3I", *masks) if masks else b""
        start = 54 + len(extra)
        header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 16, 3 if masks else 0, len(rows), 0, 0, 0, 0)
        yield f"BMP, 16 bits {name}", b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + extra + rows
    grey = numpy.asarray(drawn("L"))[::-1]
    runs = b"".join(b"".join(bytes([1, level]) for level in line) + b"\0\0" for line in grey) + b"\0\1"
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 54 + len(palette)
    yield "BMP, run lengths", b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs
    rows = b"".join(line[:, ::-1].tobytes().ljust((3 * WIDTH + 3) // 4 * 4, b"\0") for line in numpy.asarray(drawn("RGB"))[::-1])
    yield "BMP, of OS/2", b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26) + struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24) + rows


def gif():
    for mode in ["1", "L", "P", "RGB"]:
        for interlaced in [0, 1]:
            yield f"GIF, {mode}{', interlaced' * interlaced}", saved(drawn(mode), "GIF", interlace=interlaced)
    yield "GIF, transparent", saved(drawn("RGBA"), "GIF")
    yield "GIF, one colour transparent", saved(drawn("L"), "GIF", transparency=120)
    yield "GIF, animated", saved(drawn("P"), "GIF", save_all=True, append_images=[drawn("P", 1)], duration=40)
    data = bytearray(saved(drawn("L", width=WIDTH - 6, height=HEIGHT - 4), "GIF"))
    struct.pack_into("<HH", data, 6, WIDTH, HEIGHT)
    at = data.index(b"\x2c\0\0\0\0")
    struct.pack_into("<HH", data, at + 1, 3, 2)
    yield "GIF, a first frame smaller than its canvas", bytes(data)


def tiff():
    for mode in ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "LA"]:
        yield f"TIFF, {mode}", saved(drawn(mode), "TIFF")
    for packing in ["tiff_lzw", "tiff_adobe_deflate", "packbits"]:
        for mode in ["L", "RGB", "RGBA"]:
            yield f"TIFF, {mode}, {packing}", saved(drawn(mode), "TIFF", compression=packing)
    for packing in ["tiff_lzw", "packbits"]:
        for mode in ["P", "LA"]:
            yield f"TIFF, {mode}, {packing}", saved(drawn(mode), "TIFF", compression=packing)
    for packing in ["group3", "group4"]:
        yield f"TIFF, 1, {packing}", saved(drawn("1"), "TIFF", compression=packing)
    yield "TIFF, RGB, jpeg", saved(drawn("RGB"), "TIFF", compression="jpeg", quality=90)
    yield "TIFF, L, jpeg", saved(drawn("L"), "TIFF", compression="jpeg", quality=90)
    yield "TIFF, several pages", saved(drawn("RGB"), "TIFF", save_all=True, append_images=[drawn("RGB", 1)])
    yield "TIFF, with a profile", saved(drawn("RGB"), "TIFF", icc_profile=PROFILE)
    levels = numpy.asarray(drawn("I;16")).astype(">u2")
    yield "TIFF, 16 bits, big-endian", saved(Image.frombytes("I;16B", (WIDTH, HEIGHT), levels.tobytes()), "TIFF")
    yield "TIFF, of more than 4 GB by its header", saved(drawn("RGB"), "TIFF", big_tiff=True)
    yield "TIFF, strips of three rows", saved(drawn("RGB"), "TIFF", compression="tiff_lzw", strip_size=3 * 3 * WIDTH)


def jpeg_and_png():
    yield "JPEG, CMYK", saved(drawn("CMYK"), "JPEG", quality=90)
    yield "JPEG, with a profile", saved(drawn("RGB"), "JPEG", quality=90, icc_profile=PROFILE)
    yield "JPEG, progressive grey", saved(drawn("L"), "JPEG", progressive=True)
    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]:
        yield f"PNG, {mode}", saved(drawn(mode), "PNG")
    yield "PNG, one colour transparent", saved(drawn("RGB"), "PNG", transparency=tuple(map(int, numpy.asarray(drawn("RGB"))[3, 3])))
    yield "PNG, one grey transparent", saved(drawn("L"), "PNG", transparency=120)
    yield "PNG, a palette of opacities", saved(drawn("P"), "PNG", transparency=bytes(range(255, -1, -1)))
    yield "PNG, with a profile", saved(drawn("RGB"), "PNG", icc_profile=PROFILE)


def kinds():
    """(name, bytes) of WIDTH x HEIGHT."""
    for make in [webp, bmp, gif, tiff, jpeg_and_png]:
        yield from make()


def oriented():
    """(name, bytes) of images that say how they are to be turned, of either shape once they are."""
    for number in range(1, 9):
        width, height = (HEIGHT, WIDTH) if number > 4 else (WIDTH, HEIGHT)
        for xmp in [False, True]:
            name = f"{'XMP' if xmp else 'EXIF'} {number}"
            image = drawn("RGB", width=width, height=height)
            yield f"WebP, {name}", saved(image, "WEBP", lossless=True, **turned(number, xmp))
        information = TiffImagePlugin.ImageFileDirectory_v2()
        information[ORIENTATION] = number
        yield f"TIFF, tag {number}", saved(image, "TIFF", tiffinfo=information)
        yield f"TIFF, tag {number}, packed", saved(image, "TIFF", tiffinfo=information, compression="tiff_lzw")
        yield f"TIFF, tag {number}, BigTIFF", saved(image, "TIFF", tiffinfo=information, big_tiff=True)
