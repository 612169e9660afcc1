//! The `data` section: where pictures come from, how they are cut, dealt and disturbed.

use std::path::PathBuf;

use serde::Serialize;

use super::section::{
    Section, Setting, above_zero, at_least, below, between, describe, whole, words,
};

/// Everything about the pictures of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataConfig {
    /// Where pictures come from.
    pub source: Source,
    /// The classes, in the order of the model's outputs; null takes all there are, by name.
    pub classes: Option<Vec<String>>,
    /// At most this many pictures of each class, the first in `order`.
    pub per_class: Option<usize>,
    /// The order of pictures before they are dealt.
    pub order: Order,
    /// What becomes of each picture before a model sees it.
    pub image: Image,
    /// Whether a picture that cannot be read ends the run.
    pub on_bad_image: OnBadImage,
    /// How pictures are dealt into train, val and test.
    pub split: SplitConfig,
    /// How pixels are shifted and scaled before the first layer.
    pub normalize: Normalize,
    /// Random changes to training pictures, anew each epoch, one of each kind: first all changes of place at once, then
    /// contrast, brightness, noise, erasing.
    pub augment: Vec<Augment>,
}

/// Where pictures come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// `ROOT/<class>/*.jpg|jpeg|png`.
    ClassFolders {
        /// The folder of class folders.
        root: PathBuf,
    },
    /// Arrays as on Kaggle.
    Npy {
        /// Pictures: `[N, H, W]` or `[N, H, W, C]`, floats in 0..1 or bytes.
        images: PathBuf,
        /// Which row shows what.
        #[serde(flatten)]
        labels: NpyLabels,
    },
    /// Hand signs drawn by signet itself.
    Generated {
        /// Pictures per class.
        pictures: usize,
        /// Seed of the drawings, apart from the experiment's so that repeats share their pictures.
        seed: u64,
    },
}

/// How rows of an array get their class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NpyLabels {
    /// A label file: `[N]` whole numbers or `[N, K]` one-hot.
    File {
        /// The file.
        labels: PathBuf,
        /// Class name to number (or one-hot column); null reads number k as class "k".
        #[serde(serialize_with = "as_map")]
        label_map: Vec<(String, u64)>,
    },
    /// Row ranges, end not included.
    Rows {
        /// Class name to [first, end).
        #[serde(serialize_with = "as_map")]
        rows: Vec<(String, Vec<u64>)>,
    },
}

fn as_map<T: Serialize, S: serde::Serializer>(
    entries: &[(String, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}

words! {
    /// The order of pictures before they are dealt.
    Order {
        /// By class, then by file name.
        Name = "name",
        /// The row order of the Kaggle X.npy.
        Kaggle = "kaggle",
    }
}

words! {
    /// Colour or grey.
    Channels {
        /// One channel: luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
        Gray = "gray",
        /// Three channels.
        Rgb = "rgb",
    }
}

words! {
    /// What happens to a picture between decoding and resizing.
    Preprocess {
        /// Nothing.
        Plain = "plain",
        /// Its own darkest pixel becomes 0 and its brightest 255, as in the Kaggle file.
        Stretch = "stretch",
    }
}

words! {
    /// Whether a picture that cannot be read ends the run.
    OnBadImage {
        /// It does.
        Error = "error",
        /// It is left out, and named.
        Skip = "skip",
    }
}

/// The shape of a picture as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Image {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Colour or grey.
    pub channels: Channels,
    /// What happens before resizing.
    pub preprocess: Preprocess,
}

impl Image {
    /// The number of channels.
    pub fn depth(&self) -> usize {
        match self.channels {
            Channels::Gray => 1,
            Channels::Rgb => 3,
        }
    }
}

/// How pictures are dealt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SplitConfig {
    /// The same shares of every class, dealt by the experiment's seed.
    Stratified {
        /// Share of the training part.
        train: f64,
        /// Share that early stopping and the choice of the best model look at.
        val: f64,
        /// Share that is looked at once, at the end.
        test: f64,
        /// Which of many such splits; the seed alone decides the first one.
        repeat: u64,
    },
    /// One of K splits whose test parts are disjoint and together everything.
    Folds {
        /// How many; each holds the same share of every class, give or take a picture.
        folds: usize,
        /// Which one is the test part, from 0.
        fold: usize,
        /// Share of the others that becomes the val part.
        val: f64,
        /// Which of many such dealings.
        repeat: u64,
    },
    /// One of K splits whose val parts are disjoint and together all that `outer` does not test on, for choosing
    /// settings; the test part is that of `outer`, which no choice has looked at.
    InnerFolds {
        /// How many; each holds the same share of every class, give or take a picture.
        folds: usize,
        /// Which one is the val part, from 0.
        fold: usize,
        /// Which of many such dealings.
        repeat: u64,
        /// Holds the test part back.
        outer: Box<SplitConfig>,
    },
    /// scikit-learn's `train_test_split(test_size, random_state)`, index for index.
    Sklearn {
        /// `test_size`.
        test: f64,
        /// Share of the remaining training part split off by a second such call; 0 for no val part.
        val: f64,
        /// numpy's seed.
        random_state: u64,
    },
    /// A JSON file with the names in each part, such as the `split.json` of a run.
    Manifest {
        /// The file.
        file: PathBuf,
    },
}

