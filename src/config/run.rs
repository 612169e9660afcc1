//! The `checkpoint`, `log`, `export` and `run` sections: what a training leaves behind, and where.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

use super::section::Section;
use super::setting::{Setting, at_least, describe, words};
use super::train::{Metric, Mode};

/// When checkpoints are written, and which are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointConfig {
    /// Interval between checkpoints.
    pub every: Every,
    /// How many of the newest stay.
    pub keep_last: usize,
    /// How many of the best epochs stay.
    pub keep_best: usize,
    /// What is compared.
    pub metric: Metric,
    /// Which way is better.
    pub mode: Mode,
}

impl CheckpointConfig {
    pub(super) fn read(mut section: Section, has_val: bool) -> CheckpointConfig {
        let usual = if has_val {
            Metric::ValAccuracy
        } else {
            Metric::TrainLoss
        };
        let metric = section.get("metric", usual);
        CheckpointConfig {
            every: section.get("every", Every::Auto),
            keep_last: section.get_if("keep_last", 2, at_least(1)),
            keep_best: section.get_if("keep_best", 1, at_least(1)),
            metric,
            mode: section.get("mode", metric.mode()),
        }
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

/// What is written down during training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogConfig {
    /// `metrics.csv`.
    pub csv: bool,
    /// TensorBoard event files under `tensorboard/`: the metrics of each epoch, at its optimiser step.
    pub tensorboard: bool,
    /// The parts whose images are written to `samples.jsonl`, a line per image and epoch.
    pub samples: SampleLog,
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

impl LogConfig {
    pub(super) fn read(mut section: Section) -> LogConfig {
        // Version 0.2 could leave out metrics.jsonl. It is always written now, since studies and resume read it.
        let _: bool = section.get("jsonl", true);
        LogConfig {
            csv: section.get("csv", true),
            tensorboard: section.get("tensorboard", false),
            samples: section.get("samples", SampleLog::Val),
        }
    }
}

/// What becomes of a model that is trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportConfig {
    /// The formats of `signet export`.
    pub formats: Vec<Format>,
    /// Whether the best epoch is exported when a training ends.
    pub on_finish: bool,
}

impl ExportConfig {
    pub(super) fn read(mut section: Section) -> ExportConfig {
        let formats = section.values_if("formats", |_: &Format| Ok(()));
        let formats = formats.unwrap_or_else(|| vec![Format::Torchscript]);
        if formats.is_empty() {
            section.wrong(
                "formats",
                "an empty list exports nothing; set on_finish: false instead".to_owned(),
            );
        }
        ExportConfig {
            formats,
            on_finish: section.get("on_finish", false),
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

/// Where the run directory goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunConfig {
    /// The folder of run directories.
    pub root: PathBuf,
    /// What to do when the name is taken.
    pub if_exists: IfExists,
}

impl RunConfig {
    pub(super) fn read(mut section: Section) -> RunConfig {
        RunConfig {
            root: section.get("root", PathBuf::from("runs")),
            if_exists: section.get("if_exists", IfExists::New),
        }
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
