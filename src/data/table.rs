//! Images that a table names: CSV or TSV, a line for each, with the names of its columns in the first.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use csv::{ByteRecord, ReaderBuilder};

use super::listing::{ImageFile, Listing};
use super::split::Part;
use super::{Dataset, order};
use crate::config::data::{DataConfig, TableConfig};
use crate::disk;

/// Most lines of a table.
const MOST_LINES: usize = 20_000_000;

/// Longest value in a table, in bytes: a quote that is never closed makes one of all that follows.
const LONGEST_VALUE: usize = 1 << 16;

/// A line of the table.
struct Row {
    /// Its number in the file.
    line: u64,
    path: String,
    label: String,
    part: Option<Part>,
    group: Option<String>,
}

/// The images that the table of `config` names.
///
/// # Errors
/// A table that cannot be read, lacks a column, or contradicts itself; an image that cannot be read.
pub fn load(table: &TableConfig, config: &DataConfig) -> Result<Dataset> {
    let place = || format!("data.source.file: {}", table.file.display());
    let rows = rows(table, config.group.column()).with_context(place)?;
    ensure!(!rows.is_empty(), "{}: has no line but the first", place());
    let classes = match &config.classes {
        Some(classes) => classes.clone(),
        None => {
            let mut classes: Vec<String> = rows.iter().map(|row| row.label.clone()).collect();
            classes.sort_unstable();
            classes.dedup();
            order::sort_classes(&mut classes);
            classes
        }
    };
    let labels: HashMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
    if let Some(class) = classes
        .iter()
        .find(|class| rows.iter().all(|row| row.label != **class))
    {
        bail!(
            "data.classes: {} has no line with the label {class:?}",
            table.file.display()
        );
    }
    let folder = table.file.parent().unwrap_or(Path::new(""));
    let mut counts: HashMap<(usize, Option<Part>), usize> = HashMap::new();
    let mut listing = Listing::default();
    for row in rows {
        let Some(&label) = labels.get(row.label.as_str()) else {
            continue; // of a class that nobody asked for
        };
        let count = counts.entry((label, row.part)).or_default();
        *count += 1;
        if *count <= config.per_class.unwrap_or(usize::MAX) {
            listing.files.push(ImageFile {
                path: folder.join(&row.path),
                name: row.path,
                label: label as i64,
                part: row.part,
                group: row.group,
            });
        }
    }
    listing.read(classes, config)
}

/// The lines of the table, every path once, with the value of the column `group`.
fn rows(table: &TableConfig, group: Option<&str>) -> Result<Vec<Row>> {
    let text = disk::read(&table.file).with_context(|| {
        let here = std::env::current_dir().unwrap_or_default();
        let here = here.display();
        format!("cannot be read from {here}; name the table with -s data.source.file=FILE")
    })?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text); // as Excel begins
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .from_reader(text);
    let header = reader.byte_headers().context("its first line")?.clone();
    let columns = Columns::of(&header, table, group)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(|value| value.trim_ascii().is_empty()) {
            continue;
        }
        let row = columns
            .row(&record, line)
            .with_context(|| format!("line {line}"))?;
        ensure!(rows.len() < MOST_LINES, "has more than {MOST_LINES} lines");
        match lines.get(&row.path).map(|&known| &rows[known]) {
            None => {
                lines.insert(row.path.clone(), rows.len());
                rows.push(row);
            }
            Some(known) if known.label == row.label => bail!(
                "line {line}: {:?} stands in line {} already; name each image once",
                row.path,
                known.line
            ),
            Some(known) => bail!(
                "line {line}: {:?} is {:?}, and {:?} in line {}; an image has one class",
                row.path,
                row.label,
                known.label,
                known.line
            ),
        }
    }
    Ok(rows)
}

/// Between the columns: a tab if the first line has one, else a semicolon if it has that and no comma.
fn delimiter(text: &[u8]) -> u8 {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let has = |byte| first.contains(&byte);
    match (has(b'\t'), has(b','), has(b';')) {
        (true, _, _) => b'\t',
        (false, false, true) => b';',
        _ => b',',
    }
}

/// Where in a line the values stand.
struct Columns<'t> {
    table: &'t TableConfig,
    path: usize,
    label: usize,
    part: Option<usize>,
    group: Option<(usize, &'t str)>,
    count: usize,
}

impl<'t> Columns<'t> {
    fn of(
        header: &ByteRecord,
        table: &'t TableConfig,
        group: Option<&'t str>,
    ) -> Result<Columns<'t>> {
        let names: Vec<String> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let find = |name: &str| names.iter().position(|known| known == name);
        let needed = |key: &str, name: &str| {
            find(name).with_context(|| {
                format!(
                    "has no column {name:?}; it has {}; name the one with -s data.{key}=COLUMN",
                    names.join(", ")
                )
            })
        };
        Ok(Columns {
            table,
            path: needed("source.path", &table.path)?,
            label: needed("source.label", &table.label)?,
            part: match &table.part {
                Some(name) => Some(needed("source.part", name)?),
                None => find(TableConfig::USUAL_PART),
            },
            group: match group {
                Some(name) => Some((needed("group.column", name)?, name)),
                None => None,
            },
            count: names.len(),
        })
    }

    fn row(&self, record: &ByteRecord, line: u64) -> Result<Row> {
        ensure!(
            record.iter().all(|value| value.len() <= LONGEST_VALUE),
            "a value of more than {LONGEST_VALUE} bytes; is a quote not closed?"
        );
        ensure!(
            record.len() == self.count,
            "{} values, and the first line names {} columns; is a quote or a comma missing?",
            record.len(),
            self.count
        );
        let value = |column: usize, name: &str| -> Result<String> {
            let value = std::str::from_utf8(&record[column]);
            let value =
                value.with_context(|| format!("{name}: not UTF-8; save the table as UTF-8"))?;
            ensure!(!value.trim().is_empty(), "{name}: nothing stands there");
            ensure!(
                !value.contains(['\n', '\r', '\0']),
                "{name}: more than one line; is a quote not closed?"
            );
            Ok(value.trim().to_owned())
        };
        let part = |column: usize| -> Result<Part> {
            let name = self.table.part.as_deref();
            let name = name.unwrap_or(TableConfig::USUAL_PART);
            let word = value(column, name)?;
            Part::called(&word)
                .with_context(|| format!("{name}: {word:?} is not one of train, val, test"))
        };
        Ok(Row {
            line,
            path: value(self.path, &self.table.path)?,
            label: value(self.label, &self.table.label)?,
            part: self.part.map(part).transpose()?,
            group: match self.group {
                Some((column, name)) => Some(value(column, name)?),
                None => None,
            },
        })
    }
}
