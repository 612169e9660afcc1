//! `README.md` beside exported files, for whoever gets that folder and nothing else: what the model is, what it was trained
//! on, how good it is, what it cannot do, and programs that use it. It is a model card as Hugging Face reads them.
//!
//! `card.md` is the page; the files beside it are the programs in it, which `tests/interop/model_card.py` runs.

pub mod markdown;

use anyhow::Result;
use askama::Template;
use serde::Serialize;

use super::artefacts::Verdict;
use super::card::{Card, Input};
use super::torch_source::TorchSource;
use crate::config::data::{Background, Channels, Source};
use crate::config::license::License;
use crate::config::run::Format;
use crate::data::images::behind;
use crate::data::index::Index;
use crate::data::split::Split;
use crate::model::plan::Plan;
use crate::train::evaluation::{ClassMetrics, Evaluation, wilson};

/// The name of the file.
pub const FILE: &str = "README.md";

/// Begins and ends the head of the page.
const FENCE: &str = "---\n";

/// The tag of pages that signet wrote.
const TAG: &str = "signet";

/// Layers that are named; of a deeper network, the first.
const LAYERS: usize = 24;

/// What there is to say of a model beside its [`Card`].
pub struct Evidence {
    /// The name of the run's folder.
    pub run: String,
    /// Where its images came from, in words.
    pub source: &'static str,
    /// Images of each class in the train, val and test parts, in the order of the classes.
    pub images: Vec<[usize; 3]>,
    /// On the test part; where that is empty, on the val part, or else the train part.
    pub evaluation: Evaluation,
}

impl Evidence {
    /// Images of each class of `index` in each part of `split`.
    pub fn count(index: &Index, split: &Split) -> Vec<[usize; 3]> {
        let mut images = vec![[0; 3]; index.classes.len()];
        for (part, members) in split.parts() {
            for label in index.labels_of(members) {
                images[label as usize][part as usize] += 1;
            }
        }
        images
    }

    /// Where images come from, in words that say nothing of this machine.
    pub fn source(source: &Source) -> &'static str {
        match source {
            Source::ClassFolders { .. } => "Image files in a folder for each class",
            Source::Table(_) => "Image files that a table names",
            Source::Npy { .. } => "Images in arrays of numpy",
            Source::Generated { .. } => "Hand signs that signet drew itself",
        }
    }
}

/// Whether `text` is such a page, by the tag in its head.
pub fn is_one(text: &str) -> bool {
    let head = text
        .strip_prefix(FENCE)
        .and_then(|text| text.split_once(FENCE));
    head.is_some_and(|(head, _)| head.lines().any(|line| line == format!("- {TAG}")))
}

/// The page about the model with `card`: `verdicts` are those on all files that lie in the folder.
///
/// # Errors
/// An experiment that this signet no longer reads.
pub fn write(
    card: &Card,
    evidence: &Evidence,
    license: Option<&License>,
    verdicts: &[(Format, Verdict)],
) -> Result<String> {
    let experiment = card.experiment()?;
    let plan = card.plan()?;
    let Evaluation {
        accuracy,
        accuracy_interval,
        loss,
        ..
    } = evidence.evaluation;
    let artefacts: Vec<Artefact> = verdicts
        .iter()
        .map(|(format, verdict)| Artefact::of(*format, verdict, card))
        .collect();
    let image = experiment.data.image;
    let literals = |literal: fn(&str) -> String| {
        let literals: Vec<String> = card.classes.iter().map(|class| literal(class)).collect();
        literals.join(", ")
    };
    let page = Page {
        front_matter: FrontMatter::of(license, &artefacts).to_yaml()?,
        card,
        input: &card.input,
        evidence,
        evaluation: &evidence.evaluation,
        license,
        kind: experiment.model.kind.word(),
        parameters: trained_numbers(&plan),
        layers: layers(&plan),
        images: card.classes.iter().zip(&evidence.images).collect(),
        fine_tuned: experiment.train.init_from.is_some(),
        accuracy: with_interval(accuracy, accuracy_interval),
        loss: format!("{loss:.4}"),
        calibration_error: {
            let calibration = evidence.evaluation.calibration();
            percent(calibration.map_or(f64::NAN, |found| found.error))
        },
        classes: class_rows(&evidence.evaluation),
        point: format!("{:.1}", 100.0 / evidence.evaluation.images as f64),
        artefacts: &artefacts,
        gray: image.channels == Channels::Gray,
        fit: image.fit.word(),
        scaled: card.input.decode == "scaled",
        stretch: card.input.preprocess == "stretch",
        double_size: format!("({}, {})", 2 * image.width, 2 * image.height),
        behind: match image.background {
            Background::Color(color) => Some(color.map(|level| level.to_string()).join(", ")),
            Background::None => None,
        },
        behind_name: match image.background {
            Background::Color(_) => card.input.background.clone(),
            Background::None => Background::BLACK.to_string(),
        },
        margin: (0..image.depth())
            .map(|channel| behind(&image, channel).to_string())
            .collect::<Vec<_>>()
            .join(", "),
        classes_cpp: literals(markdown::cpp),
        classes_javascript: literals(markdown::javascript),
        torch: TorchSource::of(&plan.root),
    };
    Ok(page.render()?)
}

