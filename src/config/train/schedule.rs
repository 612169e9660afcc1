//! `train.schedule`: how the learning rate changes.

use super::Metric;
use crate::config::declare::kinds;

kinds! {
    /// How the learning rate changes. All but one_cycle can begin with `warmup_epochs` of linear growth.
    Schedule or "constant" {
        /// It does not.
        "constant" Constant {
            /// Epochs of linear growth.
            warmup_epochs: f64 [= 0.0, at_least(0.0)] unit "epochs",
        },
        /// Multiplied by `gamma` every `every_epochs`.
        "step" Step {
            /// Epochs of linear growth.
            warmup_epochs: f64 [= 0.0, at_least(0.0)] unit "epochs",
            /// Epochs between drops.
            every_epochs: usize [= 10, at_least(1)] unit "epochs",
            /// Factor of a drop.
            gamma: f64 [= 0.1, ABOVE_ZERO],
        },
        /// Multiplied by `gamma` every epoch.
        "exponential" Exponential {
            /// Epochs of linear growth.
            warmup_epochs: f64 [= 0.0, at_least(0.0)] unit "epochs",
            /// Factor per epoch.
            gamma: f64 [= 0.95, ABOVE_ZERO],
        },
        /// Half a cosine from `lr` to `min_lr` over the run, step by step.
        "cosine" Cosine {
            /// Epochs of linear growth.
            warmup_epochs: f64 [= 0.0, at_least(0.0)] unit "epochs",
            /// Where it ends.
            min_lr: f64 [= 0.0, at_least(0.0)],
        },
        /// Up to `lr` and down again over the run, step by step (Smith and Topin, 2018).
        "one_cycle" OneCycle {
            /// Share of the run spent going up.
            pct_start: f64 [= 0.3, within(0.0, 1.0)],
            /// It starts at lr / div_factor.
            div_factor: f64 [= 25.0, ABOVE_ZERO],
            /// It ends at that start / final_div_factor.
            final_div_factor: f64 [= 1e4, ABOVE_ZERO],
        },
        /// Multiplied by `factor` when `metric` has not improved for `patience` epochs.
        "plateau" Plateau {
            /// Epochs of linear growth.
            warmup_epochs: f64 [= 0.0, at_least(0.0)] unit "epochs",
            /// What is watched.
            metric: Metric [= Metric::ValLoss],
            /// Factor of a drop.
            factor: f64 [= 0.1, within(0.001, 0.999)],
            /// Epochs without improvement that are borne.
            patience: usize [= 10] unit "epochs",
            /// Where it ends.
            min_lr: f64 [= 0.0, at_least(0.0)],
        },
    }
}

impl Schedule {
    /// Epochs of linear growth.
    pub(super) fn warmup_epochs(&self) -> f64 {
        match *self {
            Schedule::Constant { warmup_epochs }
            | Schedule::Step { warmup_epochs, .. }
            | Schedule::Exponential { warmup_epochs, .. }
            | Schedule::Cosine { warmup_epochs, .. }
            | Schedule::Plateau { warmup_epochs, .. } => warmup_epochs,
            Schedule::OneCycle { .. } => 0.0,
        }
    }
}
