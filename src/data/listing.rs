//! Image files that are to be read, each with its class and its part, and reading them in parallel in their order.

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use rayon::prelude::*;

use super::Dataset;
use super::folder::PassedOver;
use super::groups::{GroupRule, Groups};
use super::images::{self, Prepared};
use super::pixels::Levels;
use super::split::Part;
use crate::config::data::{DataConfig, Group, OnBadImage};

/// Why a file or folder cannot be an image or a class: names go into JSON and YAML.
pub const NOT_UTF8: &str = "has a name that is not UTF-8; rename it";

/// Name and reason of what looks like an image and is not read.
pub type LeftOut = (String, String);

/// Image files, and what was met beside them.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order in which they will be.
    pub files: Vec<ImageFile>,
    /// What looks like an image and is not read.
    pub left_out: Vec<LeftOut>,
    /// What is no image.
    pub passed_over: PassedOver,
    /// What one should know of how they were found, one sentence each.
    pub notes: Vec<String>,
}

/// An image file.
#[derive(Debug, PartialEq)]
pub struct ImageFile {
    /// Its path from where the source lies.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Index of its class.
    pub label: i64,
    /// The part it was given in, if it was given in one.
    pub part: Option<Part>,
    /// The value of the column that says what it belongs to, if there is one.
    pub group: Option<String>,
}

impl Listing {
    /// Reads the images of `classes`.
    ///
    /// # Errors
    /// An image that cannot be read, unless such are skipped.
    pub fn read(mut self, classes: Vec<String>, config: &DataConfig) -> Result<Dataset> {
        let read: Vec<Result<Prepared>> = self
            .files
            .par_iter()
            .map(|file| {
                ensure!(file.path.to_str().is_some(), "{NOT_UTF8}");
                images::read(&file.path, &config.image)
            })
            .collect();
        let bad = read.iter().filter(|image| image.is_err()).count();
        let (mut bytes, mut names, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sizes, mut parts, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        let rule = GroupRule::new(&config.group);
        let (mut transparent, mut profiles) = (0, 0);
        for (file, image) in self.files.into_iter().zip(read) {
            match (image, config.on_bad_image) {
                (Ok(image), _) => {
                    groups.extend(rule.of(&file)?);
                    bytes.extend(image.bytes);
                    sizes.push(image.size);
                    transparent += usize::from(image.transparent);
                    profiles += usize::from(image.has_profile);
                    names.push(file.name);
                    labels.push(file.label);
                    parts.push(file.part);
                }
                (Err(error), OnBadImage::Skip) => {
                    self.left_out.push((file.name, format!("{error:#}")));
                }
                (Err(error), OnBadImage::Error) => {
                    let more = match bad - 1 {
                        0 => String::new(),
                        more => format!(" (and {more} more cannot be read)"),
                    };
                    let advice = "repair or remove it, or set data.on_bad_image: skip";
                    return Err(anyhow!("{} {error:#}{more}; {advice}", file.path.display()));
                }
            }
        }
        if transparent > 0 {
            let background = config.image.background;
            self.notes.push(format!(
                "{transparent} image(s) are transparent in places, where {background} is seen (data.image.background)"
            ));
        }
        if profiles > 0 {
            self.notes.push(format!(
                "{profiles} image(s) have a profile of colours, which is left alone"
            ));
        }
        let mut data = Dataset::new(Levels::Bytes(bytes), names, labels, classes, config);
        data.index.parts = parts;
        if config.group != Group::NONE {
            let groups = Groups::new(groups);
            self.notes.push(format!(
                "the images of each of {} groups (data.group) stay in one part",
                groups.count()
            ));
            data.index.groups = Some(groups);
        }
        Ok(Dataset {
            sizes,
            left_out: self.left_out,
            passed_over: self.passed_over,
            notes: self.notes,
            ..data
        })
    }
}
