//! `data.split`: how images are split into train, val and test.

use std::path::PathBuf;

use crate::config::declare::kinds;
use crate::config::entry::Entry;
use crate::config::key::{Rule, Shape};
use crate::config::section::Slot;

kinds! {
    /// How images are split.
    SplitConfig or "stratified" {
        /// The same shares of every class, split by the experiment's seed.
        "stratified" Stratified {
            /// Share of the training part.
            train: f64 [= 0.70, within(0.001, 1.0)],
            /// Share that early stopping and the choice of the best model look at.
            val: f64 [= 0.15, below(0.0, 1.0)],
            /// Share that is looked at once, at the end.
            test: f64 [= 0.15, below(0.0, 1.0)],
            /// Which of many such splits; the seed alone decides the first one.
            repeat: u64 [= 0],
        },
        /// One of K splits whose test parts are disjoint and together everything.
        "folds" Folds {
            /// How many; each holds the same share of every class, give or take an image.
            folds: usize [= 5, at_least(2)],
            /// Which one is the test part, from 0.
            fold: usize [= 0],
            /// Share of the others that becomes the val part.
            val: f64 [= 0.15, below(0.0, 1.0)],
            /// Which of many such resamplings.
            repeat: u64 [= 0],
        },
        /// One of K splits whose val parts are disjoint and together all that `outer` does not test on, for choosing
        /// settings; the test part is that of `outer`, which no choice has looked at.
        "inner_folds" InnerFolds {
            /// How many; each holds the same share of every class, give or take an image.
            folds: usize [= 5, at_least(2)],
            /// Which one is the val part, from 0.
            fold: usize [= 0],
            /// Which of many such resamplings.
            repeat: u64 [= 0],
            /// Holds the test part back.
            outer: Box<SplitConfig> [section],
        },
        /// scikit-learn's `train_test_split(test_size, random_state)`, index for index.
        "sklearn" Sklearn {
            /// `test_size`.
            test: f64 [= 0.15, within(0.001, 0.999)],
            /// Share of the remaining training part split off by a second such call; 0 for no val part.
            val: f64 [= 0.0, below(0.0, 1.0)],
            /// numpy's seed.
            random_state: u64 [= 42, within(0, u32::MAX)],
        },
        /// The parts in which the source gives its images: folders train, val (or valid) and test, or a column of a table.
        "as_found" AsFound {} since "0.3",
        /// A JSON file with the names in each part, such as the `split.json` of a run.
        "manifest" Manifest {
            /// JSON file with the image names of each part, such as a run's `split.json`.
            file: PathBuf [needs "the JSON file with the names in each part"] resume Free,
        },
    }
    check(split, section) {
        match *split {
            SplitConfig::Folds { folds, fold, .. } | SplitConfig::InnerFolds { folds, fold, .. } if fold >= folds => {
                let last = folds - 1;
                let message = format!("there is no fold {fold}; folds are numbered from 0 to {last}");
                section.wrong("fold", message);
            }
            SplitConfig::Stratified { train, val, test, .. } if (train + val + test - 1.0).abs() > 1e-6 => {
                let sum: f64 = train + val + test;
                let message = format!("train + val + test must be 1, but {train} + {val} + {test} is {sum:.3}");
                section.wrong("train", message);
            }
            _ => {}
        }
    }
}

impl SplitConfig {
    /// The shares of train, val and test that it asks for; nothing where its images are named or counted otherwise.
    pub fn shares(&self) -> Option<[f64; 3]> {
        match *self {
            SplitConfig::Stratified {
                train, val, test, ..
            } => Some([train, val, test]),
            SplitConfig::Folds { folds, val, .. } => {
                let test = 1.0 / folds as f64;
                Some([(1.0 - test) * (1.0 - val), (1.0 - test) * val, test])
            }
            _ => None,
        }
    }

    /// Whether scikit-learn says which images are tested on.
    pub(super) fn is_by_sklearn(&self) -> bool {
        match self {
            SplitConfig::Sklearn { .. } => true,
            SplitConfig::InnerFolds { outer, .. } => outer.is_by_sklearn(),
            _ => false,
        }
    }
}

impl Entry for Box<SplitConfig> {
    fn shape(rule: Rule) -> Shape {
        <SplitConfig as Entry>::shape(rule)
    }

    fn read(slot: Slot, rule: Rule) -> Option<Box<SplitConfig>> {
        SplitConfig::read(slot, rule).map(Box::new)
    }
}
