//! The `train`, `checkpoint`, `log` and `run` sections: how weights are moved, chosen and written down.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

use super::section::{Section, Setting, above_zero, at_least, below, between, describe, words};

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainConfig {
    /// Passes over the training part, at most.
    pub epochs: usize,
    /// Pictures per step.
    pub batch_size: BatchSize,
    /// How gradients move weights.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// What is made small.
    pub loss: Loss,
    /// Largest Euclidean norm of all gradients together; null leaves them alone.
    pub clip_grad_norm: Option<f64>,
    /// Arithmetic of the forward pass.
    pub precision: Precision,
    /// Whether to ask libtorch for repeatable kernels where they cost speed (CUDA).
    pub deterministic: bool,
    /// When to give up waiting for a better epoch.
    pub early_stopping: Option<EarlyStopping>,
    /// Weights to begin with instead of random ones.
    pub init_from: Option<InitFrom>,
}

/// Pictures per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// A number of pictures; the last batch of an epoch may be smaller.
    Pictures(usize),
    /// The whole training part: one step per epoch.
    Full,
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            BatchSize::Pictures(count) => serializer.serialize_u64(*count as u64),
            BatchSize::Full => serializer.serialize_str("full"),
        }
    }
}

impl Setting for BatchSize {
    fn read(value: &Value) -> Result<BatchSize, String> {
        match (value.as_u64(), value.as_str()) {
            (Some(count @ 1..), _) => Ok(BatchSize::Pictures(count as usize)),
            (_, Some("full")) => Ok(BatchSize::Full),
            _ => Err(format!(
                "expected a number of pictures or full, found {}",
                describe(value)
            )),
        }
    }
}

/// How gradients move weights. Names and meanings are those of `torch.optim`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Share of the last step that is kept.
        momentum: f64,
        /// Whether to look ahead.
        nesterov: bool,
        /// L2 penalty.
        weight_decay: f64,
    },
    /// Adam with the penalty in the gradient.
    Adam(AdamConfig),
    /// Adam with the penalty apart from the gradient.
    Adamw(AdamConfig),
    /// Root mean square propagation.
    Rmsprop {
        /// Learning rate.
        lr: f64,
        /// Memory of the squared gradients.
        alpha: f64,
        /// Keeps the denominator away from zero.
        eps: f64,
        /// Share of the last step that is kept.
        momentum: f64,
        /// L2 penalty.
        weight_decay: f64,
    },
}

/// Settings that Adam and AdamW share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdamConfig {
    /// Learning rate.
    pub lr: f64,
    /// Memory of the gradients.
    pub beta1: f64,
    /// Memory of their squares.
    pub beta2: f64,
    /// Keeps the denominator away from zero.
    pub eps: f64,
    /// Penalty on large weights.
    pub weight_decay: f64,
}

impl Optimizer {
    /// The learning rate before any schedule.
    pub fn lr(&self) -> f64 {
        match self {
            Optimizer::Adam(adam) | Optimizer::Adamw(adam) => adam.lr,
            Optimizer::Sgd { lr, .. } | Optimizer::Rmsprop { lr, .. } => *lr,
        }
    }
}

/// How the learning rate changes. All but one_cycle can begin with `warmup_epochs` of linear growth.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// It does not.
    Constant {
        /// Epochs of linear growth.
        warmup_epochs: f64,
    },
    /// Multiplied by `gamma` every `every_epochs`.
    Step {
        /// Epochs of linear growth.
        warmup_epochs: f64,
        /// Epochs between drops.
        every_epochs: usize,
        /// Factor of a drop.
        gamma: f64,
    },
    /// Multiplied by `gamma` every epoch.
    Exponential {
        /// Epochs of linear growth.
        warmup_epochs: f64,
        /// Factor per epoch.
        gamma: f64,
    },
    /// Half a cosine from `lr` to `min_lr` over the run, step by step.
    Cosine {
        /// Epochs of linear growth.
        warmup_epochs: f64,
        /// Where it ends.
        min_lr: f64,
    },
    /// Up to `lr` and down again over the run, step by step (Smith and Topin, 2018).
    OneCycle {
        /// Share of the run spent going up.
        pct_start: f64,
        /// It starts at lr / div_factor.
        div_factor: f64,
        /// It ends at that start / final_div_factor.
        final_div_factor: f64,
    },
    /// Multiplied by `factor` when `metric` has not improved for `patience` epochs.
    Plateau {
        /// Epochs of linear growth.
        warmup_epochs: f64,
        /// What is watched.
        metric: Metric,
        /// Factor of a drop.
        factor: f64,
        /// Epochs without improvement that are borne.
        patience: usize,
        /// Where it ends.
        min_lr: f64,
    },
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

