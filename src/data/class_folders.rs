//! Images in one folder per class, which may lie in folders for the parts: `ROOT/cat/...` or `ROOT/train/cat/...`.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};
use unicode_normalization::UnicodeNormalization;

use super::folder::{self, PassedOver};
use super::formats::{self, ARE_READ, FileKind};
use super::listing::{ImageFile, LeftOut, Listing, NOT_UTF8};
use super::split::Part;
use super::{Dataset, order};
use crate::config::data::{DataConfig, Layout};
use crate::disk;

/// The folder of one class, in one part.
#[derive(Debug, Clone, PartialEq)]
struct ClassFolder {
    /// Its name.
    class: String,
    part: Option<Part>,
    /// From the root.
    path: PathBuf,
}

/// The class folders below a root, and what lies beside them.
#[derive(Debug)]
struct ClassFolders<'r> {
    root: &'r Path,
    folders: Vec<ClassFolder>,
    left_out: Vec<LeftOut>,
    passed_over: PassedOver,
    notes: Vec<String>,
}

impl<'r> ClassFolders<'r> {
    /// Those that lie `depth` folders below `root`, or below folders for the parts in it; without a depth the folders in
    /// `root` itself, or, as archives have it, in the only folder there. Folders that are called like `classes` are no parts.
    fn find(
        root: &'r Path,
        depth: Option<usize>,
        classes: Option<&[String]>,
    ) -> Result<ClassFolders<'r>> {
        let mut found = ClassFolders {
            root,
            folders: Vec::new(),
            left_out: Vec::new(),
            passed_over: PassedOver::default(),
            notes: Vec::new(),
        };
        let layout = Layout::of(root, depth, classes);
        let at = layout.place();
        let mut above = PathBuf::new();
        for name in &layout.behind {
            found.level(&above)?; // what lies beside the way is noted
            above.push(name);
        }
        if !layout.behind.is_empty() {
            let place = root.join(&at);
            let note = format!("the classes are in {}", place.display());
            found.notes.push(note);
        }
        let depth = depth.unwrap_or(1);
        if layout.parts.is_empty() {
            found.classes(&at, None, depth)?;
        } else {
            found.level(&at)?;
            found.parts(&at, layout.parts, depth)?;
        }
        ensure!(
            !found.folders.is_empty(),
            "{} holds no folder, and images lie in one folder per class",
            root.join(&at).components().as_path().display()
        );
        Ok(found)
    }

    /// The names of the folders at `at`, from the root; what else lies there is noted.
    fn level(&mut self, at: &Path) -> Result<Vec<String>> {
        let mut folders = Vec::new();
        for entry in folder::entries(&self.root.join(at), &mut self.passed_over)? {
            let path = self.root.join(at).join(&entry);
            let why = match (is_folder(&path)?, entry.to_str()) {
                (true, Some(name)) => {
                    folders.push(name.to_owned());
                    continue;
                }
                (true, None) => NOT_UTF8.to_owned(),
                (false, _) => match folder::kind_of(&path) {
                    FileKind::Image => {
                        "lies beside the class folders and in none of them".to_owned()
                    }
                    FileKind::OtherImage(why) => why,
                    FileKind::Other => {
                        self.passed_over.count(formats::label(entry.as_os_str()));
                        continue;
                    }
                },
            };
            let name = at.join(entry).to_string_lossy().into_owned();
            self.left_out.push((name, why));
        }
        Ok(folders)
    }

    /// Adds the class folders in the folders at `at` that are `parts`.
    fn parts(&mut self, at: &Path, parts: Vec<(usize, String)>, depth: usize) -> Result<()> {
        if let Some([(part, one), (_, other)]) =
            parts.windows(2).find(|pair| pair[0].0 == pair[1].0)
        {
            let place = self.root.join(at);
            bail!(
                "both {} and {} are the {} part; rename one of them",
                place.join(one).display(),
                place.join(other).display(),
                Part::ALL[*part]
            );
        }
        for (part, name) in parts {
            self.classes(&at.join(name), Some(Part::ALL[part]), depth)?;
        }
        Ok(())
    }

    /// Adds the class folders that lie `depth` folders below `at`.
    fn classes(&mut self, at: &Path, part: Option<Part>, depth: usize) -> Result<()> {
        for class in self.level(at)? {
            let path = at.join(&class);
            if depth > 1 {
                self.classes(&path, part, depth - 1)?;
            } else {
                self.folders.push(ClassFolder { class, part, path });
            }
        }
        Ok(())
    }

    /// The classes, in the order of an experiment that does not list them.
    fn names(&self) -> Vec<String> {
        let names = self.folders.iter().map(|folder| folder.class.clone());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.dedup();
        order::sort_classes(&mut names);
        names
    }

    /// The name that the folders of `class` have; systems spell letters with accents in two ways.
    fn name_of(&self, class: &str) -> Option<String> {
        let names = || self.folders.iter().map(|folder| &folder.class);
        let exact = names().find(|name| *name == class);
        let equal = || names().find(|name| name.nfc().eq(class.nfc()));
        exact.or_else(equal).cloned()
    }

    /// The images of `classes`, in their order: part by part, and in each of them folder by folder; with `per_class` so many
    /// of each class and part. A class without an image is refused unless it may be `lacking`.
    fn list(self, classes: &[String], config: &DataConfig, lacking: bool) -> Result<Listing> {
        let labels: Vec<Option<String>> = classes.iter().map(|class| self.name_of(class)).collect();
        let label_of = |folder: &ClassFolder| {
            let mut labels = labels.iter();
            labels.position(|name| name.as_ref() == Some(&folder.class))
        };
        let mut chosen: Vec<(&ClassFolder, usize)> = self
            .folders
            .iter()
            .filter_map(|folder| Some((folder, label_of(folder)?)))
            .collect();
        order::sort_by(&mut chosen, config.order, |(folder, _)| &folder.class);
        chosen.sort_by_key(|(folder, _)| folder.part);
        let mut listing = Listing {
            passed_over: self.passed_over,
            notes: self.notes,
            ..Listing::default()
        };
        for alike in chosen.chunk_by(|(a, _), (b, _)| (a.part, &a.class) == (b.part, &b.class)) {
            let first = listing.files.len();
            for (folder, label) in alike {
                let root = self.root.join(&folder.path);
                let found = folder::images_below(&root)?;
                let name = |path: &Path| folder.path.join(path).to_string_lossy().into_owned();
                let left_out: Vec<LeftOut> = found
                    .left_out
                    .into_iter()
                    .map(|(path, why)| (name(&path), why))
                    .collect();
                if found.images.is_empty() && !lacking {
                    bail!(
                        "{} holds no image{}; {ARE_READ}",
                        root.display(),
                        first_of(&left_out)
                    );
                }
                let file = |path: PathBuf| {
                    let within = path.to_string_lossy().into_owned();
                    let file = ImageFile {
                        name: name(&path),
                        path: root.join(path),
                        label: *label as i64,
                        part: folder.part,
                        group: None,
                    };
                    (within, file)
                };
                let mut files: Vec<_> = found.images.into_iter().map(file).collect();
                order::sort_by(&mut files, config.order, |(within, _)| within);
                listing
                    .files
                    .extend(files.into_iter().map(|(_, file)| file));
                listing.left_out.extend(left_out);
                listing.passed_over.add(found.passed_over);
            }
            let most = config.per_class.unwrap_or(usize::MAX);
            listing.files.truncate(first.saturating_add(most));
        }
        listing.left_out.extend(self.left_out);
        Ok(listing)
    }
}

