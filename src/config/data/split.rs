//! `data.split`: how images are split into train, val and test.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::section::Section;
use crate::config::setting::{at_least, below, between};

/// How images are split.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SplitConfig {
    /// The same shares of every class, split by the experiment's seed.
    Stratified {
        /// Share of the training part.
        train: f64,
        /// Share that early stopping and the choice of the best model look at.
        val: f64,
        /// Share that is looked at once, at the end.
        test: f64,
        /// Which of many such splits; the seed alone decides the first one.
        repeat: u64,
    },
    /// One of K splits whose test parts are disjoint and together everything.
    Folds {
        /// How many; each holds the same share of every class, give or take an image.
        folds: usize,
        /// Which one is the test part, from 0.
        fold: usize,
        /// Share of the others that becomes the val part.
        val: f64,
        /// Which of many such resamplings.
        repeat: u64,
    },
    /// One of K splits whose val parts are disjoint and together all that `outer` does not test on, for choosing
    /// settings; the test part is that of `outer`, which no choice has looked at.
    InnerFolds {
        /// How many; each holds the same share of every class, give or take an image.
        folds: usize,
        /// Which one is the val part, from 0.
        fold: usize,
        /// Which of many such resamplings.
        repeat: u64,
        /// Holds the test part back.
        outer: Box<SplitConfig>,
    },
    /// scikit-learn's `train_test_split(test_size, random_state)`, index for index.
    Sklearn {
        /// `test_size`.
        test: f64,
        /// Share of the remaining training part split off by a second such call; 0 for no val part.
        val: f64,
        /// numpy's seed.
        random_state: u64,
    },
    /// A JSON file with the names in each part, such as the `split.json` of a run.
    Manifest {
        /// JSON file with the image names of each part, such as a run's `split.json`.
        file: PathBuf,
    },
}

impl SplitConfig {
    pub(super) fn read(mut section: Section) -> SplitConfig {
        let kinds = ["stratified", "folds", "inner_folds", "sklearn", "manifest"];
        match section.kind(&kinds, Some("stratified")) {
            Some("folds") => {
                let [folds, fold] = read_fold(&mut section);
                SplitConfig::Folds {
                    folds,
                    fold,
                    val: section.get_if("val", 0.15, below(0.0, 1.0)),
                    repeat: section.get("repeat", 0),
                }
            }
            Some("inner_folds") => {
                let [folds, fold] = read_fold(&mut section);
                SplitConfig::InnerFolds {
                    folds,
                    fold,
                    repeat: section.get("repeat", 0),
                    outer: Box::new(SplitConfig::read(section.section("outer"))),
                }
            }
            Some("sklearn") => SplitConfig::Sklearn {
                test: section.get_if("test", 0.15, between(0.001, 0.999)),
                val: section.get_if("val", 0.0, below(0.0, 1.0)),
                random_state: section.get_if("random_state", 42, |seed| {
                    match u32::try_from(*seed) {
                        Ok(_) => Ok(()),
                        Err(_) => Err("a numpy seed, at most 4294967295".to_owned()),
                    }
                }),
            },
            Some("manifest") => SplitConfig::Manifest {
                file: section
                    .required("file", "the JSON file with the names in each part")
                    .unwrap_or_default(),
            },
            _ => {
                let train = section.get_if("train", 0.70, between(0.001, 1.0));
                let val = section.get_if("val", 0.15, below(0.0, 1.0));
                let test = section.get_if("test", 0.15, below(0.0, 1.0));
                let sum: f64 = train + val + test;
                if (sum - 1.0).abs() > 1e-6 {
                    let message = format!(
                        "train + val + test must be 1, but {train} + {val} + {test} is {sum:.3}"
                    );
                    section.wrong("train", message);
                }
                SplitConfig::Stratified {
                    train,
                    val,
                    test,
                    repeat: section.get("repeat", 0),
                }
            }
        }
    }
}

/// `folds` and `fold`.
fn read_fold(section: &mut Section) -> [usize; 2] {
    let folds = section.get_if("folds", 5, at_least(2));
    let fold = section.get("fold", 0);
    if fold >= folds {
        let last = folds - 1;
        section.wrong(
            "fold",
            format!("there is no fold {fold}; folds are numbered from 0 to {last}"),
        );
    }
    [folds, fold]
}