words! {
    /// Arithmetic of the forward pass.
    Precision {
        /// 32-bit floats.
        F32 = "f32",
        /// bfloat16 where libtorch's autocast deems it safe; weights stay f32.
        Bf16 = "bf16",
    }
}

words! {
    /// A figure an epoch ends with.
    Metric {
        /// Mean loss on the training part, as it was met during the epoch.
        TrainLoss = "train.loss",
        /// Share of training pictures recognised, as met during the epoch.
        TrainAccuracy = "train.accuracy",
        /// Mean loss on the val part.
        ValLoss = "val.loss",
        /// Share of val pictures recognised.
        ValAccuracy = "val.accuracy",
    }
}

words! {
    /// Which way is better.
    Mode {
        /// Lower.
        Min = "min",
        /// Higher.
        Max = "max",
    }
}

impl Metric {
    /// Which way is better for this figure.
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

/// Weights to begin with: those of another training, where name and shape fit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitFrom {
    /// A run (its best weights), a checkpoint, or any safetensors file.
    pub path: PathBuf,
    /// Whether every tensor of the model must be found there.
    pub strict: bool,
}

/// When checkpoints are written, and which are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointConfig {
    /// How often.
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

/// How often a checkpoint is written: `1 epoch`, `200 steps`, `10 min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
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
        let (count, unit) = text.trim().split_once(' ').unwrap_or(("", ""));
        const MOST: usize = 1_000_000_000;
        match (count.parse(), unit.trim()) {
            (Ok(count @ 1..=MOST), "epoch" | "epochs") => Ok(Every::Epochs(count)),
            (Ok(count @ 1..=MOST), "step" | "steps") => Ok(Every::Steps(count)),
            (Ok(count @ 1..=MOST), "min" | "minute" | "minutes") => Ok(Every::Minutes(count)),
            _ => Err(format!(
                "expected such as `1 epoch`, `200 steps` or `10 min`, found {}",
                describe(value)
            )),
        }
    }
}

/// What is written down during training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogConfig {
    /// `metrics.jsonl`.
    pub jsonl: bool,
    /// `metrics.csv`.
    pub csv: bool,
    /// TensorBoard event files under `tensorboard/`.
    pub tensorboard: bool,
}

/// What becomes of a model that is trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportConfig {
    /// The formats of `signet export`.
    pub formats: Vec<Format>,
    /// Whether the best epoch is exported when a training ends.
    pub on_finish: bool,
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

words! {
    /// What to do when the name of a run is taken.
    IfExists {
        /// Number the new one: name-2, name-3, ...
        New = "new",
        /// Refuse.
        Error = "error",
        /// Go on where the old one stopped, as with --resume.
        Resume = "resume",
    }
}

impl TrainConfig {
    pub(super) fn read(mut section: Section) -> TrainConfig {
        let epochs = section.get_if("epochs", 40, |epochs| match epochs {
            1..=1_000_000_000 => Ok(()),
            _ => Err("1 to 1000000000".to_owned()),
        });
        TrainConfig {
            epochs,
            batch_size: section.get("batch_size", BatchSize::Pictures(32)),
            optimizer: Optimizer::read(section.section("optimizer")),
            schedule: Schedule::read(section.section("schedule"), epochs),
            loss: Loss::read(section.section("loss")),
            clip_grad_norm: section.optional_if("clip_grad_norm", above_zero),
            precision: section.get("precision", Precision::F32),
            deterministic: section.get("deterministic", false),
            early_stopping: section
                .optional_section("early_stopping")
                .map(EarlyStopping::read),
            init_from: InitFrom::read(&mut section),
        }
    }
}

impl Optimizer {
    fn read(mut section: Section) -> Optimizer {
        let kind = section.kind(&["sgd", "adam", "adamw", "rmsprop"], Some("adamw"));
        match kind {
            Some("sgd") => {
                let momentum = section.get_if("momentum", 0.0, below(0.0, 1.0));
                let nesterov = section.get("nesterov", false);
                if nesterov && momentum == 0.0 {
                    section.wrong(
                        "nesterov",
                        "looks ahead along the momentum, so set momentum, such as 0.9".to_owned(),
                    );
                }
                Optimizer::Sgd {
                    lr: section.get_if("lr", 0.01, above_zero),
                    momentum,
                    nesterov,
                    weight_decay: section.get_if("weight_decay", 0.0, at_least(0.0)),
                }
            }
            Some("rmsprop") => Optimizer::Rmsprop {
                lr: section.get_if("lr", 0.01, above_zero),
                alpha: section.get_if("alpha", 0.99, below(0.0, 1.0)),
                eps: section.get_if("eps", 1e-8, above_zero),
                momentum: section.get_if("momentum", 0.0, below(0.0, 1.0)),
                weight_decay: section.get_if("weight_decay", 0.0, at_least(0.0)),
            },
            Some("adam") => Optimizer::Adam(AdamConfig::read(section, 0.0)),
            _ => Optimizer::Adamw(AdamConfig::read(section, 0.01)),
        }
    }
}

