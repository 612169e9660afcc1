//! The `checkpoint`, `log`, `export` and `run` sections: what a training leaves behind, and where.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

use super::declare::keys;
use super::key::{Rule, Shape};
use super::license::License;
use super::setting::{Setting, describe, words};
use super::train::{Metric, Mode};

keys! {
    /// When checkpoints are written, and which are kept.
    CheckpointConfig(has_val: bool) {
        /// Interval between checkpoints.
        every: Every [= Every::Auto],
        /// How many of the newest stay.
        keep_last: usize [= 2, at_least(1)] unit "checkpoints",
        /// How many of the best epochs stay.
        keep_best: usize [= 1, at_least(1)] unit "checkpoints",
        /// What is compared.
        metric: Metric [
            = if has_val { Metric::ValAccuracy } else { Metric::TrainLoss };
            "val.accuracy, or train.loss where there is no val part"
        ],
        /// Which way is better.
        mode: Mode [= metric.mode(); "max for an accuracy, min for a loss"],
    }
}

/// How often a checkpoint is written: `auto`, `1 epoch`, `200 steps`, `10 min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// After an epoch, unless another was written a moment ago.
    Auto,
    /// After so many epochs.
    Epochs(usize),
    /// After so many steps, also in mid-epoch.
    Steps(usize),
    /// At the first step after so many minutes.
    Minutes(usize),
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plural = |count: &usize| if *count == 1 { "" } else { "s" };
        match self {
            Every::Auto => serializer.serialize_str("auto"),
            Every::Epochs(count) => {
                serializer.collect_str(&format!("{count} epoch{}", plural(count)))
            }
            Every::Steps(count) => {
                serializer.collect_str(&format!("{count} step{}", plural(count)))
            }
            Every::Minutes(count) => serializer.collect_str(&format!("{count} min")),
        }
    }
}

impl Setting for Every {
    fn shape(_: Rule) -> Shape {
        Shape::Form(
            "auto, or such as `1 epoch`, `200 steps` or `10 min`",
            &["auto"],
        )
    }

    fn read(value: &Value) -> Result<Every, String> {
        let text = value.as_str().unwrap_or_default();
        if text == "auto" {
            return Ok(Every::Auto);
        }
        let (count, unit) = text.trim().split_once(' ').unwrap_or(("", ""));
        const MOST: usize = 1_000_000_000;
        match (count.parse(), unit.trim()) {
            (Ok(count @ 1..=MOST), "epoch" | "epochs") => Ok(Every::Epochs(count)),
            (Ok(count @ 1..=MOST), "step" | "steps") => Ok(Every::Steps(count)),
            (Ok(count @ 1..=MOST), "min" | "minute" | "minutes") => Ok(Every::Minutes(count)),
            _ => Err(format!(
                "expected auto, or such as `1 epoch`, `200 steps` or `10 min`, found {}",
                describe(value)
            )),
        }
    }
}

keys! {
    /// What is written down during training.
    LogConfig {
        /// `metrics.csv`.
        csv: bool [= true],
        /// Event files under `tensorboard/`, for TensorBoard: the settings, images as the network meets them, and, at the last step of each epoch, its metrics, the confusion matrix of the val part, and histograms of weights and gradients.
        tensorboard: bool [= false],
        /// `report.html` and `plots/` when a training ends; `signet report` makes them at any time.
        report: bool [= true] since "0.3",
        /// The parts whose images are written to `samples.jsonl`, a line per image and epoch.
        samples: SampleLog [= SampleLog::Val] since "0.3",
    }
    check(_log, section) {
        // Version 0.2 could leave out metrics.jsonl. It is always written now, since studies and resume read it.
        section.get::<bool>("jsonl");
    }
}

words! {
    /// What `samples.jsonl` tells of.
    SampleLog {
        /// Nothing; the file is not written.
        None = "none",
        /// The val part.
        Val = "val",
        /// The train and the val part, which takes a further pass over the train part. The test part stays unseen.
        All = "all",
    }
}

keys! {
    /// What becomes of a model that is trained.
    ExportConfig {
        /// The formats of `signet export`.
        formats: Vec<Format> [= vec![Format::Torchscript]],
        /// Whether the best epoch is exported when a training ends.
        on_finish: bool [= false],
        /// The licence of the exported model, which its model card (`README.md` beside it) states; null states that none was given.
        license: Option<License> [= None] since "0.3",
    }
    check(export, section) {
        if export.formats.is_empty() {
            let message = "an empty list exports nothing; set on_finish: false instead";
            section.wrong("formats", message.to_owned());
        }
    }
}

words! {
    /// A format that others read.
    Format {
        /// `model.pt`, for libtorch in Python, C++ and Rust.
        Torchscript = "torchscript",
        /// `model.onnx`, opset 17, for any ONNX runtime.
        Onnx = "onnx",
        /// `model.safetensors`, weights by PyTorch's names, with `model.json`.
        Safetensors = "safetensors",
    }
}

/// Seconds for which processes of one run wait for each other, where nothing else is said.
pub const TIMEOUT: usize = 60;

keys! {
    /// Where the run directory goes.
    RunConfig {
        /// The folder of run directories.
        root: PathBuf [= PathBuf::from("runs")],
        /// What to do when the name is taken.
        if_exists: IfExists [= IfExists::New],
        /// How long each of several processes that train the run together waits for the others before it gives up.
        timeout: usize [= TIMEOUT, within(1, 1_000_000)] unit "seconds" since "0.3",
    }
}

words! {
    /// What to do when the name of a run is taken.
    IfExists {
        /// Number the new one: name-2, name-3, ...
        New = "new",
        /// An existing directory is an error.
        Error = "error",
        /// Go on where the old one stopped, as with --resume.
        Resume = "resume",
    }
}
