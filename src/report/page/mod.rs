//! One page that holds all of a run, a study, or several of them side by side: a single HTML file that loads nothing.
//!
//! The templates say what stands where; `page.css` and `page.js` become part of the file. Whatever somebody named goes through
//! [`escaped`], so that it cannot turn text around, and through the template's escaping.

mod comparison;
mod run;
mod study;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use comparison::comparison;
pub use run::run;
pub use study::study;

use super::plots::Plot;
use crate::messages::escaped;

/// What surrounds a report.
struct PageFrame {
    title: String,
    /// Whether a server tells of changes.
    live: bool,
}

impl PageFrame {
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn style(&self) -> &'static str {
        include_str!("page.css")
    }

    fn script(&self) -> &'static str {
        include_str!("page.js")
    }

    /// What a browser lets the page do: run its own script, and nothing from elsewhere.
    fn policy(&self) -> String {
        let script = BASE64_STANDARD.encode(Sha256::digest(self.script()));
        let connect = if self.live {
            " connect-src 'self';"
        } else {
            ""
        };
        format!(
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{script}';{connect} \
             base-uri 'none'; form-action 'none'"
        )
    }
}

/// A plot within a page.
struct Figure {
    about: String,
    svg: String,
    /// JSON for the script; empty where there are no curves.
    readings: String,
}

impl Figure {
    fn of(plot: &Plot) -> anyhow::Result<Figure> {
        let readings = plot
            .readings
            .as_ref()
            .map(serde_json::to_string)
            .transpose()?;
        Ok(Figure {
            about: escaped(&plot.about).into_owned(),
            svg: plot.inline()?,
            readings: readings.unwrap_or_default(),
        })
    }
}

/// A table within a page.
struct PageTable {
    caption: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl PageTable {
    fn new(caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> PageTable {
        let shown = |row: Vec<String>| row.iter().map(|cell| escaped(cell).into_owned()).collect();
        PageTable {
            caption: caption.to_owned(),
            header: header
                .iter()
                .map(|name| escaped(name).into_owned())
                .collect(),
            rows: rows.into_iter().map(shown).collect(),
        }
    }
}

/// Names and what they stand for.
type FactList = Vec<(String, String)>;

fn fact(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), escaped(&value.into()).into_owned())
}

/// JSON that stands in a page: `<` would end its element.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "\u{2013}".to_owned())
}
