//! The types of numpy that are read, and their bytes as numbers.

use std::fmt;

use half::f16;

/// What one element of an array is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    pub kind: NumberKind,
    /// Bytes of one element.
    pub width: usize,
    /// Whether the most significant byte comes first.
    big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Bool,
    Int,
    Uint,
    Float,
    /// `<U`: code points of four bytes, filled up with zeros.
    Text,
    /// `|S`: bytes, filled up with zeros.
    Bytes,
}

/// A number as a label: whole, and then exact, or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Label {
    Whole(i128),
    Broken(f64),
}

/// Applies `$convert` to every number of `$bytes`.
macro_rules! each {
    ($type:ty, $bytes:expr, $big:expr, $convert:expr) => {{
        let bytes = $bytes.chunks_exact(size_of::<$type>());
        let bytes = bytes.map(|bytes| bytes.try_into().expect("chunks are as long as asked"));
        if $big {
            bytes.map(<$type>::from_be_bytes).map($convert).collect()
        } else {
            bytes.map(<$type>::from_le_bytes).map($convert).collect()
        }
    }};
}

impl Type {
    /// Reads `descr` of a header, such as `<f4`; nothing if its numbers are not read.
    pub fn parse(descr: &str) -> Option<Type> {
        let (order, rest) = match descr.chars().next()? {
            order @ ('<' | '>' | '|' | '=') => (order, &descr[1..]),
            _ => ('=', descr),
        };
        let letter = rest.chars().next()?;
        let size: usize = rest[letter.len_utf8()..].parse().ok()?;
        let (kind, width) = match (letter, size) {
            ('b', 1) => (NumberKind::Bool, 1),
            ('i', 1 | 2 | 4 | 8) => (NumberKind::Int, size),
            ('u', 1 | 2 | 4 | 8) => (NumberKind::Uint, size),
            ('f', 2 | 4 | 8) => (NumberKind::Float, size),
            ('U', 1..) => (NumberKind::Text, size.checked_mul(4)?),
            ('S', 1..) => (NumberKind::Bytes, size),
            _ => return None,
        };
        let big = order == '>' || order == '=' && cfg!(target_endian = "big");
        Some(Type { kind, width, big })
    }

    /// Whether elements are text.
    pub fn is_text(self) -> bool {
        matches!(self.kind, NumberKind::Text | NumberKind::Bytes)
    }

    /// The numbers of `bytes` as float32, rounded where they are longer; none of text.
    pub fn floats(self, bytes: &[u8]) -> Vec<f32> {
        match (self.kind, self.width) {
            (NumberKind::Bool, _) => bytes.iter().map(|&byte| f32::from(byte != 0)).collect(),
            (NumberKind::Int, 1) => each!(i8, bytes, self.big, f32::from),
            (NumberKind::Int, 2) => each!(i16, bytes, self.big, f32::from),
            (NumberKind::Int, 4) => each!(i32, bytes, self.big, |n| n as f32),
            (NumberKind::Int, _) => each!(i64, bytes, self.big, |n| n as f32),
            (NumberKind::Uint, 1) => each!(u8, bytes, self.big, f32::from),
            (NumberKind::Uint, 2) => each!(u16, bytes, self.big, f32::from),
            (NumberKind::Uint, 4) => each!(u32, bytes, self.big, |n| n as f32),
            (NumberKind::Uint, _) => each!(u64, bytes, self.big, |n| n as f32),
            (NumberKind::Float, 2) => each!(f16, bytes, self.big, f16::to_f32),
            (NumberKind::Float, 4) => each!(f32, bytes, self.big, |n| n),
            (NumberKind::Float, _) => each!(f64, bytes, self.big, |n| n as f32),
            (NumberKind::Text | NumberKind::Bytes, _) => Vec::new(),
        }
    }

    /// The numbers of `bytes` as labels; none of text.
    pub fn labels(self, bytes: &[u8]) -> Vec<Label> {
        match (self.kind, self.width) {
            (NumberKind::Bool, _) => bytes.iter().map(|&byte| whole(byte != 0)).collect(),
            (NumberKind::Int, 1) => each!(i8, bytes, self.big, whole),
            (NumberKind::Int, 2) => each!(i16, bytes, self.big, whole),
            (NumberKind::Int, 4) => each!(i32, bytes, self.big, whole),
            (NumberKind::Int, _) => each!(i64, bytes, self.big, whole),
            (NumberKind::Uint, 1) => each!(u8, bytes, self.big, whole),
            (NumberKind::Uint, 2) => each!(u16, bytes, self.big, whole),
            (NumberKind::Uint, 4) => each!(u32, bytes, self.big, whole),
            (NumberKind::Uint, _) => each!(u64, bytes, self.big, whole),
            (NumberKind::Float, 2) => each!(f16, bytes, self.big, |n: f16| whole_float(n.to_f64())),
            (NumberKind::Float, 4) => each!(f32, bytes, self.big, |n| whole_float(n.into())),
            (NumberKind::Float, _) => each!(f64, bytes, self.big, whole_float),
            (NumberKind::Text | NumberKind::Bytes, _) => Vec::new(),
        }
    }

