"""Every place and form in which a JPEG or PNG file says how it is to be turned, valid and nonsense, as files.

`jpeg_cases` and `png_cases` give (name, a function from a size to the file's bytes). Which of them count is not said
here: Pillow's `ImageOps.exif_transpose` is asked. Layouts are those of TIFF 6.0, section 2 (IFDs), Exif 2.32, section
4.5.4 (APP1), XMP part 3, section 1.1.3 (APP1) and 1.1.5 (iTXt), PNG 3rd edition, sections 11.3.3 (text) and 11.3.4.5 (eXIf).
"""
import functools
import io
import struct
import zlib

from PIL import Image

ORIENTATION = 0x0112
BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE, IFD = range(1, 14)
LONG8, SLONG8, IFD8 = 16, 17, 18
# How the numbers of each type are packed; two of a rational are one value.
PACKED = {
    BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SBYTE: "b", UNDEFINED: "B", SSHORT: "h", SLONG: "i",
    SRATIONAL: "i", FLOAT: "f", DOUBLE: "d", IFD: "I", LONG8: "Q", SLONG8: "q", IFD8: "Q",
}  # fmt: skip
NAMES = {
    BYTE: "BYTE", ASCII: "ASCII", SHORT: "SHORT", LONG: "LONG", RATIONAL: "RATIONAL", SBYTE: "SBYTE", UNDEFINED: "UNDEFINED",
    SSHORT: "SSHORT", SLONG: "SLONG", SRATIONAL: "SRATIONAL", FLOAT: "FLOAT", DOUBLE: "DOUBLE", IFD: "IFD", LONG8: "LONG8",
    SLONG8: "SLONG8", IFD8: "IFD8",
}  # fmt: skip


def entry(kind, *numbers, tag=ORIENTATION, count=None, offset=None):
    """One entry of an IFD; `count` and `offset` tell lies where they are given."""
    return tag, kind, numbers, count, offset


