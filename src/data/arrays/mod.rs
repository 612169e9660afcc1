//! Pictures and labels in `.npy` files, as on Kaggle.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use npyz::{DType, NpyFile, TypeChar, WriterBuilder};

use crate::config::data::{Image, NpyLabels};

/// Pictures picked from an array: numbers in 0..1 as `[N, C, H, W]`, with the row and class of each.
pub struct Picked {
    /// All pictures, one after the other.
    pub pictures: Vec<f32>,
    /// (row of the file, class name), in the order of the pictures.
    pub rows: Vec<(usize, String)>,
}

/// Picks the labelled rows of `images`; `classes` (or all) in their order, the first `per_class` of each.
///
/// # Errors
/// A file that is no `.npy`, is short, or has another type or shape than the experiment says; rows out
/// of range; labels of another length; pixels that are not numbers in 0..1.
pub fn pick(
    images: &Path,
    labels: &NpyLabels,
    classes: Option<&[String]>,
    per_class: Option<usize>,
    shape: &Image,
) -> Result<Picked> {
    let (numbers, size) = read_numbers(images)?;
    let (height, width, depth) = (
        shape.height as u64,
        shape.width as u64,
        shape.depth() as u64,
    );
    let fits = match size[..] {
        [_, h, w] => (h, w, 1) == (height, width, depth),
        [_, h, w, c] => (h, w, c) == (height, width, depth),
        _ => false,
    };
    ensure!(
        fits,
        "{}: holds {size:?}, but pictures of data.image are [N, {height}, {width}] or [N, {height}, {width}, {depth}]; \
         arrays are never resized, so give data.image their height, width and channels",
        images.display()
    );
    let count = size[0] as usize;
    let rows = labelled_rows(labels, count, images)?;
    if let NpyLabels::File { labels, label_map } = labels {
        let wanted = |class: &String| classes.is_none_or(|classes| classes.contains(class));
        let absent = |class: &String| rows.iter().all(|(_, name)| name != class);
        let mut mapped = label_map.iter();
        if let Some((class, number)) = mapped.find(|(class, _)| wanted(class) && absent(class)) {
            bail!(
                "data.source.label_map.{class}: no row of {} has the label {number}; correct it, or take the class out",
                labels.display()
            );
        }
    }
    let mut names: Vec<String> = rows.iter().map(|(_, class)| class.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let mut picked = Picked {
        pictures: Vec::new(),
        rows: Vec::new(),
    };
    let pixels = shape.height * shape.width * shape.depth();
    for class in classes.unwrap_or(&names) {
        let own = rows
            .iter()
            .filter(|(_, name)| name == class)
            .map(|(row, _)| *row);
        for row in own.take(per_class.unwrap_or(usize::MAX)) {
            let picture = &numbers[row * pixels..(row + 1) * pixels];
            if let Some(bad) = picture.iter().find(|number| !(0.0..=1.0).contains(*number)) {
                bail!(
                    "{}: row {row} has the pixel {bad}; floats must lie in 0..1 (bytes in 0..255 are read too)",
                    images.display()
                );
            }
            // From [H, W, C] to [C, H, W].
            for channel in 0..shape.depth() {
                picked
                    .pictures
                    .extend(picture.iter().skip(channel).step_by(shape.depth()));
            }
            picked.rows.push((row, class.clone()));
        }
    }
    Ok(picked)
}

/// Writes `[N, H, W]` (or `[N, H, W, C]`) pictures and one number per label, as numpy reads them.
///
/// # Errors
/// Files that cannot be written.
pub fn write(
    images: &Path,
    pictures: &[f32],
    shape: &Image,
    labels_file: &Path,
    labels: &[i64],
) -> Result<()> {
    let (height, width, depth) = (shape.height, shape.width, shape.depth());
    let mut size = vec![labels.len() as u64, height as u64, width as u64];
    if depth > 1 {
        size.push(depth as u64);
    }
    let mut numbers = Vec::with_capacity(pictures.len());
    for picture in pictures.chunks_exact(depth * height * width) {
        for pixel in 0..height * width {
            numbers.extend((0..depth).map(|channel| picture[channel * height * width + pixel]));
        }
    }
    write_array(images, &size, &numbers)?;
    write_array(labels_file, &[labels.len() as u64], labels)
}

fn write_array<T: npyz::AutoSerialize + Copy>(
    file: &Path,
    size: &[u64],
    numbers: &[T],
) -> Result<()> {
    let place = || format!("cannot write {}", file.display());
    let out = BufWriter::new(File::create(file).with_context(place)?);
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(size)
        .writer(out)
        .begin_nd()
        .with_context(place)?;
    writer.extend(numbers.iter().copied()).with_context(place)?;
    writer.finish().with_context(place)
}

/// (row, class name) of every labelled row.
fn labelled_rows(labels: &NpyLabels, count: usize, images: &Path) -> Result<Vec<(usize, String)>> {
    match labels {
        NpyLabels::Rows { rows } => {
            let mut labelled = Vec::new();
            for (class, range) in rows {
                let (first, end) = (range[0] as usize, range[1] as usize);
                ensure!(
                    end <= count,
                    "data.source.rows.{class}: [{first}, {end}) reaches past the {count} rows of {}",
                    images.display()
                );
                labelled.extend((first..end).map(|row| (row, class.clone())));
            }
            Ok(labelled)
        }
        NpyLabels::File { labels, label_map } => {
            let numbers = class_numbers(labels)?;
            ensure!(
                numbers.len() == count,
                "{} has {} rows, but {} has {count}",
                labels.display(),
                numbers.len(),
                images.display()
            );
            let name = |number: u64| match label_map.is_empty() {
                true => Some(number.to_string()),
                false => label_map
                    .iter()
                    .find(|(_, mapped)| *mapped == number)
                    .map(|(class, _)| class.clone()),
            };
            let rows = numbers.into_iter().enumerate();
            Ok(rows
                .filter_map(|(row, number)| Some((row, name(number)?)))
                .collect())
        }
    }
}

/// The class number of every row: `[N]` whole numbers, or the hot column of `[N, K]`.
fn class_numbers(file: &Path) -> Result<Vec<u64>> {
    let (numbers, size) = read_numbers_as_they_are(file)?;
    match size[..] {
        [_] => numbers
            .iter()
            .enumerate()
            .map(|(row, &number)| {
                ensure!(
                    number >= 0.0 && number.fract() == 0.0,
                    "{}: row {row} has the label {number}, not a whole number",
                    file.display()
                );
                Ok(number as u64)
            })
            .collect(),
        [_, columns] if columns > 1 => numbers
            .chunks_exact(columns as usize)
            .enumerate()
            .map(|(row, values)| {
                let hot: Vec<usize> = (0..values.len())
                    .filter(|&column| values[column] == 1.0)
                    .collect();
                let cold = values.iter().filter(|value| **value == 0.0).count();
                ensure!(
                    hot.len() == 1 && cold + 1 == values.len(),
                    "{}: row {row} is not one-hot",
                    file.display()
                );
                Ok(hot[0] as u64)
            })
            .collect(),
        _ => bail!(
            "{}: labels are [N] or [N, K], but this holds {size:?}",
            file.display()
        ),
    }
}

/// Floats as they are; bytes as 0..1.
fn read_numbers(file: &Path) -> Result<(Vec<f32>, Vec<u64>)> {
    let bytes = matches!(open(file)?.dtype(), DType::Plain(plain) if plain.type_char() == TypeChar::Uint && plain.size_field() == 1);
    let (numbers, size) = read_numbers_as_they_are(file)?;
    let factor = if bytes { 255.0 } else { 1.0 };
    Ok((
        numbers
            .into_iter()
            .map(|number| (number / factor) as f32)
            .collect(),
        size,
    ))
}

fn read_numbers_as_they_are(file: &Path) -> Result<(Vec<f64>, Vec<u64>)> {
    let array = open(file)?;
    let size = array.shape().to_vec();
    ensure!(
        array.order() == npyz::Order::C,
        "{}: is in Fortran order; save it again with numpy.ascontiguousarray",
        file.display()
    );
    let DType::Plain(plain) = array.dtype() else {
        bail!("{}: holds records, not numbers", file.display());
    };
    let damaged = || {
        format!(
            "{}: is shorter than its header says, or damaged",
            file.display()
        )
    };
    macro_rules! numbers {
        ($type:ty) => {
            array
                .into_vec::<$type>()
                .with_context(damaged)?
                .into_iter()
                .map(|number| number as f64)
                .collect()
        };
    }
    let numbers: Vec<f64> = match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 4) => numbers!(f32),
        (TypeChar::Float, 8) => numbers!(f64),
        (TypeChar::Uint, 1) => numbers!(u8),
        (TypeChar::Int, 4) => numbers!(i32),
        (TypeChar::Int, 8) => numbers!(i64),
        _ => bail!(
            "{}: holds numbers of type {plain}; float32, float64, uint8, int32 and int64 are read",
            file.display()
        ),
    };
    Ok((numbers, size))
}