/// How pixels are shifted and scaled: x becomes (x - mean) / std per channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Normalize {
    /// A named way.
    Named(NamedNormalize),
    /// Given figures, one per channel, for pixels in 0..1.
    Fixed {
        /// Subtracted.
        mean: Vec<f64>,
        /// Divided by.
        std: Vec<f64>,
    },
}

words! {
    /// Ways to normalise that need no figures.
    NamedNormalize {
        /// Mean and standard deviation of the training part.
        TrainStats = "train_stats",
        /// Pixels stay in 0..1.
        Unit = "unit",
    }
}

/// One random change to a training picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Augment {
    /// Moves by up to `max_px` pixels along both axes.
    Shift {
        /// Pixels.
        max_px: f64,
    },
    /// Turns by up to `max_degrees` either way.
    Rotate {
        /// Degrees.
        max_degrees: f64,
    },
    /// Grows or shrinks by a factor in 1 - max .. 1 + max.
    Scale {
        /// Share of the size.
        max: f64,
    },
    /// Mirrors left and right with probability `p`.
    FlipHorizontal {
        /// Probability.
        p: f64,
    },
    /// Multiplies all pixels by a factor in 1 - max .. 1 + max.
    Brightness {
        /// Share of the brightness.
        max: f64,
    },
    /// Spreads pixels around the picture's mean by a factor in 1 - max .. 1 + max.
    Contrast {
        /// Share of the contrast.
        max: f64,
    },
    /// Adds normal noise to every pixel.
    Noise {
        /// Standard deviation, for pixels in 0..1.
        std: f64,
    },
    /// Paints a rectangle over with the picture's mean, with probability `p`.
    Erase {
        /// Probability.
        p: f64,
        /// Largest share of the picture's area.
        max_area: f64,
    },
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
                section.wrong(
                    "classes",
                    format!("{:?} stands there twice", classes[twice]),
                );
            }
        }
        let order = section.get("order", Order::Name);
        let image = Image::read(section.section("image"));
        if !matches!(source, Source::ClassFolders { .. }) {
            let why = "is for kind class_folders alone; other sources come in their own order, already prepared";
            if order != Order::Name {
                section.wrong("order", format!("{} {why}", order.word()));
            }
            if image.preprocess != Preprocess::Plain {
                section.wrong(
                    "image",
                    format!("preprocess {} {why}", image.preprocess.word()),
                );
            }
        }
        let on_bad_image = section.get("on_bad_image", OnBadImage::Error);
        if on_bad_image == OnBadImage::Skip && !matches!(source, Source::ClassFolders { .. }) {
            let message =
                "skip is for kind class_folders alone; other sources hold no picture files"
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
            let message =
                "one of this kind stands before it, and each picture is changed once by each"
                    .to_owned();
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

    /// Whether some pictures are held back to choose the best model by; a manifest may or may not.
    pub fn may_have_val(&self) -> bool {
        match self.split {
            SplitConfig::Stratified { val, .. }
            | SplitConfig::Sklearn { val, .. }
            | SplitConfig::Folds { val, .. } => val > 0.0,
            SplitConfig::InnerFolds { .. } | SplitConfig::Manifest { .. } => true,
        }
    }
}

impl Source {
    fn read(mut section: Section) -> Source {
        let kinds = ["class_folders", "npy", "generated"];
        match section.kind(&kinds, None) {
            Some("class_folders") => Source::ClassFolders {
                root: section
                    .required("root", "the folder that holds one folder per class")
                    .unwrap_or_default(),
            },
            Some("npy") => Source::Npy {
                images: section
                    .required("images", "the .npy file with the pictures")
                    .unwrap_or_default(),
                labels: NpyLabels::read(section),
            },
            _ => Source::Generated {
                pictures: section.get_if("pictures", 205, whole(1, 1_000_000)),
                seed: section.get("seed", 0),
            },
        }
    }
}

