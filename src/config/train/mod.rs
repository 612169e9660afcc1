//! The `train` section: how weights are moved, and when that ends.

mod loss;
mod optimizer;
mod schedule;

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

pub use loss::{ClassWeights, Loss, NamedWeights};
pub use optimizer::{AdamConfig, OptimizerConfig};
pub use schedule::Schedule;

use super::declare::keys;
use super::entry::Entry;
use super::key::{Rule, Shape};
use super::section::Section;
use super::setting::{Setting, describe, words};

keys! {
    /// How a model is trained.
    TrainConfig {
        /// Passes over the training part, at most.
        epochs: usize [= 40, within(1, 1_000_000_000)] unit "epochs" resume Free,
        /// Images per step.
        batch_size: BatchSize [= BatchSize::Images(32)],
        /// Batches whose gradients make one step together: as one of so many times the images, for the memory of one.
        accumulate: usize [= 1, within(1, 4096)] unit "batches" since "0.3",
        /// How often an epoch meets each image of the training part.
        sampling: Sampling [= Sampling::Natural] since "0.3",
        /// Pieces of each batch whose gradients are added in a fixed tree, or auto: one for each process of the first launch.
        /// Any number of processes that divides it gives the same bits. Batch statistics are those of a piece, and running
        /// statistics the means over them.
        shards: Shards [= Shards::Auto] since "0.3",
        /// How several processes add their gradients.
        reduction: Reduction [= Reduction::Tree] since "0.3",
        /// How gradients move weights.
        optimizer: OptimizerConfig [section],
        /// How the learning rate changes.
        schedule: Schedule [section],
        /// What is made small.
        loss: Loss [section],
        /// Largest Euclidean norm of all gradients together; null leaves them alone.
        clip_grad_norm: Option<f64> [= None, ABOVE_ZERO],
        /// Arithmetic of the forward and backward pass.
        precision: Precision [= Precision::F32],
        /// Whether to ask libtorch for deterministic kernels where they cost speed (CUDA).
        deterministic: bool [= false],
        /// Whether steps are recorded once and replayed as CUDA graphs, which saves the time of handing over kernels one by
        /// one. It has not been tried on a GPU yet.
        cuda_graphs: bool [= false] since "0.3",
        /// When to give up waiting for a better epoch.
        early_stopping: Option<EarlyStopping> [= None] resume Free,
        /// Weights to begin with instead of random ones.
        init_from: Option<InitFrom> [by InitFrom::read_either; InitFrom::either(), "null"] resume Refused,
    }
    check(train, section) {
        if let (Reduction::Flat, Shards::Count(count)) = (train.reduction, train.shards) {
            let message = format!("{count} has no effect with train.reduction: flat, where each process takes one piece; leave it out");
            section.wrong("shards", message);
        }
        let (epochs, warmup) = (train.epochs, train.schedule.warmup_epochs());
        if warmup > 0.0 && warmup >= epochs as f64 {
            let message = format!("must be less than train.epochs ({epochs}), but is {warmup}");
            section.wrong("schedule.warmup_epochs", message);
        }
        if train.accumulate > 1 && train.batch_size == BatchSize::Full {
            let message = format!("{} cannot be: batch_size: full is one batch an epoch", train.accumulate);
            section.wrong("accumulate", message);
        }
        if let (Sampling::Balanced, ClassWeights::Named(NamedWeights::Balanced)) = (train.sampling, train.loss.class_weights()) {
            let message = "balanced weighs rare classes more, and so does train.sampling: balanced; use one of them";
            section.wrong("loss.class_weights", message.to_owned());
        }
        let lr = train.optimizer.lr();
        if let Schedule::Cosine { min_lr, .. } | Schedule::Plateau { min_lr, .. } = train.schedule
            && min_lr > lr
        {
            let message = format!(
                "{min_lr} is above train.optimizer.lr ({lr}), from which the learning rate decreases"
            );
            section.wrong("schedule.min_lr", message);
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
    fn shape(_: Rule) -> Shape {
        Shape::Form("a number of images from 1, or full", &["full"])
    }

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

/// Pieces of each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shards {
    /// As many as there are processes when the run begins.
    Auto,
    /// This number, from 1 to 1024.
    Count(usize),
}

impl Serialize for Shards {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Shards::Auto => serializer.serialize_str("auto"),
            Shards::Count(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl Setting for Shards {
    fn shape(_: Rule) -> Shape {
        Shape::Form("a number of pieces from 1 to 1024, or auto", &["auto"])
    }

    fn read(value: &Value) -> Result<Shards, String> {
        match (value.as_u64(), value.as_str()) {
            (Some(count @ 1..=1024), _) => Ok(Shards::Count(count as usize)),
            (_, Some("auto")) => Ok(Shards::Auto),
            _ => Err(format!(
                "expected auto or a number of pieces from 1 to 1024, found {}",
                describe(value)
            )),
        }
    }
}

words! {
    /// How several processes add their gradients.
    Reduction {
        /// As the pieces of a batch are added in one process, so that the number of processes leaves no trace.
        Tree = "tree",
        /// As is fastest. The bits depend on the number of processes, and are the same for the same number on the CPU.
        Flat = "flat",
    }
}

impl TrainConfig {
    /// The pieces that each batch is cut into where `world` processes train together.
    pub fn pieces(&self, world: usize) -> usize {
        match (self.reduction, self.shards) {
            (Reduction::Tree, Shards::Count(count)) => count,
            (Reduction::Tree, Shards::Auto) | (Reduction::Flat, _) => world,
        }
    }
}

words! {
    /// How often an epoch meets each image of the training part.
    Sampling {
        /// Once.
        Natural = "natural",
        /// So often that each class is met equally often, in as many images as the part has: those of rare classes more than
        /// once, those of common ones in some epochs only.
        Balanced = "balanced",
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

keys! {
    /// When to give up.
    EarlyStopping {
        /// What is watched.
        metric: Metric [= Metric::ValLoss],
        /// Epochs without improvement that are borne.
        patience: usize [= 10, at_least(1)] unit "epochs",
        /// The least change that counts as improvement.
        min_delta: f64 [= 0.0, at_least(0.0)],
    }
}

keys! {
    /// Weights to begin with: those of another training, where name and shape fit.
    InitFrom {
        /// A run (its best weights), a checkpoint, or any safetensors file.
        path: PathBuf [needs "a run, a checkpoint or a .safetensors file"],
        /// Whether every tensor of the model must be found there.
        strict: bool [= true],
    }
}

impl InitFrom {
    fn either() -> Shape {
        Shape::Either(
            Box::new(Shape::Path),
            Box::new(<InitFrom as Entry>::shape(Rule::Any)),
        )
    }

    /// A plain path, or a section.
    fn read_either(section: &mut Section) -> Option<InitFrom> {
        let slot = section.slot("init_from");
        if slot.holds_section() {
            return InitFrom::read(slot, Rule::Any);
        }
        let path = Entry::read(slot, Rule::Any)?;
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
        /// Mean over the classes of the F1 on the val part.
        ValMacroF1 = "val.macro_f1",
        /// Mean over the classes of the share of their val images recognised.
        ValBalancedAccuracy = "val.balanced_accuracy",
    }
}

impl Metric {
    /// Whether smaller (loss) or larger (all else) is better.
    pub fn mode(self) -> Mode {
        match self {
            Metric::TrainLoss | Metric::ValLoss => Mode::Min,
            Metric::TrainAccuracy
            | Metric::ValAccuracy
            | Metric::ValMacroF1
            | Metric::ValBalancedAccuracy => Mode::Max,
        }
    }

    /// Whether it needs a val part.
    pub fn needs_val(self) -> bool {
        !matches!(self, Metric::TrainLoss | Metric::TrainAccuracy)
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
