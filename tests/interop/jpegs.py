"""Writes JPEG files of kinds that cameras do not: any sampling, any scans, any markers. Numbers of sections are T.81's.

`encode` takes one plane of samples a component (uint8, [height, width], as `size_of` wants them) and gives a file;
`colours` makes such planes from an image. Nothing is checked: what the standard forbids can be written too.
"""
import struct

import numpy

# Figure A.6: the zigzag sequence, as places in a block of 8 x 8 read row by row.
ZIGZAG = sorted(range(64), key=lambda at: (at // 8 + at % 8, at // 8 if (at // 8 + at % 8) % 2 else at % 8))

# A.3.3: the DCT as a matrix of cosines; 8 x 8 coefficients are DCT @ samples @ DCT.T.
DCT = numpy.array(
    [[numpy.cos((2 * x + 1) * u * numpy.pi / 16) * (0.5 if u else 0.125**0.5) for x in range(8)] for u in range(8)]
)

# Tables K.1 and K.2: the quantisation tables of nearly everybody, at quality 50.
LUMINANCE = numpy.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
CHROMINANCE = numpy.full((8, 8), 99)
CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

# K.3.3: the Huffman tables of nearly everybody, (how many codes of 1, 2, .. 16 bits, their symbols).
DC_LUMINANCE = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]), bytes(range(12))
DC_CHROMINANCE = bytes([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]), bytes(range(12))
AC_LUMINANCE = bytes([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125]), bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738"
    "393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4"
    "a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
AC_CHROMINANCE = bytes([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119]), bytes.fromhex(
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2"
    "a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
HUFFMAN = [(DC_LUMINANCE, AC_LUMINANCE), (DC_CHROMINANCE, AC_CHROMINANCE)]

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF0, SOF1, SOF2, SOF3, SOF9, SOF10 = 0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA


def segment(marker, data):
    """B.1.1.4: a marker and its parameters; the length counts its own two bytes."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data


def jfif(version=0x0102, unit=0, cut=None):
    """JFIF 1.02, page 5: version, unit of density, density, size of a thumbnail."""
    return segment(0xE0, (b"JFIF\0" + struct.pack(">HBHHBB", version, unit, 72, 72, 0, 0))[:cut])


def adobe(transform, cut=None):
    """Adobe's technical note 5116, section 18: version, two flags, transform (0 none, 1 YCbCr, 2 YCCK)."""
    return segment(0xEE, (b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))[:cut])


def comment(text=b"made for a test"):
    return segment(0xFE, text)


def quantisation(table, number, wide=False):
    """B.2.4.1; `wide` stores 16 bits a step."""
    steps = [int(table.flat[at]) for at in ZIGZAG]
    return segment(0xDB, bytes([(16 if wide else 0) + number]) + struct.pack(">64H" if wide else ">64B", *steps))


def huffman(kind, number, table):
    """B.2.4.2; kind 0 is DC (or lossless), 1 AC."""
    return segment(0xC4, bytes([16 * kind + number]) + table[0] + table[1])


def restarts(interval):
    """B.2.4.4"""
    return segment(0xDD, struct.pack(">H", interval))


def frame(marker, width, height, components, precision=8):
    """B.2.2; components are (id, (h, v), number of quantisation table)."""
    listed = b"".join(bytes([name, 16 * h + v, table]) for name, (h, v), table in components)
    return segment(marker, struct.pack(">BHHB", precision, height, width, len(components)) + listed)


def scan_header(components, spectral=(0, 63), approximation=0):
    """B.2.3; components are (id, number of both Huffman tables)."""
    listed = b"".join(bytes([name, 17 * tables]) for name, tables in components)
    return segment(0xDA, bytes([len(components)]) + listed + bytes([*spectral, approximation]))


