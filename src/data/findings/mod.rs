//! What is wrong, or may be, with a data set and its split: files that cannot be read, images that show nothing or are of an odd
//! size, images that are the same, classes and groups that the split treats badly.

mod near;
mod sizes;

use anyhow::Result;
use serde::{Serialize, Serializer};

use super::Dataset;
use super::index::Index;
use super::split::{Part, Split};

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Whether images of two parts have to do with it, so that metrics may be too good.
    pub across_parts: bool,
    /// The images.
    pub images: Vec<FoundImage>,
    /// More about it, in words.
    pub detail: String,
}

/// What can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The split cannot be made.
    NoSplit,
    /// A file that looks like an image and cannot be read.
    Unreadable,
    /// Images whose prepared pixels are equal.
    Equal,
    /// Images that look alike.
    NearlyEqual,
    /// A group with images in two parts.
    CutGroup,
    /// A class that a part has no image of.
    SmallClass,
    /// An image of one level.
    Blank,
    /// An image with few pixels.
    Tiny,
    /// An image of another aspect ratio than most.
    OddShape,
    /// A label that predictions contradict.
    DoubtfulLabel,
}

impl FindingKind {
    /// What it is called in files.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::NoSplit => "no_split",
            FindingKind::Unreadable => "unreadable",
            FindingKind::Equal => "equal",
            FindingKind::NearlyEqual => "nearly_equal",
            FindingKind::CutGroup => "cut_group",
            FindingKind::SmallClass => "small_class",
            FindingKind::Blank => "blank",
            FindingKind::Tiny => "tiny",
            FindingKind::OddShape => "odd_shape",
            FindingKind::DoubtfulLabel => "doubtful_label",
        }
    }

    /// What it is called in tables.
    pub fn title(self) -> &'static str {
        match self {
            FindingKind::NoSplit => "no split",
            FindingKind::Unreadable => "unreadable",
            FindingKind::Equal => "equal images",
            FindingKind::NearlyEqual => "nearly equal images",
            FindingKind::CutGroup => "group in two parts",
            FindingKind::SmallClass => "class without images in a part",
            FindingKind::Blank => "blank",
            FindingKind::Tiny => "tiny",
            FindingKind::OddShape => "odd shape",
            FindingKind::DoubtfulLabel => "doubtful label",
        }
    }
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// An image that has to do with a finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundImage {
    /// What it is called.
    pub name: String,
    /// Its class; none where it was not read.
    pub class: Option<String>,
    /// Its part; none where there is no split, or it is in no part.
    pub part: Option<Part>,
}

/// Where images are, as findings tell of them.
pub struct Places<'a> {
    index: &'a Index,
    parts: Vec<Option<Part>>,
}

impl<'a> Places<'a> {
    /// Of the images of `index` in the parts of `split`, if there is one.
    pub fn new(index: &'a Index, split: Option<&Split>) -> Places<'a> {
        let mut parts = vec![None; index.len()];
        for (part, images) in split.iter().flat_map(|split| split.parts()) {
            images.iter().for_each(|&image| parts[image] = Some(part));
        }
        Places { index, parts }
    }

    /// The image numbered so.
    fn of(&self, image: usize) -> FoundImage {
        FoundImage {
            name: self.index.names[image].clone(),
            class: Some(self.index.classes[self.index.labels[image] as usize].clone()),
            part: self.parts[image],
        }
    }

    /// A finding about `images`.
    pub fn finding(&self, kind: FindingKind, images: &[usize], detail: String) -> Finding {
        let images: Vec<FoundImage> = images.iter().map(|&image| self.of(image)).collect();
        let mut parts = images.iter().filter_map(|image| image.part);
        let first = parts.next();
        Finding {
            kind,
            across_parts: parts.any(|part| Some(part) != first),
            images,
            detail,
        }
    }
}

/// Everything that is found in `data` and, if there is one, its `split`.
///
/// # Errors
/// A file that is gone or has changed.
pub fn find(data: &Dataset, split: Option<&Split>) -> Result<Vec<Finding>> {
    let index = &data.index;
    let places = Places::new(index, split);
    let mut found: Vec<Finding> = data.left_out.iter().map(unreadable).collect();
    let equal = index.duplicates();
    for images in &equal {
        let detail = classes_of(index, images);
        found.push(places.finding(FindingKind::Equal, images, detail));
    }
    for images in near::groups(&data.pixels, &equal)? {
        let detail = classes_of(index, &images);
        found.push(places.finding(FindingKind::NearlyEqual, &images, detail));
    }
    if let (Some(groups), Some(split)) = (&index.groups, split) {
        for images in split.cut_groups(groups) {
            let detail = format!("all of {:?}", groups.name_of(images[0]));
            found.push(places.finding(FindingKind::CutGroup, &images, detail));
        }
    }
    found.extend(split.iter().flat_map(|split| small_classes(index, split)));
    for (kind, image, detail) in sizes::find(data)? {
        found.push(places.finding(kind, &[image], detail));
    }
    found.sort_by_key(|finding| (!finding.across_parts, finding.kind));
    Ok(found)
}

fn unreadable((name, why): &(String, String)) -> Finding {
    Finding {
        kind: FindingKind::Unreadable,
        across_parts: false,
        images: vec![FoundImage {
            name: name.clone(),
            class: None,
            part: None,
        }],
        detail: why.clone(),
    }
}

/// What is to be said of images that should be of one class.
fn classes_of(index: &Index, images: &[usize]) -> String {
    let mut labels = index.labels_of(images);
    labels.sort_unstable();
    labels.dedup();
    match labels.len() {
        1 => String::new(),
        count => format!("of {count} classes"),
    }
}

/// Classes that a part with images has none of.
fn small_classes(index: &Index, split: &Split) -> Vec<Finding> {
    let filled = split
        .parts()
        .into_iter()
        .filter(|(_, images)| !images.is_empty());
    let lacking = filled.flat_map(|(part, images)| {
        let of_class = |class: &str| {
            let label = index.classes.iter().position(|known| known == class);
            index
                .labels
                .iter()
                .filter(|&&known| Some(known as usize) == label)
                .count()
        };
        let finding = |class: &str| Finding {
            kind: FindingKind::SmallClass,
            across_parts: false,
            images: Vec::new(),
            detail: format!(
                "the {part} part has none of the {} images of {class:?}",
                of_class(class)
            ),
        };
        index
            .lacks(images)
            .into_iter()
            .map(finding)
            .collect::<Vec<_>>()
    });
    lacking.collect()
}