impl NpyLabels {
    fn read(mut section: Section) -> NpyLabels {
        let rows = section
            .optional_section("rows")
            .map(|rows| rows.entries::<Vec<u64>>());
        let labels: Option<PathBuf> = section.optional("labels");
        // With rows there is nothing to map, so the key is unknown then.
        let label_map: Vec<(String, u64)> = match rows {
            Some(_) => Vec::new(),
            None => section.section("label_map").entries(),
        };
        for (index, (class, number)) in label_map.iter().enumerate() {
            if let Some((other, _)) = label_map[..index].iter().find(|(_, known)| known == number) {
                let message = format!(
                    "{other:?} and {class:?} are both {number}; one number means one class"
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
                    format!("{other:?} and {class:?} share rows, and a picture shows one thing");
                section.wrong("rows", message);
            }
        }
        match (labels, rows) {
            (Some(labels), None) => NpyLabels::File { labels, label_map },
            (None, Some(rows)) => NpyLabels::Rows { rows },
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

impl Image {
    fn read(mut section: Section) -> Image {
        let side = |side: &usize| match side {
            1..=4096 => Ok(()),
            _ => Err("1 to 4096 pixels".to_owned()),
        };
        Image {
            height: section.get_if("height", 64, side),
            width: section.get_if("width", 64, side),
            channels: section.get("channels", Channels::Gray),
            preprocess: section.get("preprocess", Preprocess::Plain),
        }
    }
}

impl SplitConfig {
    fn read(mut section: Section) -> SplitConfig {
        let kinds = ["stratified", "folds", "inner_folds", "sklearn", "manifest"];
        match section.kind(&kinds, Some("stratified")) {
            Some("folds") => {
                let [folds, fold] = read_fold(&mut section);
                SplitConfig::Folds {
                    folds,
                    fold,
                    val: section.get_if("val", 0.15, below(0.0, 1.0)),
                    repeat: section.get("repeat", 0),
                }
            }
            Some("inner_folds") => {
                let [folds, fold] = read_fold(&mut section);
                SplitConfig::InnerFolds {
                    folds,
                    fold,
                    repeat: section.get("repeat", 0),
                    outer: Box::new(SplitConfig::read(section.section("outer"))),
                }
            }
            Some("sklearn") => SplitConfig::Sklearn {
                test: section.get_if("test", 0.15, between(0.001, 0.999)),
                val: section.get_if("val", 0.0, below(0.0, 1.0)),
                random_state: section.get_if("random_state", 42, |seed| {
                    match u32::try_from(*seed) {
                        Ok(_) => Ok(()),
                        Err(_) => Err("a numpy seed, at most 4294967295".to_owned()),
                    }
                }),
            },
            Some("manifest") => SplitConfig::Manifest {
                file: section
                    .required("file", "the JSON file with the names in each part")
                    .unwrap_or_default(),
            },
            _ => {
                let train = section.get_if("train", 0.70, between(0.001, 1.0));
                let val = section.get_if("val", 0.15, below(0.0, 1.0));
                let test = section.get_if("test", 0.15, below(0.0, 1.0));
                let sum: f64 = train + val + test;
                if (sum - 1.0).abs() > 1e-6 {
                    let message = format!(
                        "train + val + test must be 1, but {train} + {val} + {test} is {sum:.3}"
                    );
                    section.wrong("train", message);
                }
                SplitConfig::Stratified {
                    train,
                    val,
                    test,
                    repeat: section.get("repeat", 0),
                }
            }
        }
    }
}

/// `folds` and `fold`.
fn read_fold(section: &mut Section) -> [usize; 2] {
    let folds = section.get_if("folds", 5, at_least(2));
    let fold = section.get("fold", 0);
    if fold >= folds {
        let last = folds - 1;
        section.wrong(
            "fold",
            format!("folds are counted from 0 to {last}, so {fold} is none"),
        );
    }
    [folds, fold]
}

impl Normalize {
    fn read(section: &mut Section, channels: usize) -> Normalize {
        if !section.holds_section("normalize") {
            return Normalize::Named(section.get("normalize", NamedNormalize::TrainStats));
        }
        let mut figures = section.section("normalize");
        let mean = figures
            .values_if("mean", |_: &f64| Ok(()))
            .unwrap_or(vec![0.0; channels]);
        let std = figures
            .values_if("std", above_zero)
            .unwrap_or(vec![1.0; channels]);
        for (key, list) in [("mean", &mean), ("std", &std)] {
            if list.len() != channels {
                figures.wrong(
                    key,
                    format!("one figure per channel: {channels}, found {}", list.len()),
                );
            }
        }
        Normalize::Fixed { mean, std }
    }
}

impl Augment {
    fn read(mut section: Section) -> Option<Augment> {
        let kinds = [
            "shift",
            "rotate",
            "scale",
            "flip_horizontal",
            "brightness",
            "contrast",
            "noise",
            "erase",
        ];
        Some(match section.kind(&kinds, None)? {
            "shift" => Augment::Shift {
                max_px: section.get_if("max_px", 4.0, at_least(0.0)),
            },
            "rotate" => Augment::Rotate {
                max_degrees: section.get_if("max_degrees", 10.0, between(0.0, 180.0)),
            },
            "scale" => Augment::Scale {
                max: section.get_if("max", 0.1, below(0.0, 1.0)),
            },
            "flip_horizontal" => Augment::FlipHorizontal {
                p: section.get_if("p", 0.5, between(0.0, 1.0)),
            },
            "brightness" => Augment::Brightness {
                max: section.get_if("max", 0.2, between(0.0, 1.0)),
            },
            "contrast" => Augment::Contrast {
                max: section.get_if("max", 0.2, between(0.0, 1.0)),
            },
            "noise" => Augment::Noise {
                std: section.get_if("std", 0.02, at_least(0.0)),
            },
            _ => Augment::Erase {
                p: section.get_if("p", 0.5, between(0.0, 1.0)),
                max_area: section.get_if("max_area", 0.2, between(0.0, 1.0)),
            },
        })
    }
}
