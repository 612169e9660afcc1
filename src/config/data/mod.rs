//! The `data` section: where images come from, how they are cut, split and disturbed.

mod augment;
mod group;
mod image;
mod layout;
mod residency;
mod source;
mod split;

pub use augment::Augment;
pub use group::{Group, NamedGroup};
pub use image::{
    Background, Channels, Decode, Fit, FixedNormalize, ImageConfig, NamedNormalize, Normalize,
    Preprocess,
};
pub use layout::{Layout, PART_WORDS};
pub use residency::{Cache, Residency};
pub use source::{NpyLabels, Source, TableConfig};
pub use split::SplitConfig;

use super::declare::keys;
use super::entry::Entry;
use super::key::{Rule, Shape};
use super::section::Section;
use super::setting::{Setting, describe, words};

keys! {
    /// Everything about the images of an experiment.
    DataConfig {
        /// Where images come from.
        source: Source [needs "a section with a kind" else Source::Generated { images: 205, seed: 0 }],
        /// The classes, in the order of the model's outputs; null takes all there are, by name.
        classes: Option<Vec<String>> [by read_classes; Shape::List(Box::new(Shape::Text), 2), "null"],
        /// At most this many of each class, the first in `order`; of each part, where the source gives its images in parts.
        per_class: Option<usize> [= None, at_least(1)] unit "images",
        /// The order of images before they are split.
        order: Order [= Order::Name],
        /// Which images belong together, as those of one film do: each group stays in one part of every split, and the parts have
        /// the shares of the classes as nearly as the groups allow.
        group: Group [
            by |section| Group::read(section, &source);
            Group::shape(), "none, or the column group of a table that has one"
        ] since "0.3",
        /// What becomes of each image before a model sees it.
        image: ImageConfig [section],
        /// Whether an image that cannot be read ends the run.
        on_bad_image: OnBadImage [= OnBadImage::Error],
        /// How images are split into train, val and test.
        split: SplitConfig [
            by |section| read_split(section, &source, classes.as_deref());
            Shape::Kinds(SplitConfig::KINDS), "stratified, or as_found where the source gives parts"
        ],
        /// How pixels are shifted and scaled before the first layer.
        normalize: Normalize [by |section| Normalize::read(section, image.depth()); Normalize::shape(), "train_stats"],
        /// Random changes to training images, anew each epoch, one of each kind: first all changes of place at once, then
        /// blur, contrast, brightness, saturation and hue, noise, erasing, and last what mixes images of a batch.
        augment: Vec<Augment> [= Vec::new()] resume Branch,
        /// Where images are while a model trains on them.
        residency: Residency [= Residency::Auto] resume Free since "0.3",
        /// Where prepared images are kept, so that each file is decoded once: a folder; none; auto is the user's cache folder
        /// (`$XDG_CACHE_HOME/signet`, or `~/.cache/signet`), for images that are read when they are needed.
        cache: Cache [= Cache::Auto] resume Free since "0.3",
    }
    check(data, section) {
        if data.order != Order::Name && !matches!(data.source, Source::ClassFolders { .. }) {
            let why = "applies to kind class_folders only; other sources keep their order";
            section.wrong("order", format!("{} {why}", data.order.word()));
        }
        if data.group.column().is_some() && !matches!(data.source, Source::Table(_)) {
            let message = "only a source of kind table has columns; use pattern or folder";
            section.wrong("group.column", message.to_owned());
        }
        if data.group != Group::NONE && data.split.is_by_sklearn() {
            let message = "train_test_split knows no groups; use data.split.kind: stratified, or group: none";
            section.wrong("group", message.to_owned());
        }
        if !data.source.has_files() {
            let why = "applies to image files only; other sources come prepared";
            if data.group != Group::NONE {
                section.wrong("group", why.to_owned());
            }
            let background = data.image.background;
            if background != Background::BLACK {
                section.wrong("image.background", format!("{background} {why}"));
            }
            if data.image.fit != Fit::Squeeze {
                section.wrong("image.fit", format!("{} {why}", data.image.fit.word()));
            }
            if data.image.decode != Decode::Full {
                section.wrong("image.decode", format!("{} {why}", data.image.decode.word()));
            }
            let preprocess = data.image.preprocess;
            if preprocess != Preprocess::Plain {
                section.wrong("image.preprocess", format!("{} {why}", preprocess.word()));
            }
            if data.residency == Residency::Stream {
                section.wrong("residency", format!("stream {why}"));
            }
            if let Cache::Folder(folder) = &data.cache {
                section.wrong("cache", format!("{} {why}", folder.display()));
            }
            if data.on_bad_image == OnBadImage::Skip {
                let message = "skip applies to image files only, and this source has none";
                section.wrong("on_bad_image", message.to_owned());
            }
        }
        let kind = std::mem::discriminant::<Augment>;
        let earlier = |i: usize| data.augment[..i].iter().map(kind);
        if let Some(twice) = (1..data.augment.len()).find(|&i| earlier(i).any(|known| known == kind(&data.augment[i]))) {
            let message = "its kind is in the list already; each kind can be used once".to_owned();
            section.wrong(&format!("augment.{twice}"), message);
        }
    }
}

words! {
    /// The order of images before they are split.
    Order {
        /// By class, then by file name.
        Name = "name",
        /// The row order of the Kaggle X.npy.
        Kaggle = "kaggle",
    }
}

words! {
    /// Whether an image that cannot be read ends the run.
    OnBadImage {
        /// An image that cannot be read is an error.
        Error = "error",
        /// It is left out, and named.
        Skip = "skip",
    }
}

impl DataConfig {
    /// Whether some images are held back to choose the best model by; a manifest may or may not.
    pub fn may_have_val(&self) -> bool {
        match self.split {
            SplitConfig::Stratified { val, .. }
            | SplitConfig::Sklearn { val, .. }
            | SplitConfig::Folds { val, .. } => val > 0.0,
            SplitConfig::InnerFolds { .. } | SplitConfig::Manifest { .. } => true,
            SplitConfig::AsFound {} => true,
        }
    }
}

/// As written; without a word the parts that the source gives are taken, if it does.
fn read_split(section: &mut Section, source: &Source, classes: Option<&[String]>) -> SplitConfig {
    let slot = section.slot("split");
    if !slot.holds() && source.gives_parts(classes) {
        return SplitConfig::AsFound {};
    }
    SplitConfig::read(slot, Rule::Any).expect("it has a usual kind")
}

fn read_classes(section: &mut Section) -> Option<Vec<String>> {
    let names: Vec<ClassName> = section.get("classes")?;
    let classes: Vec<String> = names.into_iter().map(|name| name.0).collect();
    if classes.len() < 2 {
        let message = "a classifier needs at least two classes";
        section.wrong("classes", message.to_owned());
    }
    if let Some(twice) = (1..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
        section.wrong("classes", format!("{:?} is listed twice", classes[twice]));
    }
    Some(classes)
}

/// A class name; a bare number counts as its digits, so that `classes: [0, 1]` means what it says.
struct ClassName(String);

impl Setting for ClassName {
    fn shape(_: Rule) -> Shape {
        Shape::Text
    }

    fn read(value: &serde_yaml::Value) -> Result<ClassName, String> {
        let number = value.as_u64().map(|number| number.to_string());
        let name = value.as_str().map(str::to_owned).or(number);
        name.map(ClassName)
            .ok_or_else(|| format!("expected the name of a class, found {}", describe(value)))
    }
}
