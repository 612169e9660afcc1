//! `train.optimizer`: how gradients move weights.

use crate::config::declare::{keys, kinds};

kinds! {
    /// How gradients move weights. Names and meanings are those of `torch.optim`.
    OptimizerConfig or "adamw" resume Refused {
        /// Stochastic gradient descent.
        "sgd" Sgd {
            /// Learning rate, above 0; the schedule varies it from step to step.
            lr: f64 [= 0.01, ABOVE_ZERO],
            /// Share of the last step that is kept.
            momentum: f64 [= 0.0, below(0.0, 1.0)],
            /// Whether to look ahead.
            nesterov: bool [= false],
            /// L2 penalty: this times the weight is added to each gradient.
            weight_decay: f64 [= 0.0, at_least(0.0)],
        },
        /// Adam with the penalty in the gradient.
        "adam" Adam(AdamConfig; 0.0),
        /// Adam with the penalty apart from the gradient.
        "adamw" Adamw(AdamConfig; 0.01),
        /// Root mean square propagation.
        "rmsprop" Rmsprop {
            /// Learning rate, above 0; the schedule varies it from step to step.
            lr: f64 [= 0.01, ABOVE_ZERO],
            /// Memory of the squared gradients.
            alpha: f64 [= 0.99, below(0.0, 1.0)],
            /// Keeps the denominator away from zero.
            eps: f64 [= 1e-8, ABOVE_ZERO],
            /// Share of the last step that is kept.
            momentum: f64 [= 0.0, below(0.0, 1.0)],
            /// L2 penalty: this times the weight is added to each gradient.
            weight_decay: f64 [= 0.0, at_least(0.0)],
        },
    }
    check(optimizer, section) {
        if let OptimizerConfig::Sgd { momentum: 0.0, nesterov: true, .. } = optimizer {
            let message = "requires momentum; set train.optimizer.momentum, for example to 0.9";
            section.wrong("nesterov", message.to_owned());
        }
    }
}

keys! {
    /// Settings that Adam and AdamW share.
    AdamConfig(usual_decay: f64) {
        /// Learning rate, above 0; the schedule varies it from step to step.
        lr: f64 [= 1e-3, ABOVE_ZERO],
        /// Memory of the gradients.
        beta1: f64 [= 0.9, below(0.0, 1.0)],
        /// Memory of their squares.
        beta2: f64 [= 0.999, below(0.0, 1.0)],
        /// Keeps the denominator away from zero.
        eps: f64 [= 1e-8, ABOVE_ZERO],
        /// Penalty on large weights.
        weight_decay: f64 [= usual_decay, at_least(0.0)],
    }
}

impl OptimizerConfig {
    /// The learning rate before any schedule.
    pub fn lr(&self) -> f64 {
        match self {
            OptimizerConfig::Adam(adam) | OptimizerConfig::Adamw(adam) => adam.lr,
            OptimizerConfig::Sgd { lr, .. } | OptimizerConfig::Rmsprop { lr, .. } => *lr,
        }
    }
}
