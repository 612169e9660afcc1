//! Images and labels as numpy writes them: `.npy` files, or arrays of a `.npz` archive.
//!
//! Whoever made the files chose their headers, so sizes are held against the bytes that are there before memory is
//! taken, and nothing is unpickled. The numbers are read in one pass, and only the rows that are wanted are kept. The
//! headers are read by our own few lines: npyz 0.8 parses them by backtracking, which sixteen braces keep busy for
//! ever, panics on a shape that overflows, and brings a second zip library for archives.

mod array;
mod header;
mod labels;
mod number;
mod open;

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::config::data::{ImageConfig, NpyLabels};
use crate::data::order;
use crate::data::pixels::{Levels, Pixels};
use crate::disk::Folder;
use array::Array;
use number::{NumberKind, Type};

/// Images picked from an array, class by class.
pub struct Picked {
    /// `[N, C, H, W]`.
    pub levels: Levels,
    /// The row of each in the file.
    pub rows: Vec<usize>,
    /// Index into `classes`, one per image.
    pub labels: Vec<i64>,
    /// The classes asked for, or all there are.
    pub classes: Vec<String>,
    /// What a user should know of how they were read, one sentence each.
    pub notes: Vec<String>,
}

/// Picks the labelled rows of `images`; `classes` (or all) in their order, the first `per_class` of each.
///
/// Images are `[N, H, W]` (grey), `[N, H, W, C]` or `[N, C, H, W]`: channels come last if that fits `shape`, and
/// otherwise first. Floats lie in 0..1, uint8 are bytes (n/255), bool are black and white; other integers are bytes too,
/// unless the picked images hold 0 and 1 alone, which are black and white then.
///
/// # Errors
/// Files that are no arrays or damaged; types, shapes and pixels other than these; labels of another length; rows
/// out of range.
pub fn pick(
    images: &Path,
    labels: &NpyLabels,
    classes: Option<&[String]>,
    per_class: Option<usize>,
    shape: &ImageConfig,
) -> Result<Picked> {
    open::open("images", images, |mut array| {
        ensure!(
            !array.element.is_text(),
            "{}: holds text, and images are numbers; name the array of the images, or save that one",
            array.name
        );
        let places = places(&array, shape)?;
        let count = array.shape[0];
        let mut labelled = labels::read(labels, classes, count, &array.name)?;
        let classes = match classes {
            Some(classes) => classes.to_vec(),
            None => {
                let mut all: Vec<String> = labelled.rows.keys().cloned().collect();
                order::sort_classes(&mut all);
                all
            }
        };
        let mut picked = Picked {
            levels: Levels::Bytes(Vec::new()),
            rows: Vec::new(),
            labels: Vec::new(),
            classes,
            notes: labelled.note.take().into_iter().collect(),
        };
        for (label, class) in picked.classes.iter().enumerate() {
            let mut own = labelled.rows.remove(class).unwrap_or_default();
            own.truncate(per_class.unwrap_or(usize::MAX));
            picked.labels.extend(own.iter().map(|_| label as i64));
            picked.rows.extend(own);
        }
        let (levels, note) = levels(&mut array, &places, &picked.rows)?;
        picked.levels = levels;
        picked.notes.extend(note);
        Ok(picked)
    })
}

/// Where each number of a row belongs in `[C, H, W]`.
fn places(array: &Array, shape: &ImageConfig) -> Result<Vec<usize>> {
    let (height, width, depth) = (shape.height, shape.width, shape.depth());
    let plane = height * width;
    let (last, first) = ([height, width, depth], [depth, height, width]);
    let lengths = array.shape.get(1..).unwrap_or_default();
    if lengths == last || lengths == &last[..2] && depth == 1 {
        return Ok((0..plane * depth)
            .map(|at| at % depth * plane + at / depth)
            .collect());
    }
    if lengths == first {
        return Ok((0..plane * depth).collect());
    }
    let grey = if depth == 1 {
        format!("[N, {height}, {width}], ")
    } else {
        String::new()
    };
    let advice = match array.shape[..] {
        [_, flat] if flat == plane * depth => {
            let lengths = if depth == 1 {
                format!("{height}, {width}")
            } else {
                format!("{height}, {width}, {depth}")
            };
            array.saved_as(|load| format!("{load}.reshape(-1, {lengths})"))
                + " gives flat images their shape"
        }
        [h, w, ref rest @ ..]
            if [h, w] == last[..2] && (rest.len() == 1 || rest.len() == 2 && rest[0] == depth) =>
        {
            array.saved_as(|load| format!("numpy.moveaxis({load}, -1, 0)"))
                + " puts the number of the image first"
        }
        _ => "arrays are never resized, so give data.image their height, width and channels"
            .to_owned(),
    };
    bail!(
        "{}: holds {:?}, but images of data.image are {grey}[N, {height}, {width}, {depth}] or [N, {depth}, {height}, {width}]; {advice}",
        array.name,
        array.shape
    )
}