    /// The words of `bytes` without the zeros they are filled up with; nothing for one that is no Unicode.
    pub fn words(self, bytes: &[u8]) -> Vec<Option<String>> {
        let word = |bytes: &[u8]| match self.kind {
            NumberKind::Text => {
                let mut points: Vec<u32> = each!(u32, bytes, self.big, |point| point);
                points.truncate(
                    points
                        .iter()
                        .rposition(|&point| point != 0)
                        .map_or(0, |last| last + 1),
                );
                points.into_iter().map(char::from_u32).collect()
            }
            _ => {
                let end = bytes
                    .iter()
                    .rposition(|&byte| byte != 0)
                    .map_or(0, |last| last + 1);
                String::from_utf8(bytes[..end].to_vec()).ok()
            }
        };
        bytes.chunks_exact(self.width).map(word).collect()
    }
}

fn whole(number: impl Into<i128>) -> Label {
    Label::Whole(number.into())
}

/// Whole floats are exact as i128 up to 2^127.
fn whole_float(number: f64) -> Label {
    if number.fract() == 0.0 && number.abs() < 2f64.powi(127) {
        Label::Whole(number as i128)
    } else {
        Label::Broken(number)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bits = 8 * self.width;
        match self.kind {
            NumberKind::Bool => write!(f, "bool"),
            NumberKind::Int => write!(f, "int{bits}"),
            NumberKind::Uint => write!(f, "uint{bits}"),
            NumberKind::Float => write!(f, "float{bits}"),
            NumberKind::Text => write!(f, "text of {} letters", self.width / 4),
            NumberKind::Bytes => write!(f, "text of {} bytes", self.width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(descr: &str) -> Type {
        Type::parse(descr).unwrap_or_else(|| panic!("{descr} is not read"))
    }

    #[test]
    fn whole_labels_stay_apart_where_floats_would_merge_them() {
        let numbers = [i64::MAX, i64::MAX - 1, (1 << 53) + 1, 1 << 53, -1];
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let expected: Vec<Label> = numbers
            .iter()
            .map(|&number| Label::Whole(number.into()))
            .collect();
        assert_eq!(of("<i8").labels(&bytes), expected);
        assert_eq!(of("<u8").labels(&[255; 8]), [Label::Whole(u64::MAX.into())]);
    }

    #[test]
    fn floats_are_labels_where_they_are_whole() {
        for (number, label) in [
            (3.0, Label::Whole(3)),
            (-2.0, Label::Whole(-2)),
            (-0.0, Label::Whole(0)),
            (0.5, Label::Broken(0.5)),
            (f64::INFINITY, Label::Broken(f64::INFINITY)),
            (1e300, Label::Broken(1e300)),
        ] {
            assert_eq!(of(">f8").labels(&number.to_be_bytes()), [label]);
        }
        assert!(matches!(whole_float(f64::NAN), Label::Broken(_)));
    }

    #[test]
    fn both_orders_of_bytes_give_the_same_numbers() {
        assert_eq!(of("<u2").floats(&[1, 2]), [513.0]);
        assert_eq!(of(">u2").floats(&[2, 1]), [513.0]);
        // 0.1 in float16 is 0x2e66 (numpy.float16(0.1).view("uint16")).
        assert_eq!(
            of("<f2").floats(&[0x66, 0x2e]),
            of(">f2").floats(&[0x2e, 0x66])
        );
        assert_eq!(
            of("<U2").words(b"a\0\0\0\xe4\0\0\0"),
            [Some("aä".to_owned())]
        );
        assert_eq!(of(">U2").words(b"\0\0\0a\0\0\0\0"), [Some("a".to_owned())]);
        assert_eq!(of("<U1").words(&[0, 0, 0x11, 0]), [None]);
        assert_eq!(
            of("|S3").words(b"ab\0c\0\0"),
            [Some("ab".to_owned()), Some("c".to_owned())]
        );
    }

    #[test]
    fn types_that_are_no_numbers_or_too_wide_are_not_read() {
        for descr in [
            "",
            "<",
            "|O",
            "<c8",
            "<f16",
            "<M8[ns]",
            "|V2",
            "<i3",
            "<U0",
            "|S0",
            "<U9223372036854775807",
            "<ä4",
        ] {
            assert_eq!(Type::parse(descr), None, "{descr}");
        }
    }
}
