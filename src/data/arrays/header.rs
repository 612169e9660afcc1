//! The header of a `.npy` file: which type of number, in which order, how many of them.
//!
//! It is a Python literal, a dict of three keys (`numpy.lib.format`). Whoever wrote the file chose it, so its length and
//! its nesting are bounded, and it is read once from left to right.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail, ensure};

/// The longest header that is read, in bytes; numpy itself reads 10,000 unless it is told otherwise.
const LONGEST: u64 = 64 << 10;

/// How deep lists may lie in each other; the records of numpy need five.
const DEEPEST: usize = 16;

/// What stands before the numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The type: text such as `<f4`, or the fields of a record.
    pub descr: Literal,
    /// Whether the first axis moves fastest.
    pub fortran: bool,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Bytes before the first number.
    pub length: u64,
}

/// A value of Python, as far as headers hold them.
#[derive(Debug, PartialEq)]
pub(super) enum Literal {
    Nothing,
    Truth(bool),
    Whole(usize),
    Text(String),
    /// A list or a tuple.
    Items(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

impl Header {
    /// Reads up to the first number.
    ///
    /// # Errors
    /// Bytes that are no such header, or too many of them; the file is not named.
    pub fn read(file: &mut dyn Read) -> Result<Header> {
        let mut start = [0; 8];
        let known = file.read_exact(&mut start).is_ok() && start.starts_with(b"\x93NUMPY");
        ensure!(known, "is no .npy file; numpy.save writes one");
        let damaged = "its header is damaged; write it again with numpy.save";
        let mut size = [0; 4];
        let wide = match start[6] {
            1 => 2,
            2 | 3 => 4,
            other => bail!("is of version {other} of the .npy format; 1, 2 and 3 are read"),
        };
        file.read_exact(&mut size[..wide]).context(damaged)?;
        let size = u64::from(u32::from_le_bytes(size));
        ensure!(
            size <= LONGEST,
            "its header claims {size} bytes, and no array needs more than {LONGEST}; write it again with numpy.save"
        );
        let mut text = Vec::new();
        file.take(size).read_to_end(&mut text).context(damaged)?;
        let found =
            Header::parse(&String::from_utf8_lossy(&text)).filter(|_| text.len() as u64 == size);
        let (descr, fortran, shape) = found.ok_or_else(|| anyhow!(damaged))?;
        let length = 8 + wide as u64 + size;
        Ok(Header {
            descr,
            fortran,
            shape,
            length,
        })
    }

    fn parse(text: &str) -> Option<(Literal, bool, Vec<usize>)> {
        let mut parser = Parser { rest: text };
        let Literal::Dict(mut entries) = parser.value(DEEPEST)? else {
            return None;
        };
        parser.skip_space();
        if !parser.rest.is_empty() {
            return None;
        }
        let mut take = |name: &str| {
            let is_it =
                |(key, _): &(Literal, Literal)| matches!(key, Literal::Text(key) if key == name);
            entries
                .iter()
                .position(is_it)
                .map(|at| entries.swap_remove(at).1)
        };
        let descr = take("descr")?;
        let Literal::Truth(fortran) = take("fortran_order")? else {
            return None;
        };
        let Literal::Items(shape) = take("shape")? else {
            return None;
        };
        let whole = |length| match length {
            Literal::Whole(length) => Some(length),
            _ => None,
        };
        let shape = shape
            .into_iter()
            .map(whole)
            .collect::<Option<Vec<usize>>>()?;
        Some((descr, fortran, shape))
    }
}

/// The header of an array of `descr` and `shape` in C order, as numpy writes it.
pub(super) fn written(descr: &str, shape: &[usize]) -> Vec<u8> {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    // A tuple of one has a comma too.
    let comma = if shape.len() == 1 { "," } else { "" };
    let lengths = lengths.join(", ") + comma;
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}");
    // The numbers begin at a multiple of 64 bytes.
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let text = format!("{text:width$}\n", width = padded - 1);
    let size = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &size[..], text.as_bytes()].concat()
}