impl AdamConfig {
    fn read(mut section: Section, weight_decay: f64) -> AdamConfig {
        AdamConfig {
            lr: section.get_if("lr", 1e-3, above_zero),
            beta1: section.get_if("beta1", 0.9, below(0.0, 1.0)),
            beta2: section.get_if("beta2", 0.999, below(0.0, 1.0)),
            eps: section.get_if("eps", 1e-8, above_zero),
            weight_decay: section.get_if("weight_decay", weight_decay, at_least(0.0)),
        }
    }
}

impl Schedule {
    fn read(mut section: Section, epochs: usize) -> Schedule {
        let kinds = [
            "constant",
            "step",
            "exponential",
            "cosine",
            "one_cycle",
            "plateau",
        ];
        let kind = section.kind(&kinds, Some("constant"));
        if kind == Some("one_cycle") {
            return Schedule::OneCycle {
                pct_start: section.get_if("pct_start", 0.3, between(0.0, 1.0)),
                div_factor: section.get_if("div_factor", 25.0, above_zero),
                final_div_factor: section.get_if("final_div_factor", 1e4, above_zero),
            };
        }
        let warmup_epochs = section.get_if("warmup_epochs", 0.0, at_least(0.0));
        if warmup_epochs > 0.0 && warmup_epochs >= epochs as f64 {
            let message = format!(
                "{warmup_epochs} leaves nothing of the {epochs} epochs of train.epochs; make it smaller"
            );
            section.wrong("warmup_epochs", message);
        }
        match kind {
            Some("step") => Schedule::Step {
                warmup_epochs,
                every_epochs: section.get_if("every_epochs", 10, at_least(1)),
                gamma: section.get_if("gamma", 0.1, above_zero),
            },
            Some("exponential") => Schedule::Exponential {
                warmup_epochs,
                gamma: section.get_if("gamma", 0.95, above_zero),
            },
            Some("cosine") => Schedule::Cosine {
                warmup_epochs,
                min_lr: section.get_if("min_lr", 0.0, at_least(0.0)),
            },
            Some("plateau") => Schedule::Plateau {
                warmup_epochs,
                metric: section.get("metric", Metric::ValLoss),
                factor: section.get_if("factor", 0.1, between(0.001, 0.999)),
                patience: section.get("patience", 10),
                min_lr: section.get_if("min_lr", 0.0, at_least(0.0)),
            },
            _ => Schedule::Constant { warmup_epochs },
        }
    }
}

impl Loss {
    fn read(mut section: Section) -> Loss {
        section.kind(&["cross_entropy"], Some("cross_entropy"));
        Loss::CrossEntropy {
            label_smoothing: section.get_if("label_smoothing", 0.0, below(0.0, 1.0)),
        }
    }
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

impl EarlyStopping {
    fn read(mut section: Section) -> EarlyStopping {
        EarlyStopping {
            metric: section.get("metric", Metric::ValLoss),
            patience: section.get_if("patience", 10, at_least(1)),
            min_delta: section.get_if("min_delta", 0.0, at_least(0.0)),
        }
    }
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
            every: section.get("every", Every::Epochs(1)),
            keep_last: section.get_if("keep_last", 2, at_least(1)),
            keep_best: section.get_if("keep_best", 1, at_least(1)),
            metric,
            mode: section.get("mode", metric.mode()),
        }
    }
}

impl LogConfig {
    pub(super) fn read(mut section: Section) -> LogConfig {
        LogConfig {
            jsonl: section.get("jsonl", true),
            csv: section.get("csv", true),
            tensorboard: section.get("tensorboard", false),
        }
    }
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

impl RunConfig {
    pub(super) fn read(mut section: Section) -> RunConfig {
        RunConfig {
            root: section.get("root", PathBuf::from("runs")),
            if_exists: section.get("if_exists", IfExists::New),
        }
    }
}
