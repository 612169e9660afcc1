//! Which rows show which class: ranges of rows, or an array of labels.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::array::Array;
use super::number::{Label, Type};
use super::open::open;
use crate::config::data::NpyLabels;

/// Images per column of the label file of Kaggle's Sign Language Digits, which is one-hot: column 0 are the nines, as
/// the folders lay on its maker's disk.
const KAGGLE_COUNTS: [usize; 10] = [204, 205, 206, 207, 206, 208, 207, 206, 206, 207];

/// The digit that each of these columns stands for.
const KAGGLE_DIGITS: [usize; 10] = [9, 0, 7, 6, 1, 8, 4, 3, 2, 5];

/// The rows of every class, in the order of the file, and what the user should know.
pub(super) struct Labelled {
    pub rows: BTreeMap<String, Vec<usize>>,
    pub note: Option<String>,
}

/// Reads which of `count` rows of the array `images` shows what; `classes` are those that will be used, or all.
///
/// # Errors
/// Ranges that reach past the rows; label files that do not fit them or say no class; a mapped class without a row.
pub(super) fn read(
    labels: &NpyLabels,
    classes: Option<&[String]>,
    count: usize,
    images: &str,
) -> Result<Labelled> {
    match labels {
        NpyLabels::Rows { rows } => {
            let mut labelled = BTreeMap::new();
            for (class, range) in rows {
                let (first, end) = (range[0] as usize, range[1] as usize);
                ensure!(
                    end <= count,
                    "data.source.rows.{class}: [{first}, {end}) reaches past the {count} rows of {images}"
                );
                labelled.insert(class.clone(), (first..end).collect());
            }
            Ok(Labelled {
                rows: labelled,
                note: None,
            })
        }
        NpyLabels::File { labels, label_map } => open("labels", labels, |mut array| {
            let is_wanted = |class: &String| classes.is_none_or(|classes| classes.contains(class));
            from_array(&mut array, labels, label_map, is_wanted, count, images)
        }),
    }
}

fn from_array(
    array: &mut Array,
    file: &Path,
    label_map: &[(String, i128)],
    is_wanted: impl Fn(&String) -> bool,
    count: usize,
    images: &str,
) -> Result<Labelled> {
    let hot = match array.shape[..] {
        [_] | [_, 1] => None,
        [_, columns] if columns > 1 && !array.element.is_text() => Some(columns),
        _ => bail!(
            "{}: labels are [N], [N, 1] or one-hot [N, K] numbers, but this holds {:?}{}",
            array.name,
            array.shape,
            wrong_shape(array, count)
        ),
    };
    ensure!(
        array.shape[0] == count,
        "{} has {} rows, but {images} has {count}{}",
        array.name,
        array.shape[0],
        wrong_shape(array, count)
    );
    if array.element.is_text() {
        ensure!(
            label_map.is_empty(),
            "data.source.label_map: maps numbers, but {} holds names already; leave the map out (data.classes picks among the names)",
            array.name
        );
        return Ok(Labelled {
            rows: words(array)?,
            note: None,
        });
    }
    let mut numbers = match hot {
        Some(columns) => hot_columns(array, columns)?,
        None => whole_numbers(array)?,
    };
    if label_map.is_empty() {
        let note = is_kaggle(hot, &numbers).then(|| kaggle_note(file));
        let rows = numbers
            .into_iter()
            .map(|(number, rows)| (number.to_string(), rows));
        return Ok(Labelled {
            rows: rows.collect(),
            note,
        });
    }
    let mut rows = BTreeMap::new();
    for (class, number) in label_map {
        match numbers.remove(number) {
            Some(own) => drop(rows.insert(class.clone(), own)),
            None => ensure!(
                !is_wanted(class),
                "data.source.label_map.{class}: no row of {} has the label {number}; correct it, or take the class out",
                file.display()
            ),
        }
    }
    Ok(Labelled { rows, note: None })
}

/// How to bring labels of `count` rows into a shape that is read, if it is plain.
fn wrong_shape(array: &Array, count: usize) -> String {
    let line = match array.shape[..] {
        [_, columns] if columns == count => array.saved_as(|load| format!("{load}.T")),
        _ if array.shape.iter().product::<usize>() == count => {
            array.saved_as(|load| format!("{load}.reshape(-1)"))
        }
        _ => return String::new(),
    };
    format!("; {line} turns them")
}

fn words(array: &mut Array) -> Result<BTreeMap<String, Vec<usize>>> {
    let mut rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut bad = None;
    array.each(Type::words, |row, _, word| {
        match word.filter(|word| !word.is_empty()) {
            Some(word) => rows.entry(word).or_default().push(row),
            None => drop(bad.get_or_insert(row)),
        }
    })?;
    match bad {
        Some(row) => bail!(
            "{}: row {row} has a label that is empty or no Unicode; name its class, or leave the row out",
            array.name
        ),
        None => Ok(rows),
    }
}

fn whole_numbers(array: &mut Array) -> Result<BTreeMap<i128, Vec<usize>>> {
    let mut rows: BTreeMap<i128, Vec<usize>> = BTreeMap::new();
    let mut bad = None;
    array.each(Type::labels, |row, _, label| match label {
        Label::Whole(number) => rows.entry(number).or_default().push(row),
        Label::Broken(number) => drop(bad.get_or_insert((row, number))),
    })?;
    match bad {
        Some((row, number)) => bail!(
            "{}: row {row} has the label {number}, not a whole number; {} rounds them",
            array.name,
            array.saved_as(|load| format!("{load}.round().astype(\"int64\")"))
        ),
        None => Ok(rows),
    }
}

/// The rows of each hot column.
fn hot_columns(array: &mut Array, columns: usize) -> Result<BTreeMap<i128, Vec<usize>>> {
    let count = array.shape[0];
    // The hot column of every row so far, and the first row that is no such row.
    let mut hot: Vec<Option<usize>> = vec![None; count];
    let mut bad = count;
    array.each(Type::labels, |row, column, label| match label {
        Label::Whole(0) => {}
        Label::Whole(1) if hot[row].is_none() => hot[row] = Some(column),
        _ => bad = bad.min(row),
    })?;
    let cold = hot.iter().position(Option::is_none).unwrap_or(count);
    bad = bad.min(cold);
    ensure!(
        bad == count,
        "{}: row {bad} is not one-hot, that is one 1 and otherwise 0 in its {columns} columns; {} takes the largest",
        array.name,
        array.saved_as(|load| format!("{load}.argmax(axis=1)"))
    );
    let mut rows: BTreeMap<i128, Vec<usize>> = BTreeMap::new();
    for (row, column) in hot.into_iter().enumerate() {
        rows.entry(column.unwrap_or(0) as i128)
            .or_default()
            .push(row);
    }
    Ok(rows)
}

fn is_kaggle(hot: Option<usize>, rows: &BTreeMap<i128, Vec<usize>>) -> bool {
    hot == Some(KAGGLE_COUNTS.len()) && rows.values().map(Vec::len).eq(KAGGLE_COUNTS)
}

fn kaggle_note(file: &Path) -> String {
    let column = |digit| {
        KAGGLE_DIGITS
            .iter()
            .position(|&shown| shown == digit)
            .unwrap_or(0)
    };
    let map: Vec<String> = (0..10)
        .map(|digit| format!("'{digit}': {}", column(digit)))
        .collect();
    format!(
        "{} is the label file of Kaggle's Sign Language Digits, whose columns are not the digits (class \"0\" shows nines); \
         data.source.label_map: {{{}}} names every class by its digit",
        file.display(),
        map.join(", ")
    )
}