def tiff(*entries, order="<", start=8, magic=None, entry_count=None, end=None):
    """A TIFF block with one IFD at `start`; values of more than four bytes follow it. `end` cuts the block."""
    magic = magic or (b"II*\0" if order == "<" else b"MM\0*")
    ifd = struct.pack(order + "H", len(entries) if entry_count is None else entry_count)
    beyond = b""
    for tag, kind, numbers, count, offset in entries:
        pairs = 2 if kind in (RATIONAL, SRATIONAL) else 1
        value = struct.pack(order + str(len(numbers)) + PACKED.get(kind, "H"), *numbers)
        if len(value) > 4 or offset is not None:
            where = start + 2 + 12 * len(entries) + 4 + len(beyond)
            beyond, value = beyond + value, struct.pack(order + "I", where if offset is None else offset)
        ifd += struct.pack(order + "HHI", tag, kind, len(numbers) // pairs if count is None else count) + value.ljust(4, b"\0")
    block = (magic + struct.pack(order + "I", start)).ljust(start, b"\xee") + ifd + b"\0\0\0\0" + beyond
    return block[:end]


def turned(value, order="<"):
    """What nearly every camera writes."""
    return tiff(entry(SHORT, value), order=order)


def tiff_cases():
    """(name, block): the same in a JPEG's APP1, a PNG's eXIf and a text profile."""
    for order, word in [("<", "II"), (">", "MM")]:
        for value in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65535]:
            yield f"{word} SHORT {value}", turned(value, order)
        for kind in [BYTE, LONG, SBYTE, UNDEFINED, SSHORT, SLONG, FLOAT, DOUBLE, IFD, LONG8, SLONG8, IFD8]:
            yield f"{word} {NAMES[kind]} 6", tiff(entry(kind, 6), order=order)
        for kind in [RATIONAL, SRATIONAL]:
            for pair in [(6, 1), (12, 2), (13, 2), (6, 0), (0, 0)]:
                yield f"{word} {NAMES[kind]} {pair[0]} over {pair[1]}", tiff(entry(kind, *pair), order=order)
        yield f"{word} SRATIONAL -6 over -1", tiff(entry(SRATIONAL, -6, -1), order=order)
        yield f"{word} ASCII 6", tiff(entry(ASCII, ord("6"), 0), order=order)
        yield f"{word} FLOAT 6.5", tiff(entry(FLOAT, 6.5), order=order)
        yield f"{word} FLOAT nan", tiff(entry(FLOAT, float("nan")), order=order)
        yield f"{word} LONG 65542", tiff(entry(LONG, 65542), order=order)
        yield f"{word} SBYTE -6", tiff(entry(SBYTE, -6), order=order)
        yield f"{word} SSHORT -6", tiff(entry(SSHORT, -6), order=order)
        yield f"{word} SLONG -6", tiff(entry(SLONG, -6), order=order)
        yield f"{word} type 0", tiff(entry(0, 6), order=order)
        yield f"{word} type 14", tiff(entry(14, 6), order=order)
        yield f"{word} type 255", tiff(entry(255, 6), order=order)
        yield f"{word} two SHORT 6 3", tiff(entry(SHORT, 6, 3), order=order)
        yield f"{word} three SHORT 6 3 1", tiff(entry(SHORT, 6, 3, 1), order=order)
        yield f"{word} two LONG 6 3", tiff(entry(LONG, 6, 3), order=order)
        yield f"{word} no SHORT", tiff(entry(SHORT, 6, count=0), order=order)
    noise = entry(SHORT, 7, tag=0x0100)
    text = entry(ASCII, *b"A camera's name\0", tag=0x010F)
    yield "IFD at an odd offset", tiff(entry(SHORT, 6), start=13)
    yield "IFD far behind", tiff(entry(SHORT, 6), start=300)
    yield "IFD at 0", tiff(entry(SHORT, 6))[:4] + b"\0\0\0\0" + tiff(entry(SHORT, 6))[8:]
    yield "IFD beyond the end", tiff(entry(SHORT, 6))[:4] + b"\xff\0\0\0" + tiff(entry(SHORT, 6))[8:]
    yield "IFD inside the header", b"II*\0\6\0\0\0" + struct.pack("<HHIHH", ORIENTATION, SHORT, 1, 6, 0) + b"\0\0\0\0"
    yield "among others, sorted", tiff(noise, text, entry(SHORT, 6), entry(RATIONAL, 72, 1, tag=0x011A))
    yield "among others, unsorted", tiff(entry(RATIONAL, 72, 1, tag=0x011A), entry(SHORT, 6), noise)
    yield "twice, 6 then 3", tiff(entry(SHORT, 6), entry(SHORT, 3))
    yield "twice, unknown type then SHORT 3", tiff(entry(14, 6), entry(SHORT, 3))
    yield "twice, ASCII 6 then SHORT 3", tiff(entry(ASCII, ord("6"), 0), entry(SHORT, 3))
    yield "twice, 9 then 3", tiff(entry(SHORT, 9), entry(SHORT, 3))
    yield "after a value beyond the end", tiff(entry(ASCII, *b"12345678", tag=0x010F, offset=9), entry(SHORT, 6), end=30)
    broken = entry(ASCII, *b"12345678", tag=0x010F, offset=4000)
    yield "after a value at a false offset", tiff(broken, entry(SHORT, 6))
    yield "before a value at a false offset", tiff(entry(SHORT, 6), broken)
    huge = entry(ASCII, *b"1234", tag=0x010F, count=4000)
    yield "after a value of a false length", tiff(huge, entry(SHORT, 6))
    yield "before a value of a false length", tiff(entry(SHORT, 6), huge)
    yield "after an unknown type", tiff(entry(99, 6, tag=0x010F), entry(SHORT, 6))
    yield "more entries promised than there are", tiff(entry(SHORT, 6), entry_count=9)
    yield "fewer entries promised than there are", tiff(noise, entry(SHORT, 6), entry_count=1)
    yield "no entries", tiff()
    yield "cut behind the entry", tiff(entry(SHORT, 6), end=22)
    yield "cut in the entry", tiff(entry(SHORT, 6), end=21)
    yield "cut in the entry behind the value", tiff(entry(SHORT, 6), end=20)
    yield "cut in the count of entries", tiff(entry(SHORT, 6), end=9)
    yield "header alone", tiff(entry(SHORT, 6), end=8)
    yield "cut in the header", tiff(entry(SHORT, 6), end=6)
    yield "magic alone", tiff(entry(SHORT, 6), end=4)
    yield "nothing", b""
    yield "no TIFF header", b"IJ" + turned(6)[2:]
    yield "MM with II's numbers", b"MM\0*" + turned(6)[4:]
    yield "MM with the magic number turned round", tiff(entry(SHORT, 6), order=">", magic=b"MM*\0")
    yield "II with the magic number turned round", tiff(entry(SHORT, 6), magic=b"II\0*")
    yield "magic number 43 of BigTIFF", tiff(entry(SHORT, 6), magic=b"II+\0")
    yield "magic number 85 of a raw format", tiff(entry(SHORT, 6), magic=b"IIU\0")
    yield "prefix told twice", b"Exif\0\0" + turned(6)
    yield "only in the Exif IFD", tiff(entry(LONG, 26, tag=0x8769)) + struct.pack("<HHHIHHI", 1, ORIENTATION, SHORT, 1, 6, 0, 0)
    thumbnail = tiff(noise)
    thumbnail = thumbnail[:22] + struct.pack("<I", 26) + struct.pack("<HHHIHHI", 1, ORIENTATION, SHORT, 1, 6, 0, 0)
    yield "only in the thumbnail's IFD", thumbnail
    yield "Exif IFD at a false offset", tiff(entry(LONG, 4000, tag=0x8769), entry(SHORT, 6))
    yield "Exif IFD given as text", tiff(entry(ASCII, *b"abc", tag=0x8769), entry(SHORT, 6))
    yield "resolution 0 over 0", tiff(entry(SHORT, 6), entry(RATIONAL, 0, 0, tag=0x011A), entry(SHORT, 2, tag=0x0128))
    yield "resolution given as text", tiff(entry(SHORT, 6), entry(ASCII, *b"abc", tag=0x011A), entry(SHORT, 2, tag=0x0128))