/// Whether `path` leads to a folder.
fn is_folder(path: &Path) -> Result<bool> {
    Ok(disk::look(path)?.is_some_and(|found| found.is_dir()))
}

/// The first of what was left out, in brackets.
fn first_of(left_out: &[LeftOut]) -> String {
    let first = left_out.iter().take(3);
    let words: Vec<String> = first.map(|(name, why)| format!("{name} {why}")).collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!(" ({})", words.join("; ")),
    }
}

/// The images that `config` asks for in the class folders below `root`.
///
/// # Errors
/// A root without class folders, a class without a folder or an image, an image that cannot be read.
pub fn load(root: &Path, depth: Option<usize>, config: &DataConfig) -> Result<Dataset> {
    let folders = ClassFolders::find(root, depth, config.classes.as_deref()).map_err(|error| {
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
    let classes = config.classes.clone().unwrap_or_else(|| folders.names());
    for class in &classes {
        ensure!(
            folders.name_of(class).is_some(),
            "data.classes: {} has no folder {class:?}; it has {}",
            root.display(),
            folders.names().join(", ")
        );
    }
    folders.list(&classes, config, false)?.read(classes, config)
}

/// Images of other origin, in the class folders below `root`, for a model that knows `classes`: classes it does not know
/// are left out and said, classes that are not there are done without.
///
/// # Errors
/// A folder without any class that the model knows, images that cannot be read.
pub fn load_known(root: &Path, classes: &[String], config: &DataConfig) -> Result<Dataset> {
    let folders = ClassFolders::find(root, None, Some(classes))?;
    let mut notes = Vec::new();
    let known: Vec<String> = classes
        .iter()
        .filter_map(|class| folders.name_of(class))
        .collect();
    for folder in folders
        .folders
        .iter()
        .filter(|folder| !known.contains(&folder.class))
    {
        let count = folder::images_below(&root.join(&folder.path))?.images.len();
        notes.push(format!(
            "left out the {count} image(s) of {}, a class that the model does not know",
            folder.path.display()
        ));
    }
    let names = folders.names();
    let listing = folders.list(classes, config, true)?;
    ensure!(
        !listing.files.is_empty(),
        "{} holds {}, and no image of a class that the model knows: {}",
        root.display(),
        names.join(", "),
        classes.join(", ")
    );
    let here = |label: usize| listing.files.iter().any(|file| file.label == label as i64);
    let absent = (0..classes.len()).filter(|label| !here(*label));
    let absent: Vec<&str> = absent.map(|label| classes[label].as_str()).collect();
    if !absent.is_empty() {
        let absent = absent.join(", ");
        notes.push(format!(
            "there is no image of {absent}, so nothing is said of that"
        ));
    }
    let mut data = listing.read(classes.to_vec(), config)?;
    data.notes.extend(notes);
    ensure!(
        !data.index.is_empty(),
        "no image in {} can be read",
        root.display()
    );
    Ok(data)
}
