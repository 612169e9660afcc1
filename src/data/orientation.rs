//! Which way up an image is, read wherever Pillow's `ImageOps.exif_transpose` looks, and as it reads it: tag 0x0112 of
//! an EXIF block, or, where that has none, `tiff:Orientation` of an XMP packet.
//!
//! A JPEG keeps both in APP1 segments; a PNG keeps EXIF in an `eXIf` chunk or, by ImageMagick, as hexadecimal digits in
//! a text chunk, and XMP in a text chunk. What cannot be made sense of leaves the image as it lies.

use std::io::Read;

use flate2::read::ZlibDecoder;
use image::metadata::Orientation;

/// What EXIF blocks begin with in a JPEG (and, with some writers, elsewhere).
const EXIF: &[u8] = b"Exif\0\0";

/// What XMP packets begin with in a JPEG.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// The tag of the orientation in the first directory of an EXIF block (CIPA DC-008, 4.6.5.1).
const ORIENTATION: u16 = 0x0112;

/// Longest text that is unpacked from a chunk of a PNG, in bytes, as in Pillow.
const LONGEST_TEXT: u64 = 1 << 20;

/// Of a JPEG with these APP1 segments (without marker and length).
pub fn of_jpeg(app1: &[&[u8]]) -> Orientation {
    // A block too long for one segment goes on in the next.
    let mut parts = app1.iter().filter_map(|segment| segment.strip_prefix(EXIF));
    let block = parts.next().map(|first| {
        let mut block = first.to_vec();
        parts.for_each(|more| block.extend_from_slice(more));
        block
    });
    let mut packets = app1.iter().filter_map(|segment| segment.strip_prefix(XMP));
    of(block.as_deref(), packets.next_back())
}

/// Of the PNG in `bytes`.
pub fn of_png(bytes: &[u8]) -> Orientation {
    let (mut block, mut profile, mut packet, mut no_text) = (None, None, None, None);
    for (kind, data) in chunks(bytes) {
        if kind == *b"eXIf" {
            block = Some(data.to_vec());
            continue;
        }
        let Some((keyword, text)) = text(kind, data) else {
            continue;
        };
        match (keyword, &kind) {
            (b"exif", b"tEXt") => block = Some(text),
            (b"Raw profile type exif", _) => profile = Some(text),
            (b"XML:com.adobe.xmp", b"iTXt") if std::str::from_utf8(&text).is_err() => {
                no_text = Some(text);
            }
            (b"XML:com.adobe.xmp", _) => packet = Some(text),
            _ => {}
        }
    }
    let block = block.or_else(|| profile.map(|text| from_hex(&text)));
    let packet = packet.filter(|text| !text.is_empty()).or(no_text);
    of(block.as_deref(), packet.as_deref())
}

/// Of an image with this block of EXIF and this packet of XMP: EXIF has the first word, and XMP is asked where it says
/// nothing.
pub fn of(block: Option<&[u8]>, packet: Option<&[u8]>) -> Orientation {
    let value = match block.map_or(Tag::Absent, in_exif) {
        Tag::Is(value) => value,
        Tag::Absent => packet.map_or(1, in_xmp),
    };
    Orientation::from_exif(value).unwrap_or(Orientation::NoTransforms)
}

/// What an EXIF block says.
enum Tag {
    /// Nothing of the orientation.
    Absent,
    /// A value; 1 stands for every one that turns nothing.
    Is(u8),
}

/// Bytes in either order.
struct Reader<'b> {
    bytes: &'b [u8],
    little: bool,
}

impl<'b> Reader<'b> {
    /// A number of up to eight bytes at `at`.
    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.slice(at, size)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        })
    }

    fn slice(&self, at: usize, size: usize) -> Option<&'b [u8]> {
        self.bytes.get(at..at.checked_add(size)?)
    }
}

