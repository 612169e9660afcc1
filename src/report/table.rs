//! Tables for people (no frames, words to the left, numbers to the right, nothing behind the last column, a line per
//! row whatever its names hold), and those for programs.

use std::fmt;

use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Row, presets};

use crate::messages::escaped;

/// A table under way.
pub struct Table(comfy_table::Table);

impl Table {
    /// One whose first `words` columns hold words, and the others numbers.
    pub fn new(words: usize, header: &[&str]) -> Table {
        let mut table = comfy_table::Table::new();
        let header = header.iter().map(|name| escaped(name));
        table.load_preset(presets::NOTHING).set_header(header);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            if column.index >= words {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Table(table)
    }

    /// Adds a row, a cell for each column.
    pub fn add_row<R: Into<Row>>(&mut self, row: R) {
        let row: Row = row.into();
        let cells = row.cell_iter().map(Cell::content);
        self.0
            .add_row(cells.map(|cell| escaped(&cell).into_owned()));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.trim_fmt())
    }
}

/// `rows` as CSV: RFC 4180, with lines that end in a line feed alone.
///
/// # Errors
/// Rows of different lengths.
pub fn csv_text(rows: impl IntoIterator<Item = Vec<String>>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_the_width_of_characters() {
        let mut table = Table::new(1, &["class", "images"]);
        // Columns that a terminal gives them: East Asian Width (UAX 11), sequences of emoji (UTS 51).
        let names = [
            ("cat", 3),
            ("고양이", 6),
            ("👩\u{200d}👧 x", 4),
            ("cafe\u{301}", 4),
            ("עברית", 5),
            ("a\u{200b}b", 10), // shown as a\u{200b}b
        ];
        for (name, _) in names {
            table.add_row([name, "7"]);
        }
        let text = table.to_string();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("class       images"));
        for (line, (name, width)) in lines.zip(names) {
            let blanks = " ".repeat(17 - width);
            assert_eq!(line, format!("{}{blanks}7", escaped(name)));
        }
    }

    #[test]
    fn a_name_is_one_field_of_csv_whatever_it_holds() {
        let row = ["a, b", "the \"x\"", "two\nlines", "", "plain é"].map(str::to_owned);
        // RFC 4180, section 2, rules 6 and 7.
        assert_eq!(
            csv_text([row.to_vec()]).unwrap(),
            "\"a, b\",\"the \"\"x\"\"\",\"two\nlines\",,plain é\n"
        );
    }
}
