//! `train.schedule`: how the learning rate changes.

use serde::Serialize;

use super::Metric;
use crate::config::section::Section;
use crate::config::setting::{above_zero, at_least, between};

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

impl Schedule {
    pub(super) fn read(mut section: Section, epochs: usize) -> Schedule {
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
            let message =
                format!("must be less than train.epochs ({epochs}), but is {warmup_epochs}");
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
