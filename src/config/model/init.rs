//! `model.init`: weights before the first step.

use serde::Serialize;

use crate::config::section::Section;
use crate::config::setting::{at_least, words};

/// Weights before the first step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum InitConfig {
    /// By name, without settings.
    Named(NamedInit),
    /// The same law for every weight; biases are zero.
    Custom {
        /// How weights (not biases) are drawn.
        weights: WeightInit,
        /// Biases; `zero` is the only choice.
        bias: BiasLaw,
    },
}

words! {
    /// Initialisations without settings.
    NamedInit {
        /// Bit for bit what `torch.manual_seed(seed)` and `torch.nn` give.
        Pytorch = "pytorch",
    }
}

words! {
    /// Biases before the first step.
    BiasLaw {
        /// Weights and biases are 0.
        Zero = "zero",
    }
}

/// The law weights are drawn from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WeightInit {
    /// Every weight is the same number.
    Constant {
        /// Value of every weight.
        value: f64,
    },
    /// Independent draws from a normal distribution.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in [low, high).
    Uniform {
        /// Smallest value.
        low: f64,
        /// Upper bound of the values.
        high: f64,
    },
}

impl InitConfig {
    pub(super) fn read(section: &mut Section) -> InitConfig {
        if !section.holds_section("init") {
            return InitConfig::Named(section.get("init", NamedInit::Pytorch));
        }
        let mut init = section.section("init");
        let bias = init.get("bias", BiasLaw::Zero);
        let mut weights = init.section("weights");
        let law = match weights.kind(&["constant", "normal", "uniform"], None) {
            Some("constant") => WeightInit::Constant {
                value: weights.get("value", 0.01),
            },
            Some("uniform") => {
                let low = weights.get("low", -0.05);
                let high = weights.get("high", 0.05);
                if low > high {
                    weights.wrong("low", format!("{low} is above high, which is {high}"));
                } else if !((high - low) as f32).is_finite() {
                    let message =
                        format!("float32 cannot hold how far {low} is below high, which is {high}");
                    weights.wrong("low", message);
                }
                WeightInit::Uniform { low, high }
            }
            _ => WeightInit::Normal {
                mean: weights.get("mean", 0.0),
                std: weights.get_if("std", 0.1, at_least(0.0)),
            },
        };
        InitConfig::Custom { weights: law, bias }
    }
}
