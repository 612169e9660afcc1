//! `train.loss`: what is made small.

use serde::Serialize;

use crate::config::declare::kinds;
use crate::config::entry::{Entry, as_map};
use crate::config::key::{ABOVE_ZERO, Rule, Shape};
use crate::config::section::Slot;
use crate::config::setting::words;

kinds! {
    /// What is made small: a mean over the images of a step, each with the weight of its class.
    Loss or "cross_entropy" {
        /// Cross-entropy of softmax(logits).
        "cross_entropy" CrossEntropy {
            /// Share of the target spread over all classes (Szegedy et al., 2016).
            label_smoothing: f64 [= 0.0, below(0.0, 1.0)],
            /// How much an image of each class counts.
            class_weights: ClassWeights [= ClassWeights::NONE] since "0.3",
        },
        /// Cross-entropy times (1 - p) ^ gamma, where p is the probability that softmax(logits) gives the image's class: what is
        /// recognised already counts little (Lin et al., 2017, equation 4).
        "focal" Focal {
            /// 0 is cross-entropy.
            gamma: f64 [= 2.0, within(0, 10)],
            /// How much an image of each class counts.
            class_weights: ClassWeights [= ClassWeights::NONE],
        } since "0.3",
    }
}

impl Loss {
    /// Cross-entropy, and nothing else.
    pub const PLAIN: Loss = Loss::CrossEntropy {
        label_smoothing: 0.0,
        class_weights: ClassWeights::NONE,
    };

    /// How much an image of each class counts.
    pub fn class_weights(&self) -> &ClassWeights {
        match self {
            Loss::CrossEntropy { class_weights, .. } | Loss::Focal { class_weights, .. } => {
                class_weights
            }
        }
    }
}

/// How much an image of each class counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// By a rule.
    Named(NamedWeights),
    /// By class; 1 for those that are not named.
    Given(#[serde(serialize_with = "as_map")] Vec<(String, f64)>),
}

words! {
    /// Rules by which classes are weighed.
    NamedWeights {
        /// All images count alike.
        None = "none",
        /// N / (K n), of N training images of K classes, n of them of the class: all classes count alike, and the mean weight of
        /// an image is 1.
        Balanced = "balanced",
    }
}

impl ClassWeights {
    /// All images count alike.
    pub const NONE: ClassWeights = ClassWeights::Named(NamedWeights::None);
}

/// A word, or numbers by class.
impl Entry for ClassWeights {
    fn shape(_: Rule) -> Shape {
        Shape::Either(
            Box::new(<NamedWeights as Entry>::shape(Rule::Any)),
            Box::new(<Vec<(String, f64)> as Entry>::shape(ABOVE_ZERO)),
        )
    }

    fn read(slot: Slot, _: Rule) -> Option<ClassWeights> {
        if slot.holds_section() {
            return Entry::read(slot, ABOVE_ZERO).map(ClassWeights::Given);
        }
        Entry::read(slot, Rule::Any).map(ClassWeights::Named)
    }
}
