//! Reading the images of an experiment, from wherever they come.

use anyhow::{Context, Result, bail};
use image::metadata::Orientation;
use rayon::prelude::*;

use super::folder::PassedOver;
use super::index::Index;
use super::pixels::{Levels, Pixels};
use super::split::Part;
use super::{Dataset, ahead, arrays, class_folders, generated, images, table};
use crate::config::data::{DataConfig, Source, SplitConfig};
use crate::fault::{Blame, Fault};

/// Side in pixels at which signs are drawn before they are resized like any other image.
const DRAWN_SIDE: u32 = 100;

impl Dataset {
    /// Reads the images that `config` describes.
    ///
    /// # Errors
    /// Anything missing, empty or unreadable, named by file or key: a fault of the data.
    pub fn load(config: &DataConfig) -> Result<Dataset> {
        ahead::take(config)
            .unwrap_or_else(|| Dataset::read(config))
            .and_then(Dataset::with_two_classes)
            .blame(Fault::Data)
    }

    /// Without a look at the classes.
    pub(super) fn read(config: &DataConfig) -> Result<Dataset> {
        match &config.source {
            Source::ClassFolders { root, depth } => {
                class_folders::load(root, *depth, config)?.with_parts_noted(config)
            }
            Source::Table(table) => table::load(table, config)?.with_parts_noted(config),
            Source::Npy { images, labels } => {
                let classes = config.classes.as_deref();
                let picked =
                    arrays::pick(images, labels, classes, config.per_class, &config.image)?;
                let names = picked.rows.iter().map(|row| format!("row {row}")).collect();
                let (labels, classes) = (picked.labels, picked.classes);
                let pixels = Pixels::new(picked.levels, config.image.shape());
                Ok(Dataset {
                    notes: picked.notes,
                    ..Dataset::new(names, labels, classes, pixels.digests(), pixels)
                })
            }
            Source::Generated { images, seed } => draw(*images, *seed, config),
        }
    }

    /// Itself, with a note of what becomes of the parts that images were given in.
    fn with_parts_noted(mut self, config: &DataConfig) -> Result<Dataset> {
        let mut given: Vec<Part> = self.index.parts.iter().copied().flatten().collect();
        given.sort_unstable();
        given.dedup();
        let words: Vec<&str> = given.iter().map(|part| part.word()).collect();
        let words = words.join(", ");
        match config.split {
            _ if given.is_empty() => {}
            SplitConfig::AsFound {} => self
                .notes
                .push(format!("the parts are as they were found: {words}")),
            _ => self.notes.push(format!(
                "the images were found in the parts {words}, and are split anew, as data.split says"
            )),
        }
        Ok(self)
    }

    /// Itself, if there are two classes and an image of each.
    fn with_two_classes(self) -> Result<Dataset> {
        let index = &self.index;
        match index.classes.as_slice() {
            [] => bail!("data.source: there is no class, and a classifier needs two"),
            [only] => {
                bail!("data.source: only the class {only:?} is there, and a classifier needs two")
            }
            _ => {}
        }
        let missing =
            (0..index.classes.len()).find(|label| !index.labels.contains(&(*label as i64)));
        if let Some(label) = missing {
            let class = &index.classes[label];
            let left_out = self
                .left_out
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{class}/")));
            let why: Vec<String> = left_out
                .map(|(name, why)| format!("{name} {why}"))
                .take(3)
                .collect();
            let why = match why.as_slice() {
                [] => String::new(),
                why => format!(" (left out: {})", why.join(", ")),
            };
            bail!(
                "data.classes: the class {class:?} has no image{why}; take it out of the list or add images"
            );
        }
        Ok(self)
    }

    /// Of `pixels`, whose images have these `digests`.
    pub(super) fn new(
        names: Vec<String>,
        labels: Vec<i64>,
        classes: Vec<String>,
        digests: Vec<[u8; 32]>,
        pixels: Pixels,
    ) -> Dataset {
        Dataset {
            index: Index::new(names, labels, classes, pixels.shape(), digests),
            pixels,
            sizes: Vec::new(),
            left_out: Vec::new(),
            passed_over: PassedOver::default(),
            notes: Vec::new(),
        }
    }
}

fn draw(images: usize, seed: u64, config: &DataConfig) -> Result<Dataset> {
    let classes = config
        .classes
        .clone()
        .unwrap_or_else(|| vec!["0".to_owned(), "1".to_owned()]);
    let mut jobs = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let digit = class
            .parse()
            .ok()
            .filter(|digit: &u8| generated::DIGITS.contains(digit) && digit.to_string() == *class);
        let digit = digit.with_context(|| {
            format!("data.classes: only the digits 0 to 9 can be drawn, not {class:?}")
        })?;
        let count = config.per_class.unwrap_or(usize::MAX).min(images);
        jobs.extend((0..count as u64).map(|index| (digit, index, label as i64)));
    }
    let drawn: Vec<Vec<u8>> = jobs
        .par_iter()
        .map(|&(digit, index, _)| {
            let pixels = generated::draw(digit, index, seed, DRAWN_SIDE).into();
            images::prepare(&pixels, Orientation::NoTransforms, &config.image)
        })
        .collect();
    let names = jobs
        .iter()
        .map(|(digit, index, _)| format!("{digit}/{index:04}"))
        .collect();
    let labels = jobs.iter().map(|(_, _, label)| *label).collect();
    let pixels = Pixels::new(Levels::Bytes(drawn.concat()), config.image.shape());
    let digests = pixels.digests();
    Ok(Dataset::new(names, labels, classes, digests, pixels))
}
