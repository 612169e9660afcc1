//! The `data` section: where images come from, how they are cut, split and disturbed.

mod augment;
mod image;
mod source;
mod split;

use serde::Serialize;

pub use augment::Augment;
pub use image::{Channels, ImageConfig, NamedNormalize, Normalize, Preprocess};
pub use source::{NpyLabels, Source};
pub use split::SplitConfig;

use super::section::Section;
use super::setting::{Setting, at_least, describe, words};

/// Everything about the images of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataConfig {
    /// Where images come from.
    pub source: Source,
    /// The classes, in the order of the model's outputs; null takes all there are, by name.
    pub classes: Option<Vec<String>>,
    /// At most this many images of each class, the first in `order`.
    pub per_class: Option<usize>,
    /// The order of images before they are split.
    pub order: Order,
    /// What becomes of each image before a model sees it.
    pub image: ImageConfig,
    /// Whether an image that cannot be read ends the run.
    pub on_bad_image: OnBadImage,
    /// How images are split into train, val and test.
    pub split: SplitConfig,
    /// How pixels are shifted and scaled before the first layer.
    pub normalize: Normalize,
    /// Random changes to training images, anew each epoch, one of each kind: first all changes of place at once, then
    /// contrast, brightness, noise, erasing.
    pub augment: Vec<Augment>,
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
    pub(super) fn read(mut section: Section) -> DataConfig {
        let source = Source::read(section.section("source"));
        let classes = section.values_if("classes", |_: &ClassName| Ok(()));
        let classes: Option<Vec<String>> =
            classes.map(|names| names.into_iter().map(|name| name.0).collect());
        if let Some(classes) = &classes {
            if classes.len() < 2 {
                section.wrong(
                    "classes",
                    "a classifier needs at least two classes".to_owned(),
                );
            }
            if let Some(twice) = (1..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
                section.wrong("classes", format!("{:?} is listed twice", classes[twice]));
            }
        }
        let order = section.get("order", Order::Name);
        let image = ImageConfig::read(section.section("image"));
        if !matches!(source, Source::ClassFolders { .. }) {
            let why = "applies to kind class_folders only; other sources come prepared and keep their order";
            if order != Order::Name {
                section.wrong("order", format!("{} {why}", order.word()));
            }
            if image.preprocess != Preprocess::Plain {
                section.wrong(
                    "image.preprocess",
                    format!("{} {why}", image.preprocess.word()),
                );
            }
        }
        let on_bad_image = section.get("on_bad_image", OnBadImage::Error);
        if on_bad_image == OnBadImage::Skip && !matches!(source, Source::ClassFolders { .. }) {
            let message =
                "skip applies to kind class_folders only; other sources have no image files"
                    .to_owned();
            section.wrong("on_bad_image", message);
        }
        let augment: Vec<Augment> = section
            .sections("augment")
            .into_iter()
            .flatten()
            .filter_map(Augment::read)
            .collect();
        let kind = std::mem::discriminant::<Augment>;
        if let Some(twice) = (1..augment.len()).find(|&i| {
            augment[..i]
                .iter()
                .any(|other| kind(other) == kind(&augment[i]))
        }) {
            let message = "its kind is in the list already; each kind can be used once".to_owned();
            section.wrong(&format!("augment.{twice}"), message);
        }
        DataConfig {
            source,
            classes,
            per_class: section.optional_if("per_class", at_least(1)),
            order,
            image,
            on_bad_image,
            split: SplitConfig::read(section.section("split")),
            normalize: Normalize::read(&mut section, image.depth()),
            augment,
        }
    }

    /// Whether some images are held back to choose the best model by; a manifest may or may not.
    pub fn may_have_val(&self) -> bool {
        match self.split {
            SplitConfig::Stratified { val, .. }
            | SplitConfig::Sklearn { val, .. }
            | SplitConfig::Folds { val, .. } => val > 0.0,
            SplitConfig::InnerFolds { .. } | SplitConfig::Manifest { .. } => true,
        }
    }
}

/// A class name; a bare number counts as its digits, so that `classes: [0, 1]` means what it says.
struct ClassName(String);

impl Setting for ClassName {
    fn read(value: &serde_yaml::Value) -> Result<ClassName, String> {
        let number = value.as_u64().map(|number| number.to_string());
        let name = value.as_str().map(str::to_owned).or(number);
        name.map(ClassName)
            .ok_or_else(|| format!("expected the name of a class, found {}", describe(value)))
    }
}