/// The orientation in the first directory of a TIFF structure (TIFF 6.0, section 2). A directory that is cut says what
/// it said until then; of several entries the first counts.
fn in_exif(block: &[u8]) -> Tag {
    let block = block.strip_prefix(EXIF).unwrap_or(block);
    let block = block.strip_prefix(EXIF).unwrap_or(block);
    let little = match block.get(..4) {
        Some(b"II*\0" | b"II\0*") => true,
        Some(b"MM\0*" | b"MM*\0") => false,
        _ if block.is_empty() => return Tag::Absent,
        _ => return Tag::Is(1),
    };
    let reader = Reader {
        bytes: block,
        little,
    };
    let Some(directory) = reader.number(4, 4) else {
        return Tag::Is(1);
    };
    let directory = directory as usize;
    let entries = reader.number(directory, 2).unwrap_or(0) as usize;
    let mut outside = 0;
    for entry in 0..entries {
        let at = directory + 2 + 12 * entry;
        let fields = [(0, 2), (2, 2), (4, 4), (8, 4)];
        let [tag, kind, count, offset] = fields.map(|(from, size)| reader.number(at + from, size));
        let (Some(tag), Some(kind), Some(count), Some(offset)) = (tag, kind, count, offset) else {
            break;
        };
        let unit: u64 = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 => 8,
            _ => continue,
        };
        // Up to four bytes lie in the entry itself.
        let (size, mut from) = (count * unit, at + 8);
        if size > 4 {
            outside += size;
            if outside > block.len() as u64 {
                continue;
            }
            from = offset as usize;
            if reader.slice(from, size as usize).is_none() {
                break;
            }
        }
        if tag == u64::from(ORIENTATION) && count > 0 {
            return Tag::Is(value(&reader, kind, from).unwrap_or(1));
        }
    }
    Tag::Absent
}

/// The first value at `at`, of the TIFF type `kind`, if it is a whole number that may be an orientation.
fn value(reader: &Reader, kind: u64, at: usize) -> Option<u8> {
    let signed = |at, size: usize| {
        let number = reader.number(at, size)?;
        let unused = 64 - 8 * size as u32;
        Some((number << unused) as i64 >> unused)
    };
    let number = match kind {
        3 => reader.number(at, 2)? as f64,
        4 | 13 => reader.number(at, 4)? as f64,
        16 => reader.number(at, 8)? as f64,
        6 => signed(at, 1)? as f64,
        8 => signed(at, 2)? as f64,
        9 => signed(at, 4)? as f64,
        5 => reader.number(at, 4)? as f64 / reader.number(at + 4, 4)? as f64,
        10 => signed(at, 4)? as f64 / signed(at + 4, 4)? as f64,
        11 => f64::from(f32::from_bits(reader.number(at, 4)? as u32)),
        12 => f64::from_bits(reader.number(at, 8)?),
        _ => return None,
    };
    (1..=8u8).find(|value| f64::from(*value) == number)
}

/// The first orientation in an XMP packet, as attribute or element. Pillow does not parse it either.
fn in_xmp(packet: &[u8]) -> u8 {
    const NAME: &[u8] = b"tiff:Orientation";
    let places = packet.windows(NAME.len()).enumerate();
    let mut found = places
        .filter(|(_, window)| *window == NAME)
        .filter_map(|(at, _)| {
            let rest = &packet[at + NAME.len()..];
            let rest = rest.strip_prefix(b"=\"").or(rest.strip_prefix(b">"))?;
            rest.first().filter(|digit| digit.is_ascii_digit())
        });
    found.next().map_or(1, |digit| digit - b'0')
}

/// Type and content of the chunks of a PNG, up to its end (ISO/IEC 15948, 5.3).
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = *rest.get(4..)?.first_chunk()?;
        let data = rest.get(8..8usize.checked_add(length)?)?;
        rest = rest.get(12 + length..).unwrap_or_default();
        (kind != *b"IEND").then_some((kind, data))
    })
}