def scaled(table, quality):
    """A table at another quality as libjpeg scales it (jcparam.c), in one byte a step."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return numpy.clip(numpy.floor((table * scale + 50) / 100), 1, 255).astype(int)


def codes(table):
    """C.2: symbol to (code, bits)."""
    code, found, symbols = 0, {}, iter(table[1])
    for bits, count in enumerate(table[0], 1):
        for _ in range(count):
            found[next(symbols)] = code, bits
            code += 1
        code <<= 1
    return found


CODES = [tuple(map(codes, pair)) for pair in HUFFMAN]


class Bits:
    """F.1.2.3: most significant bit first, the last byte filled with ones, a zero behind each 0xff."""

    def __init__(self):
        self.digits = []

    def put(self, code, bits):
        if bits:
            self.digits.append(f"{code:0{bits}b}")

    def number(self, value):
        """F.1.2.1.1: the bits behind a category; negative numbers less one."""
        bits = abs(value).bit_length()
        self.put(value if value >= 0 else value + (1 << bits) - 1, bits)

    def bytes(self):
        digits = "".join(self.digits)
        digits += "1" * (-len(digits) % 8)
        return int("1" + digits, 2).to_bytes(len(digits) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\0") if digits else b""


def put_block(bits, block, predicted, tables, spectral):
    """F.1.2: one block in zigzag order; its DC as a difference, its AC as runs of zeros; G.1.2 of `spectral` alone."""
    (dc, ac), (first, last) = tables, spectral
    if first == 0:
        difference = block[0] - predicted
        bits.put(*dc[abs(difference).bit_length()])
        bits.number(difference)
    run = 0
    for value in block[max(first, 1) : last + 1]:
        if value == 0:
            run += 1
            continue
        for _ in range(run // 16):
            bits.put(*ac[0xF0])
        bits.put(*ac[16 * (run % 16) + abs(value).bit_length()])
        bits.number(value)
        run = 0
    if run:
        bits.put(*ac[0x00])


def size_of(width, height, sampling, component):
    """A.1.1: width and height of a component's plane."""
    h_most, v_most = (max(factors) for factors in zip(*sampling))
    h, v = sampling[component]
    return -(-width * h // h_most), -(-height * v // v_most)


def quantised(plane, table, columns, rows):
    """A plane as [rows, columns] blocks of 64 coefficients in zigzag order; its last row and column go on (A.2.4)."""
    height, width = plane.shape
    samples = numpy.pad(plane.astype(float), ((0, 8 * rows - height), (0, 8 * columns - width)), "edge") - 128
    blocks = samples.reshape(rows, 8, columns, 8).swapaxes(1, 2)
    steps = numpy.rint(DCT @ blocks @ DCT.T / table).astype(int)
    # The Huffman tables know no AC coefficient of more than ten bits.
    return numpy.clip(steps, -1023, 1023).reshape(rows, columns, 64)[:, :, ZIGZAG]


def encode(
    width, height, planes, sampling, *, ids=(1, 2, 3, 4), tables=None, table_of=(0, 1, 1, 0), wide=False, huffman_of=(0, 1, 1, 0),
    scans=None, bands=((0, 63),), restart=0, markers=(), before_scan=(), between=(), marker=SOF0, precision=8, end=EOI,
):  # fmt: skip
    """A baseline file, or what `marker` says. `scans` lists the components of each scan, in one if it is None; `markers`
    stand behind SOI, `before_scan` before the first SOS, `between` before every further one. More than one of `bands` is
    for SOF2 (spectral selection, G.1.1.1.1): those behind the first come one scan a component."""
    tables = tables or [scaled(LUMINANCE, 90), scaled(CHROMINANCE, 90)]
    everyone = range(len(planes))
    listed = [(members, bands[0]) for members in scans or [everyone]]
    listed += [([c], band) for band in bands[1:] for c in everyone]
    file = [SOI, *markers]
    file += [quantisation(table, number, wide) for number, table in enumerate(tables)]
    file += [frame(marker, width, height, [(ids[c], sampling[c], table_of[c]) for c in everyone], precision)]
    file += [huffman(kind, number, table) for number, pair in enumerate(HUFFMAN) for kind, table in enumerate(pair)]
    if restart:
        file += [restarts(restart)]
    for number, (members, band) in enumerate(listed):
        file += between if number else before_scan
        file += [scan_header([(ids[c], huffman_of[c]) for c in members], band)]
        own = [(planes[c], sampling[c], tables[table_of[c]], huffman_of[c]) for c in members]
        file += scan(width, height, own, [max(factors) for factors in zip(*sampling)], restart, band)
    return b"".join([*file, end])


def scan(width, height, members, most, restart, band):
    """The entropy-coded segments of one scan, with RST0 .. RST7 between them; `most` are the largest factors."""
    if len(members) == 1:  # A.2.2: not interleaved, one block is one MCU whatever the sampling
        [(plane, _, _, _)] = members
        shapes, (down, across) = [(1, 1)], (-(-side // 8) for side in plane.shape)
    else:  # A.2.3: an MCU has h x v blocks of each component
        shapes = [sampling for _, sampling, _, _ in members]
        across, down = -(-width // (8 * most[0])), -(-height // (8 * most[1]))
    blocks = [quantised(plane, table, across * h, down * v).tolist() for (plane, _, table, _), (h, v) in zip(members, shapes)]
    segments, bits, predicted = [], Bits(), [0] * len(members)
    for mcu in range(across * down):
        if restart and mcu and mcu % restart == 0:
            segments += [bits.bytes(), bytes([0xFF, 0xD0 + (mcu // restart - 1) % 8])]
            bits, predicted = Bits(), [0] * len(members)
        for place, (h, v) in enumerate(shapes):
            for y in range(v):
                for x in range(h):
                    block = blocks[place][mcu // across * v + y][mcu % across * h + x]
                    put_block(bits, block, predicted[place], CODES[members[place][3]], band)
                    predicted[place] = block[0]
    return [*segments, bits.bytes()]


def lossless(width, height, planes, *, ids=(1, 2, 3), markers=()):
    """Annex H with predictor 1 (the sample to the left), one scan, nothing subsampled."""
    table = bytes([0, 0, 0, 15, 0, 0] + [0] * 10), bytes(range(15))
    bits, codebook = Bits(), codes(table)
    columns = numpy.stack(planes, 2).astype(int)
    before = columns.copy()
    before[:, 1:], before[1:, 0], before[0, 0] = columns[:, :-1], columns[:-1, 0], 128  # H.1.2.1
    for difference in (columns - before).reshape(-1).tolist():
        bits.put(*codebook[abs(difference).bit_length()])
        bits.number(difference)
    file = [SOI, *markers, frame(SOF3, width, height, [(name, (1, 1), 0) for name, _ in zip(ids, planes)])]
    file += [huffman(0, 0, table), scan_header([(name, 0) for name, _ in zip(ids, planes)], spectral=(1, 0)), bits.bytes(), EOI]
    return b"".join(file)


def colours(image, sampling, model="YCbCr"):
    """Planes of an RGB image: JFIF's YCbCr or RGB itself, Adobe's inverted CMYK or YCCK, or grey; means where subsampled."""
    rgb = image.astype(float)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    ycc = [luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402]
    black = rgb.max(2)
    full = {
        "grey": [luma], "YCbCr": ycc, "RGB": [red, green, blue],
        "CMYK": [red, green, blue, black], "YCCK": [*ycc, black],
    }[model]  # fmt: skip
    height, width = luma.shape
    return [shrunk(plane, *size_of(width, height, sampling, c)) for c, plane in enumerate(full)]


def shrunk(plane, width, height):
    """Nearest samples of a mean over 3 x 3, or the plane itself: what a decoder makes of it is asked, not beauty."""
    if plane.shape != (height, width):
        smooth = numpy.pad(plane, 1, "edge")
        smooth = sum(smooth[y : y + plane.shape[0], x : x + plane.shape[1]] for y in range(3) for x in range(3)) / 9
        rows = (numpy.arange(height) * plane.shape[0] / height).astype(int)
        columns = (numpy.arange(width) * plane.shape[1] / width).astype(int)
        plane = smooth[rows][:, columns]
    return numpy.clip(numpy.rint(plane), 0, 255).astype(numpy.uint8)