/// What `card.md` and the programs in it are filled with.
#[derive(Template)]
#[template(path = "export/model_card/card.md", config = "src/askama.toml")]
struct Page<'a> {
    front_matter: String,
    card: &'a Card,
    input: &'a Input,
    evidence: &'a Evidence,
    evaluation: &'a Evaluation,
    license: Option<&'a License>,
    /// `model.kind`.
    kind: &'static str,
    parameters: usize,
    layers: String,
    /// Classes, with images in the train, val and test part.
    images: Vec<(&'a String, &'a [usize; 3])>,
    fine_tuned: bool,
    accuracy: String,
    loss: String,
    calibration_error: String,
    classes: Vec<ClassRow<'a>>,
    /// What one image is worth, in points of accuracy.
    point: String,
    artefacts: &'a [Artefact],
    gray: bool,
    fit: &'static str,
    scaled: bool,
    stretch: bool,
    /// Twice the width and height, as a tuple of Python.
    double_size: String,
    /// Levels of the background, unless opacity does not count.
    behind: Option<String>,
    /// A name of it for CSS and Pillow; black where there is none.
    behind_name: String,
    /// Levels of it in each channel of the input.
    margin: String,
    classes_cpp: String,
    classes_javascript: String,
    torch: TorchSource,
}

impl Page<'_> {
    /// Whether the model lies there in `format`.
    fn has(&self, format: Format) -> bool {
        let mut described = self.artefacts.iter().filter(|file| file.is_described);
        described.any(|file| file.format == format)
    }
}

/// A file of the folder.
struct Artefact {
    format: Format,
    file: &'static str,
    /// Whether the page is about its weights, and not about others.
    is_described: bool,
    bytes: String,
    sha256: String,
    difference: String,
    tolerance: String,
    compared_on: String,
}

impl Artefact {
    fn of(format: Format, verdict: &Verdict, card: &Card) -> Artefact {
        let Verdict { report, file, .. } = verdict;
        let images = report.checks.iter().map(|check| check.images).max();
        let batches = report.checks.iter().map(|check| check.batch.to_string());
        let batches: Vec<String> = batches.collect();
        let unknown = || "not recorded".to_owned(); // as signet 0.2 left it
        Artefact {
            format,
            file: format.file(),
            is_described: verdict.weights_sha256 == card.weights_sha256,
            bytes: file
                .as_ref()
                .map_or_else(unknown, |file| file.bytes.to_string()),
            sha256: file
                .as_ref()
                .map_or_else(unknown, |file| file.sha256.clone()),
            difference: format!("{:.1e}", report.largest_difference()),
            tolerance: format!("{:.1e}", report.tolerance),
            compared_on: format!(
                "{} images, in batches of {}",
                images.unwrap_or_default(),
                batches.join(", ")
            ),
        }
    }
}

/// How good the model is on one class, in per cent.
struct ClassRow<'a> {
    name: &'a str,
    precision: String,
    recall: String,
    f1: String,
    support: usize,
}