/// Keyword and text of a text chunk (ISO/IEC 15948, 11.3.3).
fn text(kind: [u8; 4], data: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (keyword, rest) = at_nul(data)?;
    let asked: [&[u8]; 3] = [b"exif", b"Raw profile type exif", b"XML:com.adobe.xmp"];
    if !asked.contains(&keyword) {
        return None; // and is not unpacked
    }
    let text = match &kind {
        b"tEXt" => rest.to_vec(),
        b"zTXt" => inflate(rest.strip_prefix(b"\0")?),
        b"iTXt" => {
            let (&[packed, method], rest) = rest.split_first_chunk()?;
            let (_language, rest) = at_nul(rest)?;
            let (_translated, rest) = at_nul(rest)?;
            match (packed, method) {
                (0, _) => rest.to_vec(),
                (_, 0) => inflate(rest),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((keyword, text))
}

fn at_nul(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|byte| *byte == 0)?;
    Some((&data[..end], &data[end + 1..]))
}

/// What can be unpacked of a zlib stream.
fn inflate(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // One that is cut or damaged says what it said until then.
    let _ = ZlibDecoder::new(packed)
        .take(LONGEST_TEXT)
        .read_to_end(&mut text);
    text
}

/// The bytes of a profile in text: an empty line, its name, its length, and hexadecimal digits. Empty where that is no
/// such text.
fn from_hex(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n').skip(3);
    let digits: Vec<u8> = lines.flatten().copied().collect();
    let bytes = digits.split(u8::is_ascii_whitespace).flat_map(|run| {
        run.chunks(2).map(|pair| {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            Some((digit(&pair[0])? << 4 | digit(pair.get(1)?)?) as u8)
        })
    });
    bytes.collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF block of one entry in the first directory.
    fn exif(order: &[u8; 2], kind: u16, value: [u8; 4]) -> Vec<u8> {
        let put = |number: u16| match order {
            b"II" => number.to_le_bytes(),
            _ => number.to_be_bytes(),
        };
        let long = |number: u16| match order {
            b"II" => u32::from(number).to_le_bytes(),
            _ => u32::from(number).to_be_bytes(),
        };
        let [magic, count, tag, kind] = [42, 1, ORIENTATION, kind].map(put);
        [
            EXIF,
            order,
            &magic,
            &long(8),
            &count,
            &tag,
            &kind,
            &long(1),
            &value,
        ]
        .concat()
    }

    #[test]
    fn both_byte_orders_and_every_type_of_whole_number_turn_an_image() {
        // The promise as a whole is held against Pillow by tests/interop/images.py.
        let cases = [
            (exif(b"II", 3, [6, 0, 0, 0]), Orientation::Rotate90),
            (exif(b"MM", 3, [0, 6, 0, 0]), Orientation::Rotate90),
            (exif(b"II", 4, [6, 0, 0, 0]), Orientation::Rotate90),
            (exif(b"MM", 4, [0, 0, 0, 8]), Orientation::Rotate270),
            (exif(b"II", 6, [3, 0, 0, 0]), Orientation::Rotate180),
            (exif(b"II", 1, [6, 0, 0, 0]), Orientation::NoTransforms),
            (exif(b"II", 3, [9, 0, 0, 0]), Orientation::NoTransforms),
        ];
        for (block, expected) in cases {
            assert_eq!(of_jpeg(&[&block]), expected, "{block:?}");
        }
        let half = exif(b"II", 3, [6, 0, 0, 0]);
        let (first, second) = half.split_at(17);
        let second = [EXIF, second].concat();
        assert_eq!(of_jpeg(&[first, &second]), Orientation::Rotate90);
    }

    #[test]
    fn xmp_is_asked_where_exif_says_nothing() {
        let xmp = [XMP, b"<rdf tiff:Orientation=\"3\"/>"].concat();
        let element = [XMP, b"<tiff:Orientation>8</tiff:Orientation>"].concat();
        assert_eq!(of_jpeg(&[&xmp]), Orientation::Rotate180);
        assert_eq!(of_jpeg(&[&element]), Orientation::Rotate270);
        let nonsense = exif(b"II", 3, [9, 0, 0, 0]);
        assert_eq!(of_jpeg(&[&nonsense, &xmp]), Orientation::NoTransforms);
    }
}
