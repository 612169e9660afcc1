//! `train.optimizer`: how gradients move weights.

use serde::Serialize;

use crate::config::section::Section;
use crate::config::setting::{above_zero, at_least, below};

/// How gradients move weights. Names and meanings are those of `torch.optim`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate, above 0; the schedule varies it from step to step.
        lr: f64,
        /// Share of the last step that is kept.
        momentum: f64,
        /// Whether to look ahead.
        nesterov: bool,
        /// L2 penalty: this times the weight is added to each gradient; 0 or more.
        weight_decay: f64,
    },
    /// Adam with the penalty in the gradient.
    Adam(AdamConfig),
    /// Adam with the penalty apart from the gradient.
    Adamw(AdamConfig),
    /// Root mean square propagation.
    Rmsprop {
        /// Learning rate, above 0; the schedule varies it from step to step.
        lr: f64,
        /// Memory of the squared gradients.
        alpha: f64,
        /// Keeps the denominator away from zero.
        eps: f64,
        /// Share of the last step that is kept.
        momentum: f64,
        /// L2 penalty: this times the weight is added to each gradient; 0 or more.
        weight_decay: f64,
    },
}

/// Settings that Adam and AdamW share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdamConfig {
    /// Learning rate, above 0; the schedule varies it from step to step.
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

impl OptimizerConfig {
    /// The learning rate before any schedule.
    pub fn lr(&self) -> f64 {
        match self {
            OptimizerConfig::Adam(adam) | OptimizerConfig::Adamw(adam) => adam.lr,
            OptimizerConfig::Sgd { lr, .. } | OptimizerConfig::Rmsprop { lr, .. } => *lr,
        }
    }

    pub(super) fn read(mut section: Section) -> OptimizerConfig {
        let kind = section.kind(&["sgd", "adam", "adamw", "rmsprop"], Some("adamw"));
        match kind {
            Some("sgd") => {
                let momentum = section.get_if("momentum", 0.0, below(0.0, 1.0));
                let nesterov = section.get("nesterov", false);
                if nesterov && momentum == 0.0 {
                    section.wrong(
                        "nesterov",
                        "requires momentum; set train.optimizer.momentum, for example to 0.9"
                            .to_owned(),
                    );
                }
                OptimizerConfig::Sgd {
                    lr: section.get_if("lr", 0.01, above_zero),
                    momentum,
                    nesterov,
                    weight_decay: section.get_if("weight_decay", 0.0, at_least(0.0)),
                }
            }
            Some("rmsprop") => OptimizerConfig::Rmsprop {
                lr: section.get_if("lr", 0.01, above_zero),
                alpha: section.get_if("alpha", 0.99, below(0.0, 1.0)),
                eps: section.get_if("eps", 1e-8, above_zero),
                momentum: section.get_if("momentum", 0.0, below(0.0, 1.0)),
                weight_decay: section.get_if("weight_decay", 0.0, at_least(0.0)),
            },
            Some("adam") => OptimizerConfig::Adam(AdamConfig::read(section, 0.0)),
            _ => OptimizerConfig::Adamw(AdamConfig::read(section, 0.01)),
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