fn class_rows(evaluation: &Evaluation) -> Vec<ClassRow<'_>> {
    let confusion = &evaluation.confusion;
    let row = |(class, metrics): (usize, &'_ ClassMetrics)| {
        let right = confusion[class][class];
        let taken = confusion.iter().map(|row| row[class]).sum();
        let share = |share: Option<f64>, count| {
            share.map_or_else(undefined, |share| {
                with_interval(share, wilson(right, count))
            })
        };
        (
            share(metrics.precision, taken),
            share(metrics.recall, metrics.support),
            metrics.f1.map_or_else(undefined, percent),
        )
    };
    let rows = evaluation.classes.iter().enumerate();
    rows.map(|(class, metrics)| {
        let (precision, recall, f1) = row((class, metrics));
        ClassRow {
            name: &metrics.class,
            precision,
            recall,
            f1,
            support: metrics.support,
        }
    })
    .collect()
}

fn undefined() -> String {
    "undefined".to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

fn with_interval(share: f64, interval: [f64; 2]) -> String {
    let [low, high] = interval.map(percent);
    format!("{} ({low} to {high})", percent(share))
}

fn trained_numbers(plan: &Plan) -> usize {
    let parameters = plan.parameters().into_iter();
    let trained = parameters.filter(|(_, parameter)| parameter.role.trained());
    trained.map(|(_, parameter)| parameter.numbers()).sum()
}

/// The network in a line.
fn layers(plan: &Plan) -> String {
    let leaves = plan.root.leaves();
    let named = leaves.iter().take(LAYERS).map(|leaf| leaf.layer.title());
    let mut line = named.collect::<Vec<_>>().join(", ");
    if leaves.len() > LAYERS {
        line += &format!(", and {} more", leaves.len() - LAYERS);
    }
    line
}

/// The head of a model card, in the words of Hugging Face (huggingface.co/docs/hub/model-cards).
#[derive(Serialize)]
struct FrontMatter {
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_name: Option<String>,
    library_name: &'static str,
    pipeline_tag: &'static str,
    tags: Vec<&'static str>,
    metrics: [&'static str; 4],
}

/// Licences that Hugging Face knows by their SPDX identifiers in small letters, those of GNU without `-only`
/// (huggingface.co/docs/hub/repositories-licenses).
const HUB_LICENSES: [&str; 48] = [
    "apache-2.0",
    "mit",
    "afl-3.0",
    "artistic-2.0",
    "bsl-1.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "wtfpl",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "agpl-3.0",
    "gpl-2.0",
    "gpl-3.0",
    "lgpl-2.1",
    "lgpl-3.0",
    "isc",
    "lppl-1.3c",
    "ms-pl",
    "mpl-2.0",
    "osl-3.0",
    "postgresql",
    "ofl-1.1",
    "ncsa",
    "unlicense",
    "zlib",
];

impl FrontMatter {
    fn of(license: Option<&License>, artefacts: &[Artefact]) -> FrontMatter {
        let name = license.map(|license| license.text().to_lowercase());
        let name = name.map(|name| name.trim_end_matches("-only").to_owned());
        let (license, license_name) = match name {
            Some(name) if HUB_LICENSES.contains(&name.as_str()) => (Some(name), None),
            Some(name) => (Some("other".to_owned()), Some(as_identifier(&name))),
            None => (None, None),
        };
        let all_onnx = artefacts.iter().all(|file| file.format == Format::Onnx);
        let formats = artefacts.iter().map(|file| file.format.word());
        FrontMatter {
            license,
            license_name,
            library_name: if all_onnx { "onnx" } else { "pytorch" },
            pipeline_tag: "image-classification",
            tags: std::iter::once(TAG).chain(formats).collect(),
            metrics: ["accuracy", "precision", "recall", "f1"],
        }
    }

    fn to_yaml(&self) -> Result<String> {
        Ok(format!("{FENCE}{}{FENCE}", serde_yaml::to_string(self)?))
    }
}

/// `name` in small letters, digits, dots and dashes.
fn as_identifier(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}