fn open(file: &Path) -> Result<NpyFile<BufReader<File>>> {
    let place = || format!("{}: cannot be read", file.display());
    let mut opened = File::open(file).with_context(place)?;
    let size = opened.metadata().map_or(0, |found| found.len());
    let header = header_length(&mut opened).with_context(place)?;
    // The reason is a parser's drawing of several lines, so it is left out.
    let array = NpyFile::new(BufReader::new(opened)).map_err(|_| {
        anyhow!(
            "{}: is no .npy file, or its header is damaged; write it again with numpy.save",
            file.display()
        )
    })?;
    // Checked here, because the header alone would make us take memory for any length it claims.
    let claimed = array
        .shape()
        .iter()
        .try_fold(array.dtype().num_bytes().unwrap_or(1) as u64, |a, b| {
            a.checked_mul(*b)
        });
    let held = size.saturating_sub(header);
    ensure!(
        claimed == Some(held),
        "{}: its header claims {:?} numbers, and {held} bytes are {} than that; write it again with numpy.save",
        file.display(),
        array.shape(),
        if claimed.is_some_and(|claimed| claimed < held) {
            "more"
        } else {
            "fewer"
        }
    );
    Ok(array)
}

/// Bytes before the numbers: magic, version, and a length of two bytes in version 1 and four in later ones
/// (`numpy.lib.format`). The file is read from its beginning again afterwards.
fn header_length(file: &mut File) -> std::io::Result<u64> {
    let mut start = Vec::new();
    file.by_ref().take(12).read_to_end(&mut start)?;
    file.rewind()?;
    start.resize(12, 0);
    Ok(match start[6] {
        1 => 10 + u64::from(u16::from_le_bytes([start[8], start[9]])),
        _ => {
            12 + u64::from(u32::from_le_bytes([
                start[8], start[9], start[10], start[11],
            ]))
        }
    })
}