/// What is left to read of a literal.
struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    /// The next value, if it is one and lies at most `depth` deep.
    fn value(&mut self, depth: usize) -> Option<Literal> {
        let depth = depth.checked_sub(1)?;
        self.skip_space();
        match self.rest.chars().next()? {
            '{' => self.entries(depth),
            '(' => self.items(')', depth),
            '[' => self.items(']', depth),
            quote @ ('\'' | '"') => self.text(quote),
            digit if digit.is_ascii_digit() => self.whole(),
            _ => self.word(),
        }
    }

    fn entries(&mut self, depth: usize) -> Option<Literal> {
        let mut entries = Vec::new();
        self.rest = &self.rest[1..];
        while !self.eat('}') {
            let key = self.value(depth)?;
            let value = self.eat(':').then(|| self.value(depth))??;
            entries.push((key, value));
            if !self.eat(',') {
                return self.eat('}').then_some(Literal::Dict(entries));
            }
        }
        Some(Literal::Dict(entries))
    }

    fn items(&mut self, end: char, depth: usize) -> Option<Literal> {
        let mut items = Vec::new();
        self.rest = &self.rest[1..];
        while !self.eat(end) {
            items.push(self.value(depth)?);
            if !self.eat(',') {
                return self.eat(end).then_some(Literal::Items(items));
            }
        }
        Some(Literal::Items(items))
    }

    fn text(&mut self, quote: char) -> Option<Literal> {
        let mut text = String::new();
        let mut letters = self.rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.push(letters.next()?.1),
                letter if letter == quote => {
                    self.rest = &self.rest[1 + at + 1..];
                    return Some(Literal::Text(text));
                }
                letter => text.push(letter),
            }
        }
        None
    }

    fn whole(&mut self) -> Option<Literal> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        // Python 2 marked long integers.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().ok().map(Literal::Whole)
    }

    fn word(&mut self) -> Option<Literal> {
        let words = [
            ("True", Literal::Truth(true)),
            ("False", Literal::Truth(false)),
            ("None", Literal::Nothing),
        ];
        for (word, literal) in words {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(literal);
            }
        }
        None
    }

    /// Whether `letter` comes next; it is read over then.
    fn eat(&mut self, letter: char) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn headers_are_read_as_every_numpy_wrote_them() {
        // The last three: numpy 1.0 under Python 2, another writer's order and quotes, an array without axes.
        let cases: [(&str, Literal, bool, &[usize]); 4] = [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 16, 16), }   \n",
                text("<f4"),
                false,
                &[10, 16, 16],
            ),
            (
                "{'descr': '|S2', 'fortran_order': True, 'shape': (10L,), }",
                text("|S2"),
                true,
                &[10],
            ),
            (
                "{\"shape\":[3,4],\"fortran_order\":False,\"descr\":\"|u1\"}",
                text("|u1"),
                false,
                &[3, 4],
            ),
            (
                "{'descr': '<i8', 'fortran_order': False, 'shape': ()}",
                text("<i8"),
                false,
                &[],
            ),
        ];
        for (header, descr, fortran, shape) in cases {
            assert_eq!(
                Header::parse(header),
                Some((descr, fortran, shape.to_vec())),
                "{header}"
            );
        }
        let records = "{'descr': [('a\\'b', '<f4', (2, 3)), ('c', [('d', '|u1')])], 'fortran_order': False, 'shape': (1,)}";
        let (descr, ..) = Header::parse(records).unwrap();
        let fields = match &descr {
            Literal::Items(fields) => fields,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            fields[0],
            Literal::Items(vec![
                text("a'b"),
                text("<f4"),
                Literal::Items(vec![Literal::Whole(2), Literal::Whole(3)])
            ])
        );
    }

    #[test]
    fn a_header_cut_or_changed_anywhere_is_read_or_refused_and_no_more() {
        let whole = written("<f4", &[10, 16, 16]);
        for length in 0..whole.len() {
            assert!(Header::read(&mut &whole[..length]).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = Header::read(&mut &changed[..]);
            }
        }
    }

    #[test]
    fn braces_without_end_are_refused_at_once() {
        for letter in ["{", "[", "(", "{'a':", "[(", "'", "\\", "1"] {
            let text = letter.repeat(LONGEST as usize / letter.len());
            let size = (text.len() as u32).to_le_bytes();
            let bytes = [b"\x93NUMPY\x02\x00", &size[..], text.as_bytes()].concat();
            let message = Header::read(&mut &bytes[..]).unwrap_err().to_string();
            assert_eq!(
                message, "its header is damaged; write it again with numpy.save",
                "{letter}"
            );
        }
        let bytes = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{";
        let message = Header::read(&mut &bytes[..]).unwrap_err().to_string();
        assert!(
            message.starts_with("its header claims 4294967295 bytes"),
            "{message}"
        );
    }

    #[test]
    fn a_written_header_is_that_of_numpy() {
        // numpy.save(f, numpy.zeros((3, 4), "<f4")); f.getvalue()[:128]
        for (shape, words) in [(vec![3, 4], "(3, 4)"), (vec![5], "(5,)")] {
            let start =
                format!("v\0{{'descr': '<f4', 'fortran_order': False, 'shape': {words}, }}");
            let header = written("<f4", &shape);
            let expected = [b"\x93NUMPY\x01\x00", format!("{start:119}\n").as_bytes()].concat();
            assert_eq!(header, expected);
            let read = Header::read(&mut &header[..]).unwrap();
            assert_eq!((read.shape, read.length), (shape, 128));
        }
    }
}
