//! Finding the images of an experiment and reading them, in parallel, in a fixed order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use rayon::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::images::{self, Prepared};
use super::index::Index;
use super::pixels::{Levels, Pixels};
use super::{Dataset, ahead, arrays, folder, generated, order};
use crate::config::data::{DataConfig, OnBadImage, Source};
use crate::disk;
use crate::fault::{Blame, Fault};

/// Side in pixels at which signs are drawn before they are resized like any other image.
const DRAWN_SIDE: u32 = 100;

/// Why a file or folder cannot be an image or a class: names go into JSON and YAML.
const NOT_UTF8: &str = "has a name that is not UTF-8; rename it";

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
            Source::ClassFolders { root } => from_folders(root, config),
            Source::Npy { images, labels } => {
                let classes = config.classes.as_deref();
                let picked =
                    arrays::pick(images, labels, classes, config.per_class, &config.image)?;
                let names = picked.rows.iter().map(|row| format!("row {row}")).collect();
                let (labels, classes) = (picked.labels, picked.classes);
                Ok(Dataset {
                    notes: picked.notes,
                    ..Dataset::new(picked.levels, names, labels, classes, config)
                })
            }
            Source::Generated { images, seed } => draw(*images, *seed, config),
        }
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

    fn new(
        levels: Levels,
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
        let pixels = Pixels::new(levels, shape);
        Dataset {
            index: Index::new(names, labels, classes, &pixels),
            pixels,
            sizes: Vec::new(),
            left_out: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Whether `path` leads to a folder.
fn is_folder(path: &Path) -> Result<bool> {
    Ok(disk::look(path)?.is_some_and(|found| found.is_dir()))
}

/// The class folders in a folder.
struct ClassFolders<'r> {
    root: &'r Path,
    names: Vec<String>,
    left_out: Vec<(String, String)>,
}

/// Name and reason of what looks like an image and is not read.
type LeftOut = (String, String);

/// An image file in a class folder.
struct ImageFile {
    /// `class/file`.
    name: String,
    path: PathBuf,
    label: i64,
}

impl<'r> ClassFolders<'r> {
    fn find(root: &'r Path) -> Result<ClassFolders<'r>> {
        let mut folders = ClassFolders {
            root,
            names: Vec::new(),
            left_out: Vec::new(),
        };
        for entry in folder::entries(root)? {
            let path = root.join(&entry);
            let name = entry.to_string_lossy().into_owned();
            let why = match (is_folder(&path)?, entry.to_str()) {
                (true, Some(_)) => {
                    folders.names.push(name);
                    continue;
                }
                (true, None) => Some(NOT_UTF8.to_owned()),
                (false, _) if folder::is_image(&path) => {
                    Some("lies beside the class folders and in none of them".to_owned())
                }
                (false, _) => folder::other_kind(&path),
            };
            folders.left_out.extend(why.map(|why| (name, why)));
        }
        ensure!(
            !folders.names.is_empty(),
            "{} holds no folder, and images lie in one folder per class",
            root.display()
        );
        Ok(folders)
    }

    /// The folder of `class`; systems spell letters with accents in two ways.
    fn of(&self, class: &str) -> Option<&str> {
        let equal = |name: &&String| name.nfc().eq(class.nfc());
        let exact = self.names.iter().find(|name| *name == class);
        exact.or(self.names.iter().find(equal)).map(String::as_str)
    }

    /// Refuses folders that are parts and not classes.
    fn are_no_parts(&self) -> Result<()> {
        const PARTS: [&str; 7] = [
            "train",
            "training",
            "val",
            "valid",
            "validation",
            "test",
            "testing",
        ];
        let part = |name: &String| PARTS.contains(&name.to_lowercase().as_str());
        let holds_folders = |name: &String| -> Result<bool> {
            let folder = self.root.join(name);
            for entry in folder::entries(&folder)? {
                if is_folder(&folder.join(entry))? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let mut are_parts = self.names.iter().all(part);
        for name in &self.names {
            are_parts = are_parts && holds_folders(name)?;
        }
        ensure!(
            !are_parts,
            "{root} holds {}, which look like parts of a split and not like classes; take the classes of one of them with \
             data.source.root: {}, or name all in data.classes if they are classes",
            self.names.join(", "),
            self.root.join(&self.names[0]).display(),
            root = self.root.display()
        );
        Ok(())
    }

    /// The image files of `class`, in `order`, and what is left out among them.
    fn files(
        &self,
        class: &str,
        label: usize,
        config: &DataConfig,
    ) -> Result<(Vec<ImageFile>, Vec<LeftOut>)> {
        let root = self.root.join(class);
        let found = folder::images_below(&root)?;
        let name = |path: &Path| format!("{class}/{}", path.to_string_lossy());
        let left_out = found.left_out.into_iter();
        let left_out: Vec<(String, String)> =
            left_out.map(|(path, why)| (name(&path), why)).collect();
        if found.images.is_empty() {
            let why: Vec<String> = left_out
                .iter()
                .take(3)
                .map(|(name, why)| format!("{name} {why}"))
                .collect();
            let why = match why.as_slice() {
                [] => String::new(),
                why => format!(" ({})", why.join("; ")),
            };
            bail!("{} holds no JPEG and no PNG{why}", root.display());
        }
        let mut files: Vec<ImageFile> = found
            .images
            .into_iter()
            .map(|path| ImageFile {
                name: name(&path),
                path: root.join(path),
                label: label as i64,
            })
            .collect();
        order::sort_by(&mut files, config.order, |file| {
            &file.name[class.len() + 1..]
        });
        files.truncate(config.per_class.unwrap_or(usize::MAX));
        Ok((files, left_out))
    }
}

/// The images that `config` asks for in the class folders of `root`.
fn from_folders(root: &Path, config: &DataConfig) -> Result<Dataset> {
    let folders = ClassFolders::find(root).map_err(|error| {
        let advice = if root.ends_with("sign-language-digits/Dataset") {
            "`signet data fetch` downloads the real images, SIGNET_DATA names a folder that has them"
        } else {
            "name the folder that holds one folder per class with -s data.source.root=DIR"
        };
        let here = std::env::current_dir().unwrap_or_default();
        anyhow!(
            "data.source.root: {} cannot be read from {} ({error:#}); {advice}",
            root.display(),
            here.display()
        )
    })?;
    let classes = match &config.classes {
        Some(classes) => classes.clone(),
        None => {
            folders.are_no_parts().context("data.source.root")?;
            let mut classes = folders.names.clone();
            order::sort_classes(&mut classes);
            classes
        }
    };
    let mut chosen = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let Some(folder) = folders.of(class) else {
            bail!(
                "data.classes: {} has no folder {class:?}; it has {}",
                root.display(),
                folders.names.join(", ")
            );
        };
        chosen.push((folder.to_owned(), label));
    }
    read_folders(folders, chosen, classes, config)
}

/// Images of other origin, in the class folders of `root`, for a model that knows `classes`: classes it does not know
/// are left out and said, classes that are not there are done without.
///
/// # Errors
/// A folder without any class that the model knows, images that cannot be read.
pub fn labelled(root: &Path, classes: &[String], config: &DataConfig) -> Result<Dataset> {
    let folders = ClassFolders::find(root)?;
    let mut chosen = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        if let Some(folder) = folders.of(class)
            && !folder::images_below(&root.join(folder))?.images.is_empty()
        {
            chosen.push((folder.to_owned(), label));
        }
    }
    ensure!(
        !chosen.is_empty(),
        "{} holds {}, and no image of a class that the model knows: {}",
        root.display(),
        folders.names.join(", "),
        classes.join(", ")
    );
    let known: Vec<&str> = classes
        .iter()
        .filter_map(|class| folders.of(class))
        .collect();
    let mut notes = Vec::new();
    let mut left_out = Vec::new();
    for folder in known
        .iter()
        .filter(|name| chosen.iter().all(|(folder, _)| folder != *name))
    {
        let found = folder::images_below(&root.join(folder))?
            .left_out
            .into_iter();
        left_out
            .extend(found.map(|(path, why)| (format!("{folder}/{}", path.to_string_lossy()), why)));
    }
    for other in folders
        .names
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
    {
        let count = folder::images_below(&root.join(other))?.images.len();
        notes.push(format!(
            "left out the {count} image(s) of {other}, a class that the model does not know"
        ));
    }
    let here = |label: usize| chosen.iter().any(|(_, known)| *known == label);
    let absent = (0..classes.len()).filter(|label| !here(*label));
    let absent: Vec<&str> = absent.map(|label| classes[label].as_str()).collect();
    if !absent.is_empty() {
        let absent = absent.join(", ");
        notes.push(format!(
            "there is no image of {absent}, so nothing is said of that"
        ));
    }
    let mut data = read_folders(folders, chosen, classes.to_vec(), config)?;
    data.notes.extend(notes);
    data.left_out.extend(left_out);
    ensure!(
        !data.index.is_empty(),
        "no image in {} can be read",
        root.display()
    );
    Ok(data)
}

/// Reads the images of the `chosen` (folder, label).
fn read_folders(
    folders: ClassFolders,
    mut chosen: Vec<(String, usize)>,
    classes: Vec<String>,
    config: &DataConfig,
) -> Result<Dataset> {
    order::sort_by(&mut chosen, config.order, |(folder, _)| folder);
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    for (folder, label) in &chosen {
        let (own, other) = folders.files(folder, *label, config)?;
        files.extend(own);
        left_out.extend(other);
    }
    left_out.extend(folders.left_out);
    let read: Vec<Result<Prepared>> = files
        .par_iter()
        .map(|file| {
            ensure!(file.path.to_str().is_some(), "{NOT_UTF8}");
            images::read(&file.path, &config.image)
        })
        .collect();
    let bad = read.iter().filter(|image| image.is_err()).count();
    let (mut bytes, mut names, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    let mut sizes = Vec::new();
    for (file, image) in files.into_iter().zip(read) {
        match (image, config.on_bad_image) {
            (Ok(image), _) => {
                bytes.extend(image.bytes);
                sizes.push(image.size);
                names.push(file.name);
                labels.push(file.label);
            }
            (Err(error), OnBadImage::Skip) => left_out.push((file.name, format!("{error:#}"))),
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
    Ok(Dataset {
        sizes,
        left_out,
        ..Dataset::new(Levels::Bytes(bytes), names, labels, classes, config)
    })
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
    let levels = Levels::Bytes(drawn.concat());
    Ok(Dataset::new(levels, names, labels, classes, config))
}