XMP_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"


def xmp(inside, before=b""):
    return (
        before + b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"' + inside + b"</rdf:RDF></x:xmpmeta>"
    )


def attribute(value, quote=b'"'):
    return xmp(b" tiff:Orientation=" + quote + value + quote + b"/>")


def element(value):
    return xmp(b"><tiff:Orientation>" + value + b"</tiff:Orientation></rdf:Description>")


def xmp_cases():
    """(name, packet): the same in a JPEG's APP1 and a PNG's iTXt."""
    for value in [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]:
        yield f"attribute {value.decode()}", attribute(value)
        yield f"element {value.decode()}", element(value)
    for value in [b"61", b"16", b"06", b" 6", b"6 ", b"-6", b"six", b"", b"255"]:
        yield f"attribute {value.decode()!r}", attribute(value)
        yield f"element {value.decode()!r}", element(value)
    yield "attribute in single quotes", attribute(b"6", b"'")
    yield "attribute with blanks about =", xmp(b' tiff:Orientation = "6"/>')
    yield "element with an attribute", xmp(b'><tiff:Orientation a="b">6</tiff:Orientation></rdf:Description>')
    yield "another prefix", attribute(b"6").replace(b"tiff:", b"t:").replace(b"xmlns:tiff", b"xmlns:t")
    yield "two, 6 then 3", attribute(b"6") + element(b"3")
    yield "two, none then 3", attribute(b"") + element(b"3")
    yield "in a comment", xmp(b'><!-- tiff:Orientation="6" --></rdf:Description>')
    yield "no XML at all", b'tiff:Orientation="6"'
    yield "UTF-16", attribute(b"6").decode().encode("utf-16")
    yield "bytes that are no UTF-8", attribute(b"6") + b"\xff\xfe\xff"
    yield "nothing", b""


def segment(marker, data):
    return struct.pack(">HH", marker, 2 + len(data)) + data


def exif(block):
    return segment(0xFFE1, b"Exif\0\0" + block)


def packet(data):
    return segment(0xFFE1, XMP_NAMESPACE + data)


def jfif(unit=0):
    """`unit` 1 gives dots an inch, from which on Pillow does not ask the EXIF block for them."""
    return segment(0xFFE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, 72, 72, 0, 0))


