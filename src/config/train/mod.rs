//! The `train` section: how weights are moved, and when that ends.

mod optimizer;
mod schedule;

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

pub use optimizer::{AdamConfig, OptimizerConfig};
pub use schedule::Schedule;

use super::section::Section;
use super::setting::{Setting, above_zero, at_least, below, describe, words};

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainConfig {
    /// Passes over the training part, at most.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: BatchSize,
    /// Pieces of each batch whose gradients are added in a fixed tree; a power of two. Batch statistics are those of a
    /// piece, and running statistics the means over them.
    pub shards: usize,
    /// How gradients move weights.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// What is made small.
    pub loss: Loss,
    /// Largest Euclidean norm of all gradients together; null leaves them alone.
    pub clip_grad_norm: Option<f64>,
    /// Arithmetic of the forward and backward pass.
    pub precision: Precision,
    /// Whether to ask libtorch for deterministic kernels where they cost speed (CUDA).
    pub deterministic: bool,
    /// Whether steps are recorded once and replayed as CUDA graphs, which saves the time of handing over kernels one by one.
    /// It has not been tried on a GPU yet.
    pub cuda_graphs: bool,
    /// When to give up waiting for a better epoch.
    pub early_stopping: Option<EarlyStopping>,
    /// Weights to begin with instead of random ones.
    pub init_from: Option<InitFrom>,
}

impl TrainConfig {
    pub(super) fn read(mut section: Section) -> TrainConfig {
        let epochs = section.get_if("epochs", 40, |epochs| match epochs {
            1..=1_000_000_000 => Ok(()),
            _ => Err("1 to 1000000000".to_owned()),
        });
        let optimizer = OptimizerConfig::read(section.section("optimizer"));
        let schedule = Schedule::read(section.section("schedule"), epochs);
        if let Schedule::Cosine { min_lr, .. } | Schedule::Plateau { min_lr, .. } = schedule
            && min_lr > optimizer.lr()
        {
            let lr = optimizer.lr();
            section.wrong(
                "schedule.min_lr",
                format!("{min_lr} is above train.optimizer.lr ({lr}), from which the learning rate decreases"),
            );
        }
        TrainConfig {
            epochs,
            batch_size: section.get("batch_size", BatchSize::Images(32)),
            shards: section.get_if("shards", 1, |shards| match shards {
                1..=1024 if shards.is_power_of_two() => Ok(()),
                _ => Err("a power of two from 1 to 1024".to_owned()),
            }),
            optimizer,
            schedule,
            loss: Loss::read(section.section("loss")),
            clip_grad_norm: section.optional_if("clip_grad_norm", above_zero),
            precision: section.get("precision", Precision::F32),
            deterministic: section.get("deterministic", false),
            cuda_graphs: section.get("cuda_graphs", false),
            early_stopping: section
                .optional_section("early_stopping")
                .map(EarlyStopping::read),
            init_from: InitFrom::read(&mut section),
        }
    }
}

/// Images per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// A number of images; the last batch of an epoch may be smaller.
    Images(usize),
    /// The whole training part: one step per epoch.
    Full,
}

impl BatchSize {
    /// Images in a batch where `train` of them train.
    pub fn of(self, train: usize) -> usize {
        match self {
            BatchSize::Images(count) => count,
            BatchSize::Full => train,
        }
    }
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            BatchSize::Images(count) => serializer.serialize_u64(*count as u64),
            BatchSize::Full => serializer.serialize_str("full"),
        }
    }
}

impl Setting for BatchSize {
    fn read(value: &Value) -> Result<BatchSize, String> {
        match (value.as_u64(), value.as_str()) {
            (Some(count @ 1..), _) => Ok(BatchSize::Images(count as usize)),
            (_, Some("full")) => Ok(BatchSize::Full),
            _ => Err(format!(
                "expected a number of images or full, found {}",
                describe(value)
            )),
        }
    }
}

/// What is made small.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Loss {
    /// Cross-entropy of softmax(logits).
    CrossEntropy {
        /// Share of the target spread over all classes (Szegedy et al., 2016).
        label_smoothing: f64,
    },
}

impl Loss {
    fn read(mut section: Section) -> Loss {
        section.kind(&["cross_entropy"], Some("cross_entropy"));
        Loss::CrossEntropy {
            label_smoothing: section.get_if("label_smoothing", 0.0, below(0.0, 1.0)),
        }
    }
}

words! {
    /// Arithmetic of the forward and backward pass.
    Precision {
        /// 32-bit floats, on CUDA with TF32 off.
        F32 = "f32",
        /// 32-bit floats whose products CUDA may round to ten bits of mantissa first, as GPUs from Ampere on do fast; the same
        /// as f32 on the CPU.
        Tf32 = "tf32",
        /// bfloat16 where libtorch's autocast deems it safe; weights, sums and the rest stay f32, with TF32 off.
        Bf16 = "bf16",
    }
}

/// When to give up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EarlyStopping {
    /// What is watched.
    pub metric: Metric,
    /// Epochs without improvement that are borne.
    pub patience: usize,
    /// The least change that counts as improvement.
    pub min_delta: f64,
}

impl EarlyStopping {
    fn read(mut section: Section) -> EarlyStopping {
        EarlyStopping {
            metric: section.get("metric", Metric::ValLoss),
            patience: section.get_if("patience", 10, at_least(1)),
            min_delta: section.get_if("min_delta", 0.0, at_least(0.0)),
        }
    }
}

/// Weights to begin with: those of another training, where name and shape fit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitFrom {
    /// A run (its best weights), a checkpoint, or any safetensors file.
    pub path: PathBuf,
    /// Whether every tensor of the model must be found there.
    pub strict: bool,
}

impl InitFrom {
    /// A plain path, or a section.
    fn read(section: &mut Section) -> Option<InitFrom> {
        if section.holds_section("init_from") {
            let mut section = section.section("init_from");
            let path = section.required("path", "a run, a checkpoint or a .safetensors file");
            let strict = section.get("strict", true);
            return path.map(|path| InitFrom { path, strict });
        }
        let path = section.plain("init_from")?;
        Some(InitFrom { path, strict: true })
    }
}

words! {
    /// A metric computed at the end of each epoch.
    Metric {
        /// Mean loss on the training part, as it was met during the epoch.
        TrainLoss = "train.loss",
        /// Share of training images recognised, as met during the epoch.
        TrainAccuracy = "train.accuracy",
        /// Mean loss on the val part.
        ValLoss = "val.loss",
        /// Share of val images recognised.
        ValAccuracy = "val.accuracy",
    }
}

impl Metric {
    /// Whether smaller (loss) or larger (accuracy) is better.
    pub fn mode(self) -> Mode {
        match self {
            Metric::TrainLoss | Metric::ValLoss => Mode::Min,
            Metric::TrainAccuracy | Metric::ValAccuracy => Mode::Max,
        }
    }

    /// Whether it needs a val part.
    pub fn needs_val(self) -> bool {
        matches!(self, Metric::ValLoss | Metric::ValAccuracy)
    }
}

words! {
    /// Which way is better.
    Mode {
        /// Smaller values are better, as of a loss.
        Min = "min",
        /// Larger values are better, as of an accuracy.
        Max = "max",
    }
}
