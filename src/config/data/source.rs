//! `data.source`: folders of images, tables, arrays, or drawings.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::layout::Layout;
use crate::config::declare::{keys, kinds};
use crate::config::document::variables::escape;
use crate::config::entry::{Entry, as_map};
use crate::config::key::{Absent, Key, Rule, Shape};
use crate::config::policy::Policy;
use crate::config::section::Section;

kinds! {
    /// Where images come from.
    Source {
        /// `ROOT/<class>/...`: JPEG, PNG, WebP, BMP, GIF and TIFF files, known by their content.
        "class_folders" ClassFolders {
            /// The folder of class folders.
            root: PathBuf [needs "the folder that holds one folder per class"] resume Free,
            /// Folders from there (or from train, val and test in it) down to those of the classes, whose names alone count;
            /// null is 1, behind folders that hold nothing but one folder.
            depth: Option<usize> [= None, within(1, 16)] since "0.3",
        },
        /// Image files that a table names.
        "table" Table(TableConfig) since "0.3",
        /// Arrays of numpy, in `.npy` files or as members of a `.npz` archive (`signs.npz/x_train`).
        "npy" Npy {
            /// Images: `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`, floats in 0..1 or bytes.
            images: PathBuf [needs "the .npy file with the images"] resume Free,
            /// Which row shows what.
            #[serde(flatten)]
            labels: NpyLabels [flatten],
        },
        /// Hand signs drawn by signet itself.
        "generated" Generated {
            /// Of each class.
            #[serde(rename = "pictures")]
            images: usize [as "pictures" = 205, within(1, 1_000_000)] unit "images",
            /// Seed of the drawings, apart from the experiment's so that repeats share their images.
            seed: u64 [= 0],
        },
    }
}

keys! {
    /// A table of image files.
    TableConfig {
        /// CSV or TSV, with the names of the columns in its first line and an image in each other one.
        file: PathBuf [needs "the CSV or TSV file that names the images"] resume Free,
        /// The column with their paths, from the folder that the table lies in.
        path: String [= "path".to_owned()],
        /// The column with their classes.
        label: String [= "label".to_owned()],
        /// The column that says train, val or test; null is a column called part, if there is one.
        part: Option<String> [= None],
    }
}

impl TableConfig {
    /// The column with the parts that is taken without being named.
    pub const USUAL_PART: &str = "part";

    /// Whether its first line names `column`; not where it cannot be read, which whoever reads the rest will say.
    fn has_column(&self, column: &str) -> bool {
        let mut first = String::new();
        let read = File::open(&self.file)
            .and_then(|file| BufReader::new(file.take(1 << 16)).read_line(&mut first));
        let names = first.trim_start_matches('\u{feff}').split([',', ';', '\t']);
        let mut names = names.map(|name| name.trim().trim_matches('"'));
        read.is_ok() && names.any(|name| name == column)
    }
}

/// How rows of an array get their class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NpyLabels {
    /// A label array: `[N]` whole numbers or names, or `[N, K]` one-hot.
    File {
        /// Path of the .npy file, or of an array in a .npz file.
        labels: PathBuf,
        /// Class name to number (or one-hot column); null reads number k as class "k", and names as they are.
        #[serde(serialize_with = "as_map")]
        label_map: Vec<(String, i128)>,
    },
    /// Row ranges, end not included.
    Rows {
        /// Class name to [first, end).
        #[serde(serialize_with = "as_map")]
        rows: Vec<(String, Vec<u64>)>,
    },
}

impl Source {
    /// Whether all its files and folders are found from `folder`.
    pub fn lies_in(&self, folder: &Path) -> bool {
        self.clone().paths().into_iter().all(|path| {
            let path = folder.join(&*path);
            // An array in an archive is named below the archive.
            path.exists() || path.parent().is_some_and(Path::is_file)
        })
    }

    /// The same with relative paths taken from `folder`.
    pub fn seen_from(mut self, folder: &Path) -> Source {
        for path in self.paths() {
            *path = folder.join(&*path);
        }
        self
    }

    /// Whether it gives its images in parts of their own; folders that are called like `classes` are no parts.
    pub(super) fn gives_parts(&self, classes: Option<&[String]>) -> bool {
        match self {
            Source::ClassFolders { root, depth } => {
                !Layout::of(root, *depth, classes).parts.is_empty()
            }
            Source::Table(table) => {
                table.part.is_some() || table.has_column(TableConfig::USUAL_PART)
            }
            Source::Npy { .. } | Source::Generated { .. } => false,
        }
    }