@functools.cache
def plain(form, size):
    """An image that equals none of its seven turned selves, as Pillow writes it."""
    width, height = size
    levels = [(255 * x // width, 255 * y // height, 255 if x < y else 0) for y in range(height) for x in range(width)]
    image, file = Image.new("RGB", size), io.BytesIO()
    image.putdata(levels)
    image.save(file, form, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {}))
    return file.getvalue()


def jpeg(size, *segments, before_scan=b"", after_scan=b""):
    """The image as a JPEG whose only markers of application are `segments`."""
    data = plain("JPEG", size)
    rest = data[4 + struct.unpack(">H", data[4:6])[0] :]  # Pillow's JFIF segment goes
    scan = rest.index(b"\xff\xda")
    return b"\xff\xd8" + b"".join(segments) + rest[:scan] + before_scan + rest[scan:-2] + after_scan + b"\xff\xd9"


def jpeg_cases():
    def case(name, *segments, **keywords):
        return f"jpeg {name}", lambda size: jpeg(size, *segments, **keywords)

    six, three = turned(6), turned(3)
    for name, block in tiff_cases():
        yield case(f"EXIF {name}", jfif(), exif(block))
        yield case(f"EXIF {name}, dpi in JFIF", jfif(1), exif(block))
        yield case(f"EXIF {name}, and XMP 3", jfif(), exif(block), packet(attribute(b"3")))
    for name, data in xmp_cases():
        yield case(f"XMP {name}", jfif(), packet(data))
        yield case(f"XMP {name}, behind EXIF without orientation", jfif(), exif(tiff(entry(SHORT, 7, tag=0x0100))), packet(data))
    yield case("EXIF before JFIF", exif(six), jfif())
    yield case("EXIF without JFIF", exif(six))
    yield case("EXIF just before the scan", jfif(), before_scan=exif(six))
    yield case("EXIF behind the scan", jfif(), after_scan=exif(six))
    yield case("EXIF behind junk", jfif(), b"junk\xff\0junk", exif(six))
    yield case("EXIF behind fill bytes", jfif(), b"\xff\xff\xff", exif(six))
    yield case("two EXIF, 6 then 3", jfif(), exif(six), exif(three))
    yield case("two EXIF, none then 6", jfif(), exif(tiff()), exif(six))
    yield case("two EXIF, nothing then 6", jfif(), exif(b""), exif(six))
    yield case("two EXIF, no TIFF then 6", jfif(), exif(b"nonsense"), exif(six))
    for cut in [3, 8, 12, 18]:
        yield case(f"EXIF in two segments, cut at {cut}", jfif(), exif(six[:cut]), exif(six[cut:]))
        yield case(f"EXIF in two segments, cut at {cut}, JFIF between", exif(six[:cut]), jfif(), exif(six[cut:]))
    yield case("EXIF in two segments, the second without a prefix", jfif(), exif(six[:12]), segment(0xFFE1, six[12:]))
    yield case("APP1 Exif with one NUL", jfif(), segment(0xFFE1, b"Exif\0" + six))
    yield case("APP1 Exif with NUL and 0xff", jfif(), segment(0xFFE1, b"Exif\0\xff" + six))
    yield case("APP1 exif in small letters", jfif(), segment(0xFFE1, b"exif\0\0" + six))
    yield case("EXIF in APP2", jfif(), segment(0xFFE2, b"Exif\0\0" + six))
    yield case("two XMP, 6 then 3", jfif(), packet(attribute(b"6")), packet(attribute(b"3")))
    yield case("two XMP, 6 then none", jfif(), packet(attribute(b"6")), packet(xmp(b"/>")))
    yield case("XMP 3 before EXIF 6", jfif(), packet(attribute(b"3")), exif(six))
    yield case("XMP in APP1 with another name space", jfif(), segment(0xFFE1, b"http://ns.adobe.com/xmp/extension/\0" + attribute(b"6")))
    yield case("XMP in APP1 without NUL", jfif(), segment(0xFFE1, XMP_NAMESPACE[:-1] + attribute(b"6")))
    yield case("Photoshop's APP13 with EXIF", jfif(), segment(0xFFED, b"Photoshop 3.0\x008BIM\x04\x22\0\0" + struct.pack(">I", len(six)) + six))


SIGNATURE = b"\x89PNG\r\n\x1a\n"
RAW_PROFILE = b"Raw profile type exif"


def chunk(kind, data, sum_is_right=True):
    checksum = zlib.crc32(kind + data) ^ (0 if sum_is_right else 1)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(size, *before, after=(), last=()):
    """The image as a PNG with chunks before and after its IDAT, and after its IEND."""
    data = plain("PNG", size)
    idat = data.index(b"IDAT") - 4
    return data[:idat] + b"".join(before) + data[idat:-12] + b"".join(after) + data[-12:] + b"".join(last)


def profile(block, name=b"exif", length=None, line=b"\n", width=72):
    """ImageMagick's hexadecimal text: an empty line, the name, the length in eight columns, then 72 digits a line."""
    digits = block.hex().encode()
    lines = [digits[at : at + width] for at in range(0, len(digits), width)]
    return line + name + line + b"%8d" % (len(block) if length is None else length) + line + line.join(lines) + line


def text(key, value):
    return chunk(b"tEXt", key + b"\0" + value)


def ztext(key, value, method=0):
    return chunk(b"zTXt", key + b"\0" + bytes([method]) + zlib.compress(value))


def itext(key, value, compressed=0, method=0, language=b"", translated=b""):
    value = zlib.compress(value) if compressed else value
    return chunk(b"iTXt", key + b"\0" + bytes([compressed, method]) + language + b"\0" + translated + b"\0" + value)


def png_cases():
    def case(name, *chunks, **keywords):
        return f"png {name}", lambda size: png(size, *chunks, **keywords)

    six, three, none = turned(6), turned(3), tiff(entry(SHORT, 7, tag=0x0100))
    packet_key = b"XML:com.adobe.xmp"
    for name, block in tiff_cases():
        yield case(f"eXIf {name}", chunk(b"eXIf", block))
        yield case(f"eXIf {name}, and XMP 3", chunk(b"eXIf", block), itext(packet_key, attribute(b"3")))
        yield case(f"raw profile {name}", ztext(RAW_PROFILE, profile(block)))
        yield case(f"raw profile {name}, with Exif's prefix", text(RAW_PROFILE, profile(b"Exif\0\0" + block)))
    for name, data in xmp_cases():
        yield case(f"XMP {name}", itext(packet_key, data))
        yield case(f"XMP {name}, compressed", itext(packet_key, data, compressed=1))
    yield case("eXIf after IDAT", after=[chunk(b"eXIf", six)])
    yield case("eXIf after IEND", last=[chunk(b"eXIf", six)])
    yield case("eXIf before and after IDAT, 6 then 3", chunk(b"eXIf", six), after=[chunk(b"eXIf", three)])
    yield case("two eXIf chunks, 6 then 3", chunk(b"eXIf", six), chunk(b"eXIf", three))
    yield case("eXIf with a wrong checksum", chunk(b"eXIf", six, sum_is_right=False))
    yield case("eXIf with a wrong checksum after IDAT", after=[chunk(b"eXIf", six, sum_is_right=False)])
    yield case("eXIf with Exif's prefix", chunk(b"eXIf", b"Exif\0\0" + six))
    yield case("exIf", chunk(b"exIf", six))
    yield case("zxIf of an old draft", chunk(b"zxIf", b"\0" + zlib.compress(six)))
    yield case("eXIf 6 and raw profile 3", chunk(b"eXIf", six), ztext(RAW_PROFILE, profile(three)))
    yield case("raw profile 3 and eXIf 6 after IDAT", ztext(RAW_PROFILE, profile(three)), after=[chunk(b"eXIf", six)])
    yield case("eXIf without orientation and raw profile 3", chunk(b"eXIf", none), ztext(RAW_PROFILE, profile(three)))
    yield case("empty eXIf and raw profile 3", chunk(b"eXIf", b""), ztext(RAW_PROFILE, profile(three)))
    yield case("raw profile without orientation and XMP 3", ztext(RAW_PROFILE, profile(none)), itext(packet_key, attribute(b"3")))
    for value in range(1, 9):
        yield case(f"raw profile {value} in tEXt", text(RAW_PROFILE, profile(turned(value))))
        yield case(f"raw profile {value} in zTXt", ztext(RAW_PROFILE, profile(b"Exif\0\0" + turned(value))))
    yield case("raw profile in iTXt", itext(RAW_PROFILE, profile(six)))
    yield case("raw profile in compressed iTXt", itext(RAW_PROFILE, profile(six), compressed=1))
    yield case("raw profile after IDAT", after=[ztext(RAW_PROFILE, profile(six))])
    yield case("two raw profiles, 6 then 3", text(RAW_PROFILE, profile(six)), text(RAW_PROFILE, profile(three)))
    yield case("raw profile, length 0", text(RAW_PROFILE, profile(six, length=0)))
    yield case("raw profile, length too long", text(RAW_PROFILE, profile(six, length=9999)))
    yield case("raw profile, length no number", text(RAW_PROFILE, profile(six).replace(b"      26", b"nonsense")))
    yield case("raw profile of another name", text(RAW_PROFILE, profile(six, name=b"APP1")))
    yield case("raw profile, CR LF", text(RAW_PROFILE, profile(six, line=b"\r\n")))
    yield case("raw profile, lines of odd length", text(RAW_PROFILE, profile(six, width=7)))
    yield case("raw profile, blanks among the digits", text(RAW_PROFILE, profile(six).replace(b"2a", b"2a ")))
    yield case("raw profile, a blank in a byte", text(RAW_PROFILE, profile(six).replace(b"2a", b"2 a")))
    yield case("raw profile, capitals", text(RAW_PROFILE, profile(six).replace(b"2a", b"2A")))
    yield case("raw profile, an odd digit at the end", text(RAW_PROFILE, profile(six)[:-2]))
    yield case("raw profile, letters that are no digits", text(RAW_PROFILE, profile(six).replace(b"2a", b"xy")))
    yield case("raw profile, NUL among the digits", text(RAW_PROFILE, profile(six).replace(b"2a", b"2a\0")))
    yield case("raw profile, without the first empty line", text(RAW_PROFILE, profile(six)[1:]))
    yield case("raw profile, no lines", text(RAW_PROFILE, six.hex().encode()))
    yield case("raw profile, nothing", text(RAW_PROFILE, b""))
    yield case("raw profile, zTXt of an unknown method", ztext(RAW_PROFILE, profile(six), method=1))
    yield case("raw profile, zTXt that is no zlib", chunk(b"zTXt", RAW_PROFILE + b"\0\0nonsense"))
    yield case("raw profile, zTXt cut", chunk(b"zTXt", RAW_PROFILE + b"\0\0" + zlib.compress(profile(six))[:-6]))
    yield case("raw profile type APP1", text(b"Raw profile type APP1", profile(b"Exif\0\0" + six, name=b"APP1")))
    yield case("raw profile type EXIF in capitals", text(b"Raw profile type EXIF", profile(six)))
    yield case("raw profile type xmp", text(b"Raw profile type xmp", profile(attribute(b"6"), name=b"xmp")))
    yield case("tEXt named exif", text(b"exif", six))
    yield case("zTXt named exif", ztext(b"exif", six))
    yield case("iTXt named exif", itext(b"exif", b"nonsense"))
    yield case("tEXt named exif and eXIf 3", text(b"exif", six), chunk(b"eXIf", three))
    yield case("tEXt named xmp", text(b"xmp", attribute(b"6")))
    yield case("iTXt named xmp", itext(b"xmp", attribute(b"6")))
    yield case("XMP in tEXt", text(packet_key, attribute(b"6")))
    yield case("XMP in zTXt", ztext(packet_key, attribute(b"6")))
    yield case("XMP after IDAT", after=[itext(packet_key, attribute(b"6"))])
    yield case("two XMP chunks, 6 then 3", itext(packet_key, attribute(b"6")), itext(packet_key, attribute(b"3")))
    yield case("two XMP chunks, 6 then nothing", itext(packet_key, attribute(b"6")), itext(packet_key, b""))
    yield case("two XMP chunks, 6 then 3 that is no UTF-8", itext(packet_key, attribute(b"6")), itext(packet_key, attribute(b"3") + b"\xff"))
    yield case("XMP with a language and a translated keyword", itext(packet_key, attribute(b"6"), language=b"en", translated=b"XMP"))
    yield case("XMP with a language that is no UTF-8", itext(packet_key, attribute(b"6"), language=b"\xff"))
    yield case("XMP compressed by an unknown method", itext(packet_key, attribute(b"6"), compressed=1, method=1))
    yield case("XMP uncompressed, method 1", itext(packet_key, attribute(b"6"), method=1))
    yield case("XMP, flag 2", itext(packet_key, attribute(b"6"), compressed=2))
    yield case("XMP compressed, no zlib", chunk(b"iTXt", packet_key + b"\0\1\0\0\0nonsense"))
    yield case("XMP compressed, cut", chunk(b"iTXt", packet_key + b"\0\1\0\0\0" + zlib.compress(attribute(b"6"))[:-6]))
    yield case("XMP without language", chunk(b"iTXt", packet_key + b"\0\0\0" + attribute(b"6")))
    yield case("Orientation in tEXt", text(b"Orientation", b"6"))
    yield case("exif:Orientation in tEXt", text(b"exif:Orientation", b"6"))