/// The levels of `rows`, one image after the other, and a sentence where they may not be meant so.
fn levels(array: &mut Array, places: &[usize], rows: &[usize]) -> Result<(Levels, Option<String>)> {
    let element = array.element;
    if element.kind == NumberKind::Float {
        let (floats, _) = picked(array, places, rows, 1.0, |number| number)?;
        return Ok((Levels::Floats(floats), None));
    }
    let is_bool = element.kind == NumberKind::Bool;
    let most = if is_bool { 1.0 } else { 255.0 };
    let (mut bytes, high) = picked(array, places, rows, most, |number| number as u8)?;
    let is_byte = element.kind == NumberKind::Uint && element.width == 1;
    if !is_byte && high <= 1.0 {
        bytes.iter_mut().for_each(|byte| *byte *= 255);
    }
    let note = (!is_bool && high == 1.0).then(|| note_of_ones(array, is_byte));
    Ok((Levels::Bytes(bytes), note))
}

/// The numbers of `rows` in 0..`most`, one image after the other, each kept as `keep` makes it; and the largest.
fn picked<T: Copy + Default>(
    array: &mut Array,
    places: &[usize],
    rows: &[usize],
    most: f32,
    keep: impl Fn(f32) -> T,
) -> Result<(Vec<T>, f32)> {
    let image = places.len();
    let mut kept = room_for(rows.len(), image).with_context(|| array.name.clone())?;
    // Where the image of each row begins.
    let mut starts: Vec<Option<usize>> = vec![None; array.shape[0]];
    for (index, &row) in rows.iter().enumerate() {
        starts[row] = Some(index * image);
    }
    let (mut low, mut high, mut bad) = (f32::INFINITY, f32::NEG_INFINITY, None);
    array.each(Type::floats, |row, place, number| {
        if let Some(start) = starts[row] {
            kept[start + places[place]] = keep(number);
            (low, high) = (low.min(number), high.max(number));
            if !(0.0..=most).contains(&number) {
                bad.get_or_insert((row, number));
            }
        }
    })?;
    let Some((row, number)) = bad else {
        return Ok((kept, high));
    };
    let is_float = array.element.kind == NumberKind::Float;
    let line = if number.is_nan() {
        array.saved_as(|load| format!("numpy.nan_to_num({load})"))
    } else if is_float && low >= 0.0 && high <= 255.0 {
        array.saved_as(|load| format!("{load} / 255"))
    } else {
        array.saved_as(|load| format!("numpy.interp({load}, [{low}, {high}], [0, 1])"))
    };
    bail!(
        "{}: row {row} has the pixel {number}; floats must lie in 0..1, integers in 0..255, and {line} would make them so",
        array.name
    );
}

/// Zeros for `count` images of `image` numbers.
fn room_for<T: Copy + Default>(count: usize, image: usize) -> Result<Vec<T>> {
    let mut numbers = Vec::new();
    let length = count.saturating_mul(image);
    if numbers.try_reserve_exact(length).is_err() {
        bail!(
            "{count} images of {image} numbers do not fit into memory; data.per_class picks fewer"
        );
    }
    numbers.resize(length, T::default());
    Ok(numbers)
}

/// How images of 0 and 1 alone were read, which a program cannot know to be meant.
fn note_of_ones(array: &Array, is_byte: bool) -> String {
    let (name, element) = (&array.name, array.element);
    if is_byte {
        let line = array.saved_as(|load| format!("{load} * 255"));
        return format!(
            "{name}: its images hold the bytes 0 and 1 alone and are read as n/255, nearly black; if 1 means white, write them with {line}"
        );
    }
    let line = array.saved_as(|load| format!("{load}.astype(\"uint8\")"));
    format!(
        "{name}: its images hold the {element} numbers 0 and 1 alone and are read as black and white; if they are bytes, write them with {line}"
    )
}

/// Writes `X.npy`, `[N, H, W]` (or `[N, H, W, C]`) images, and `Y.npy`, one number per label, into `folder`, as numpy reads
/// them.
///
/// # Errors
/// Files that cannot be written.
pub fn write(folder: &Folder, images: &Pixels, labels: &[i64]) -> Result<()> {
    let [depth, height, width] = images.shape();
    let mut size = vec![labels.len(), height, width];
    if depth > 1 {
        size.push(depth);
    }
    let plane = height * width;
    let images = (0..images.len()).map(|index| {
        let image = images.image(index)?;
        let number = |at: usize| image[at % depth * plane + at / depth].to_le_bytes();
        Ok((0..plane * depth).flat_map(number).collect())
    });
    write_array(folder, "X.npy", &header::written("<f4", &size), images)?;
    let numbers = labels.iter().flat_map(|label| label.to_le_bytes());
    let header = header::written("<i8", &[labels.len()]);
    write_array(
        folder,
        "Y.npy",
        &header,
        std::iter::once(Ok(numbers.collect())),
    )
}

fn write_array(
    folder: &Folder,
    name: &str,
    header: &[u8],
    pieces: impl Iterator<Item = Result<Vec<u8>>>,
) -> Result<()> {
    let place = || format!("cannot write {}", folder.file(name).display());
    let mut out = BufWriter::new(folder.create(name)?);
    out.write_all(header).with_context(place)?;
    for piece in pieces {
        out.write_all(&piece?).with_context(place)?;
    }
    out.flush().with_context(place)
}
