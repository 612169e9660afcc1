//! Finding the pictures of an experiment and reading them, in parallel, in a fixed order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rayon::prelude::*;

use super::{Dataset, arrays, generated, images, order};
use crate::config::data::{DataConfig, OnBadImage, Source};

/// Side in pixels at which signs are drawn before they are resized like any other picture.
const DRAWN_SIDE: u32 = 100;

impl Dataset {
    /// Reads the pictures that `config` describes.
    ///
    /// # Errors
    /// Anything missing, empty or unreadable, named by file or key.
    pub fn load(config: &DataConfig) -> Result<Dataset> {
        let data = match &config.source {
            Source::ClassFolders { root } => from_folders(root, config)?,
            Source::Npy { images, labels } => {
                let classes = config.classes.as_deref();
                let picked =
                    arrays::pick(images, labels, classes, config.per_class, &config.image)?;
                let names = picked.rows.iter().map(|row| format!("row {row}")).collect();
                let (labels, classes) = (picked.labels, picked.classes);
                Dataset {
                    notes: picked.notes,
                    ..Dataset::new(picked.pictures, names, labels, classes, config)
                }
            }
            Source::Generated { pictures, seed } => draw(*pictures, *seed, config)?,
        };
        match data.classes.as_slice() {
            [] => bail!("data.source: there is no class, and a classifier needs two"),
            [only] => {
                bail!("data.source: only the class {only:?} is there, and a classifier needs two")
            }
            _ => {}
        }
        let missing = (0..data.classes.len()).find(|label| !data.labels.contains(&(*label as i64)));
        if let Some(label) = missing {
            let class = &data.classes[label];
            let skipped = data
                .skipped
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{class}/")));
            let why: Vec<String> = skipped
                .map(|(name, why)| format!("{name} {why}"))
                .take(3)
                .collect();
            let why = match why.as_slice() {
                [] => String::new(),
                why => format!(" (left out: {})", why.join(", ")),
            };
            bail!(
                "data.classes: the class {class:?} has no picture{why}; take it out of the list or add pictures"
            );
        }
        Ok(data)
    }

    fn new(
        pictures: Vec<f32>,
        names: Vec<String>,
        labels: Vec<i64>,
        classes: Vec<String>,
        config: &DataConfig,
    ) -> Dataset {
        let shape = [
            config.image.depth(),
            config.image.height,
            config.image.width,
        ];
        Dataset {
            pictures,
            shape,
            labels,
            names,
            classes,
            skipped: Vec::new(),
            notes: Vec::new(),
        }
    }
}

fn from_folders(root: &Path, config: &DataConfig) -> Result<Dataset> {
    let mut folders = list(root, |entry| entry.is_dir()).with_context(|| {
        format!(
            "data.source.root: {} cannot be read from {}; `signet data fetch` downloads the real pictures, SIGNET_DATA names a \
             folder that has them",
            root.display(),
            std::env::current_dir().unwrap_or_default().display()
        )
    })?;
    ensure!(
        !folders.is_empty(),
        "data.source.root: {} holds no folder, and pictures lie in one folder per class",
        root.display()
    );
    order::sort(&mut folders, config.order);
    let classes = config.classes.clone().unwrap_or_else(|| {
        let mut all = folders.clone();
        order::sort_classes(&mut all);
        all
    });
    if let Some(missing) = classes.iter().find(|class| !folders.contains(class)) {
        bail!(
            "data.classes: {} has no folder {missing:?}; it has {}",
            root.display(),
            folders.join(", ")
        );
    }
    folders.retain(|folder| classes.contains(folder));

    let mut files: Vec<(String, PathBuf, i64)> = Vec::new();
    for folder in &folders {
        let mut own = list(&root.join(folder), is_picture)?;
        ensure!(
            !own.is_empty(),
            "data.source.root: {} holds no .jpg, .jpeg or .png",
            root.join(folder).display()
        );
        order::sort(&mut own, config.order);
        own.truncate(config.per_class.unwrap_or(usize::MAX));
        let label = classes
            .iter()
            .position(|class| class == folder)
            .unwrap_or(0) as i64;
        files.extend(own.into_iter().map(|name| {
            (
                format!("{folder}/{name}"),
                root.join(folder).join(name),
                label,
            )
        }));
    }

    let read: Vec<Result<Vec<f32>>> = files
        .par_iter()
        .map(|(_, file, _)| images::read(file, &config.image))
        .collect();
    let bad = read.iter().filter(|picture| picture.is_err()).count();
    let mut data = Dataset::new(Vec::new(), Vec::new(), Vec::new(), classes, config);
    for ((name, file, label), picture) in files.into_iter().zip(read) {
        match (picture, config.on_bad_image) {
            (Ok(picture), _) => {
                data.pictures.extend(picture);
                data.names.push(name);
                data.labels.push(label);
            }
            (Err(error), OnBadImage::Skip) => data.skipped.push((name, format!("{error:#}"))),
            (Err(error), OnBadImage::Error) => {
                let more = match bad - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} more cannot be read)"),
                };
                let advice = "repair or remove it, or set data.on_bad_image: skip";
                return Err(anyhow!("{} {error:#}{more}; {advice}", file.display()));
            }
        }
    }
    Ok(data)
}

/// The names in `folder` whose paths are `wanted`.
fn list(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let place = || format!("cannot list {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let path = entry.with_context(place)?.path();
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") || !wanted(&path) {
            continue;
        }
        let Some(name) = name.to_str() else {
            bail!("{} has a name that is not UTF-8; rename it", path.display());
        };
        names.push(name.to_owned());
    }
    Ok(names)
}

/// By its name alone: a link whose file is gone is a picture that cannot be read, and not no picture.
fn is_picture(path: &Path) -> bool {
    !path.is_dir() && images::has_picture_name(path)
}

fn draw(pictures: usize, seed: u64, config: &DataConfig) -> Result<Dataset> {
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
        let count = config.per_class.unwrap_or(usize::MAX).min(pictures);
        jobs.extend((0..count as u64).map(|index| (digit, index, label as i64)));
    }
    let drawn: Vec<Vec<f32>> = jobs
        .par_iter()
        .map(|&(digit, index, _)| {
            images::prepare(
                &generated::draw(digit, index, seed, DRAWN_SIDE),
                &config.image,
            )
        })
        .collect();
    let names = jobs
        .iter()
        .map(|(digit, index, _)| format!("{digit}/{index:04}"))
        .collect();
    let labels = jobs.iter().map(|(_, _, label)| *label).collect();
    Ok(Dataset::new(drawn.concat(), names, labels, classes, config))
}
