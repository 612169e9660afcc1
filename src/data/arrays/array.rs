//! One array as numpy wrote it, read from its first to its last number in one pass.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

use super::header::{Header, Literal};
use super::number::Type;

/// An array whose header is read and valid, and whose numbers come next.
pub(super) struct Array<'b> {
    /// What messages call it: the file, or the archive and its member.
    pub name: String,
    /// How numpy loads it, such as `numpy.load("X.npy")`.
    pub load: String,
    /// The length of each axis; their product is held by the file.
    pub shape: Vec<usize>,
    /// What each element is.
    pub element: Type,
    fortran: bool,
    body: &'b mut dyn Read,
}

impl<'b> Array<'b> {
    /// Reads the header of an array of `size` bytes.
    ///
    /// # Errors
    /// No header, numbers that are not read, and a shape that does not fit `size`.
    pub fn begin(
        name: String,
        load: String,
        body: &'b mut dyn Read,
        size: u64,
    ) -> Result<Array<'b>> {
        let header = Header::read(body).with_context(|| name.clone())?;
        let element = match &header.descr {
            Literal::Text(descr) => Type::parse(descr),
            _ => None,
        };
        let Some(element) = element else {
            bail!("{name}: holds {}", foreign(&header.descr, &load));
        };
        // Held against the file before memory is taken for any length the header claims. An axis of length 0 hides no
        // product that overflows.
        let product = |lengths: &[usize], least: usize| {
            let mut lengths = lengths.iter().map(|&length| length.max(least));
            lengths.try_fold(element.width, usize::checked_mul)
        };
        let claimed = product(&header.shape, 1).and_then(|_| product(&header.shape, 0));
        let held = size.saturating_sub(header.length) as usize;
        ensure!(
            claimed == Some(held),
            "{name}: its header claims {:?} numbers of {} bytes, and {held} bytes are {} than that; write it again with numpy.save",
            header.shape,
            element.width,
            if claimed.is_some_and(|claimed| claimed < held) {
                "more"
            } else {
                "fewer"
            }
        );
        Ok(Array {
            name,
            load,
            shape: header.shape,
            element,
            fortran: header.fortran,
            body,
        })
    }

    /// A line of numpy that writes the array anew, `change`d.
    pub fn saved_as(&self, change: impl FnOnce(&str) -> String) -> String {
        saved(&change(&self.load))
    }

    /// Reads all numbers: `decode` makes them of bytes, `take` is given each with its row (the first axis) and its
    /// place in the row, counted with the last axis fastest whatever the file's order. There is a first axis.
    ///
    /// # Errors
    /// A file that ends before its numbers do, or is damaged.
    pub fn each<T>(
        &mut self,
        decode: impl Fn(Type, &[u8]) -> Vec<T>,
        mut take: impl FnMut(usize, usize, T),
    ) -> Result<()> {
        let name = &self.name;
        let damaged = || format!("{name}: is shorter than its header says, or damaged");
        let (rows, inner) = (self.shape[0], &self.shape[1..]);
        let places: usize = inner.iter().product();
        // In C order a block is a row, in Fortran order it is the same place of every row.
        let (blocks, length) = if self.fortran {
            (places, rows)
        } else {
            (rows, places)
        };
        if blocks > 0 && length > 0 {
            let mut bytes = vec![0; length * self.element.width];
            for block in 0..blocks {
                self.body.read_exact(&mut bytes).with_context(damaged)?;
                let numbers = decode(self.element, &bytes).into_iter().enumerate();
                if self.fortran {
                    let place = last_axis_fastest(block, inner);
                    numbers.for_each(|(row, number)| take(row, place, number));
                } else {
                    numbers.for_each(|(place, number)| take(block, place, number));
                }
            }
        }
        // An archive compares its checksum at the end.
        let end = self.body.read(&mut [0]).with_context(damaged)?;
        ensure!(end == 0, "{name}: is longer than its header says");
        Ok(())
    }
}

/// A line of numpy that writes the array `expression`.
fn saved(expression: &str) -> String {
    format!("numpy.save(\"new.npy\", {expression})")
}

/// What an array of another type holds, and how to make one of it that is read.
fn foreign(descr: &Literal, load: &str) -> String {
    let descr = match descr {
        Literal::Text(descr) => descr,
        Literal::Items(fields) => {
            let name = fields.first().and_then(|field| match field {
                Literal::Items(parts) => parts.first(),
                _ => None,
            });
            let field = match name {
                Some(Literal::Text(name)) => name,
                _ => "field",
            };
            return format!(
                "records, not numbers; {} writes a field of them",
                saved(&format!("{load}[{field:?}]"))
            );
        }
        _ => "no type that numpy knows",
    };
    match descr
        .trim_start_matches(['<', '>', '|', '='])
        .chars()
        .next()
    {
        Some('O') => {
            let load = load.replacen("\")", "\", allow_pickle=True)", 1);
            format!(
                "Python objects, which can be programs and are not read; {} writes them as numbers or text, if all have one shape",
                saved(&format!("numpy.array({load}.tolist())"))
            )
        }
        Some('c') => format!(
            "complex numbers ({descr}); {} writes their real part",
            saved(&format!("{load}.real"))
        ),
        _ => format!(
            "the type {descr:?}; bool, integers, float16, float32, float64 and text are read, which {} makes of it",
            saved(&format!("{load}.astype(\"float32\")"))
        ),
    }
}

/// The place in a row of shape `inner`, counted with the last axis fastest, of number `at` with the first fastest.
fn last_axis_fastest(mut at: usize, inner: &[usize]) -> usize {
    let mut place = 0;
    let mut step: usize = inner.iter().product();
    for length in inner {
        step /= length;
        place += at % length * step;
        at /= length;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::arrays::header::written;

    fn read(header: &[u8], body: &[u8]) -> Result<Vec<(usize, usize, f32)>> {
        let bytes = [header, body].concat();
        let mut rest = &bytes[..];
        let mut array = Array::begin("x".into(), "load".into(), &mut rest, bytes.len() as u64)?;
        let mut found = Vec::new();
        array.each(Type::floats, |row, place, number| {
            found.push((row, place, number))
        })?;
        Ok(found)
    }

    #[test]
    fn an_array_in_fortran_order_is_the_same_array() {
        // numpy.asfortranarray(numpy.arange(24, dtype="u1").reshape(2, 3, 4)).tobytes("A")
        let fortran = [
            0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23,
        ];
        let header = written("|u1", &[2, 3, 4]);
        let text = String::from_utf8_lossy(&header[10..]).replace("False", "True ");
        let header = [&header[..10], text.as_bytes()].concat();
        let mut found = read(&header, &fortran).unwrap();
        found.sort_by_key(|(row, place, _)| (*row, *place));
        let expected: Vec<_> = (0..24).map(|at| (at / 12, at % 12, at as f32)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn shapes_that_claim_more_than_the_file_holds_take_no_memory() {
        let most = usize::MAX;
        for shape in [
            vec![1 << 32, 1 << 32, 8],
            vec![most, most, 0],
            vec![0, most, most],
            vec![1 << 40],
            vec![3],
        ] {
            let message = read(&written("<f4", &shape), &[0; 8])
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("and 8 bytes are fewer than that"),
                "{message}"
            );
        }
        // Nothing, however wide.
        assert_eq!(read(&written("<f4", &[0, 1 << 60]), &[]).unwrap(), []);
        assert_eq!(read(&written("<f4", &[1 << 60, 0]), &[]).unwrap(), []);
    }
}