    /// Whether its images lie in files of their own.
    pub fn has_files(&self) -> bool {
        matches!(self, Source::ClassFolders { .. } | Source::Table(_))
    }

    /// Whether it is a table with that column.
    pub(super) fn has_column(&self, column: &str) -> bool {
        matches!(self, Source::Table(table) if table.has_column(column))
    }

    /// The override that sets it.
    pub fn as_override(&self) -> String {
        let mut value = serde_yaml::to_value(self).expect("a source is plain data");
        escape(&mut value);
        // What is JSON is YAML, too.
        let json = serde_json::to_string(&value).expect("plain data has a text");
        format!("data.source={json}")
    }

    /// Its files and folders.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Source::ClassFolders { root, .. } => vec![root],
            Source::Table(table) => vec![&mut table.file],
            Source::Npy { images, labels } => match labels {
                NpyLabels::File { labels, .. } => vec![images, labels],
                NpyLabels::Rows { .. } => vec![images],
            },
            Source::Generated { .. } => Vec::new(),
        }
    }
}

impl NpyLabels {
    fn declared() -> Vec<Key> {
        let one = || Absent::Words("one of labels and rows is needed");
        let numbers = || Box::new(Shape::Whole(Rule::Any));
        let labels = Key::new(
            "labels",
            "A label array: `[N]` whole numbers or names, or `[N, K]` one-hot.",
            Shape::Path,
            one(),
        );
        let label_map = Key::new(
            "label_map",
            "Class name to number (or one-hot column); null reads number k as class \"k\", and names as they are.",
            Shape::Names(numbers()),
            Absent::value(&()),
        );
        let rows = Key::new(
            "rows",
            "Class name to [first, end) of its rows, end not included.",
            Shape::Names(Box::new(Shape::List(numbers(), 2))),
            one(),
        );
        let free = Some(Policy::Free);
        vec![
            Key {
                resume: free,
                ..labels
            },
            label_map,
            rows,
        ]
    }

    fn of(section: &mut Section) -> NpyLabels {
        let slot = section.slot("rows");
        let by_rows = slot.holds();
        let rows: Option<Vec<(String, Vec<u64>)>> = Entry::read(slot, Rule::Any);
        let labels: Option<PathBuf> = section.get("labels");
        // With rows there is nothing to map, so the key is unknown then.
        let label_map: Option<Vec<(String, i128)>> =
            (!by_rows).then(|| section.get("label_map")).flatten();
        let label_map = label_map.unwrap_or_default();
        for (index, (class, number)) in label_map.iter().enumerate() {
            if let Some((other, _)) = label_map[..index].iter().find(|(_, known)| known == number) {
                let message = format!(
                    "{other:?} and {class:?} are both {number}; give each class a number of its own"
                );
                section.wrong("label_map", message);
            }
        }
        if rows.as_ref().is_some_and(Vec::is_empty) {
            section.wrong(
                "rows",
                "names no class; write such as {\"0\": [204, 409]}".to_owned(),
            );
        }
        for (class, range) in rows.iter().flatten() {
            if range.len() != 2 || range[0] >= range[1] {
                let message = format!(
                    "class {class:?} needs [first, end) with first below end, such as [204, 409]"
                );
                section.wrong("rows", message);
            }
        }
        for (index, (class, range)) in rows.iter().flatten().enumerate() {
            let mut others = rows.iter().flatten().take(index);
            let shared = |(_, other): &&(String, Vec<u64>)| {
                range.len() == 2 && other.len() == 2 && range[0] < other[1] && other[0] < range[1]
            };
            if let Some((other, _)) = others.find(shared) {
                let message =
                    format!("{other:?} and {class:?} share rows, but each image has one class");
                section.wrong("rows", message);
            }
        }
        match (labels, by_rows) {
            (Some(labels), false) => NpyLabels::File { labels, label_map },
            (None, true) => NpyLabels::Rows {
                rows: rows.unwrap_or_default(),
            },
            (labels, _) => {
                let found = if labels.is_some() { "both" } else { "neither" };
                let message =
                    format!("needs either labels or rows to know its classes, found {found}");
                section.wrong("images", message);
                NpyLabels::Rows { rows: Vec::new() }
            }
        }
    }
}
