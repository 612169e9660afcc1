//! `model.init`: weights before the first step.

use serde::Serialize;

use crate::config::declare::{keys, kinds};
use crate::config::entry::Entry;
use crate::config::key::{Rule, Shape};
use crate::config::section::Slot;
use crate::config::setting::words;

/// Weights before the first step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum InitConfig {
    /// By name, without settings.
    Named(NamedInit),
    /// By a law.
    Custom(CustomInit),
}

keys! {
    /// The same law for every weight; biases are zero.
    CustomInit {
        /// How weights (not biases) are drawn.
        weights: WeightInit [needs "a section with a kind" else WeightInit::Normal { mean: 0.0, std: 0.1 }],
        /// Biases; `zero` is the only choice.
        bias: BiasLaw [= BiasLaw::Zero],
    }
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

kinds! {
    /// The law weights are drawn from.
    WeightInit {
        /// Every weight is the same number.
        "constant" Constant {
            /// Value of every weight.
            value: f64 [= 0.01],
        },
        /// Independent draws from a normal distribution.
        "normal" Normal {
            /// Mean.
            mean: f64 [= 0.0],
            /// Standard deviation.
            std: f64 [= 0.1, at_least(0.0)],
        },
        /// Uniform in [low, high).
        "uniform" Uniform {
            /// Smallest value.
            low: f64 [= -0.05],
            /// Upper bound of the values.
            high: f64 [= 0.05],
        },
    }
    check(law, section) {
        if let WeightInit::Uniform { low, high } = *law {
            if low > high {
                section.wrong("low", format!("{low} is above high, which is {high}"));
            } else if !((high - low) as f32).is_finite() {
                let message = format!("float32 cannot hold how far {low} is below high, which is {high}");
                section.wrong("low", message);
            }
        }
    }
}

impl Entry for InitConfig {
    fn shape(rule: Rule) -> Shape {
        Shape::Either(
            Box::new(<NamedInit as Entry>::shape(rule)),
            Box::new(<CustomInit as Entry>::shape(rule)),
        )
    }

    fn read(slot: Slot, rule: Rule) -> Option<InitConfig> {
        if slot.holds_section() {
            CustomInit::read(slot, rule).map(InitConfig::Custom)
        } else {
            Entry::read(slot, rule).map(InitConfig::Named)
        }
    }
}
