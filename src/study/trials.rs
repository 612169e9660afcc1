//! The trials of a study, each a normal run of the experiment under keys of its own.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::config::Experiment;
use crate::config::data::{DataConfig, SplitConfig};
use crate::config::document::{Document, Problems};
use crate::data::Dataset;
use crate::data::split::{Part, Split};
use crate::model;
use crate::run::session;

/// The most trials of a study, or of a point of a sweep.
const MOST: u64 = 10_000;

/// How images are split again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// `folds` disjoint test parts, split `repeats` times.
    Folds {
        /// Test parts of one split.
        folds: usize,
        /// Number of different splits into folds, at least 1.
        repeats: u64,
    },
    /// `folds` disjoint val parts of all that the experiment's own split does not test on, split `repeats` times.
    InnerFolds {
        /// Val parts of one split.
        folds: usize,
        /// Number of different splits into folds, at least 1.
        repeats: u64,
    },
    /// Random splits, each of the kind the experiment names.
    Holdout {
        /// Number of random splits, at least 1.
        splits: u64,
    },
    /// The experiment's own split, under other seeds.
    Seeds {
        /// Values of `seed`, one trial each.
        seeds: Vec<u64>,
    },
}

impl Resampling {
    /// How many trials that makes.
    fn count(&self) -> u64 {
        match self {
            Resampling::Folds { folds, repeats } | Resampling::InnerFolds { folds, repeats } => {
                repeats.saturating_mul(*folds as u64)
            }
            Resampling::Holdout { splits } => *splits,
            Resampling::Seeds { seeds } => seeds.len() as u64,
        }
    }

    /// The part of each trial that the study's metrics are computed on.
    pub fn part(&self) -> Part {
        match self {
            Resampling::InnerFolds { .. } => Part::Val,
            _ => Part::Test,
        }
    }
}

/// One run of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Names its folder.
    pub name: String,
    /// Keys laid over the experiment, `key=value`.
    pub overrides: Vec<String>,
}

/// The trials of `experiment` under `resampling`.
///
/// # Errors
/// A split that cannot be split again: a manifest names its images. More trials than anybody waits for.
pub fn plan(experiment: &Experiment, resampling: &Resampling) -> Result<Vec<Trial>, String> {
    if resampling.count() > MOST {
        return Err(format!(
            "{} trials are more than the {MOST} that a study may have",
            resampling.count()
        ));
    }
    let split = &experiment.data.split;
    match resampling {
        Resampling::Folds { folds, repeats } => {
            let val = match *split {
                SplitConfig::Stratified { val, test, .. } => val / (1.0 - test),
                SplitConfig::Sklearn { val, .. } | SplitConfig::Folds { val, .. } => val,
                SplitConfig::InnerFolds { .. }
                | SplitConfig::Manifest { .. }
                | SplitConfig::AsFound {} => 0.15,
            };
            let split = |repeat, fold| {
                format!(
                    "{{kind: folds, folds: {folds}, fold: {fold}, repeat: {repeat}, val: {val}}}"
                )
            };
            Ok(resamplings(*folds, *repeats, split))
        }
        Resampling::InnerFolds { folds, repeats } => {
            let outer = match split {
                SplitConfig::InnerFolds { outer, .. } => outer,
                other => other,
            };
            // JSON, because it is YAML on one line.
            let outer = serde_json::to_string(outer).expect("a split is plain data");
            let split = |repeat, fold| {
                format!(
                    "{{kind: inner_folds, folds: {folds}, fold: {fold}, repeat: {repeat}, outer: {outer}}}"
                )
            };
            Ok(resamplings(*folds, *repeats, split))
        }
        Resampling::Holdout { splits } => {
            let key = match split {
                SplitConfig::Stratified { .. } => "repeat",
                SplitConfig::Sklearn { .. } => "random_state",
                _ => {
                    return Err(
                        "--holdout needs data.split of kind stratified or sklearn; use --folds for other kinds"
                            .to_owned(),
                    );
                }
            };
            let trial = |split| Trial {
                name: format!("split-{split:02}"),
                overrides: vec![format!("data.split.{key}={split}")],
            };
            Ok((0..*splits).map(trial).collect())
        }
        Resampling::Seeds { seeds } => {
            let trial = |seed| Trial {
                name: format!("seed-{seed}"),
                overrides: vec![format!("seed={seed}")],
            };
            Ok(seeds.iter().map(trial).collect())
        }
    }
}

/// The experiment `base` with `overrides` laid over it, under all rules that need no images.
///
/// # Errors
/// Everything that is wrong with it.
pub fn experiment(base: &Experiment, overrides: &[String]) -> Result<Experiment, Problems> {
    let document = Document::parse(base.name.clone(), base.to_yaml(), overrides)?;
    Experiment::from_document(&document, Path::new("trial"), &[model::plan::check])
}

/// Makes sure before the first trial starts that all can: images are read and split, layers and batches fit.
///
/// # Errors
/// The first trial that cannot start, by name.
pub fn check(base: &Experiment, trials: &[Trial]) -> anyhow::Result<()> {
    let mut loaded: Option<(DataConfig, Dataset)> = None;
    for trial in trials {
        let own = experiment(base, &trial.overrides)?;
        let name = || trial.name.clone();
        let images = DataConfig {
            split: base.data.split.clone(),
            ..own.data.clone()
        };
        let data = match loaded {
            Some((known, data)) if known == images => data,
            _ => Dataset::load(&images).with_context(name)?,
        };
        let split = Split::new(&data.index, &own.data.split, own.seed);
        session::fit(&own, &data.index, &split.with_context(name)?, 1).with_context(name)?;
        loaded = Some((images, data));
    }
    Ok(())
}

/// A trial for every fold of every split; `split` writes `data.split` of (repeat, fold).
fn resamplings(folds: usize, repeats: u64, split: impl Fn(u64, usize) -> String) -> Vec<Trial> {
    let all = (0..repeats).flat_map(|repeat| (0..folds).map(move |fold| (repeat, fold)));
    let trial = |(repeat, fold)| Trial {
        name: match repeats {
            1 => format!("fold-{fold:02}"),
            _ => format!("repeat-{repeat:02}-fold-{fold:02}"),
        },
        overrides: vec![format!("data.split={}", split(repeat, fold))],
    };
    all.map(trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_deals_another_split_and_keeps_the_rest() {
        let text = "version: 1\ndata: {source: {kind: generated}, split: {kind: KIND}}\nmodel: {kind: ann}\n";
        let cases = [
            (
                "stratified",
                Resampling::Folds {
                    folds: 3,
                    repeats: 1,
                },
                vec!["fold-00", "fold-01", "fold-02"],
            ),
            (
                "sklearn, val: 0.1",
                Resampling::Folds {
                    folds: 2,
                    repeats: 2,
                },
                vec![
                    "repeat-00-fold-00",
                    "repeat-00-fold-01",
                    "repeat-01-fold-00",
                    "repeat-01-fold-01",
                ],
            ),
            (
                "sklearn, val: 0.1",
                Resampling::InnerFolds {
                    folds: 2,
                    repeats: 1,
                },
                vec!["fold-00", "fold-01"],
            ),
            (
                "stratified",
                Resampling::Holdout { splits: 2 },
                vec!["split-00", "split-01"],
            ),
            (
                "sklearn",
                Resampling::Holdout { splits: 2 },
                vec!["split-00", "split-01"],
            ),
        ];
        for (kind, resampling, names) in cases {
            let text = text.replace("KIND", kind);
            let load = |overrides: &[String]| {
                let document = Document::parse("test".into(), text.clone(), overrides).unwrap();
                Experiment::from_document(&document, Path::new("test.yaml"), &[]).unwrap()
            };
            let base = load(&[]);
            let trials = plan(&base, &resampling).unwrap();
            let found: Vec<&str> = trials.iter().map(|trial| trial.name.as_str()).collect();
            assert_eq!(found, names);
            let mut splits = Vec::new();
            for trial in &trials {
                let mut experiment = load(&trial.overrides);
                assert!(
                    !splits.contains(&experiment.data.split),
                    "{kind}: {}",
                    trial.name
                );
                splits.push(experiment.data.split.clone());
                experiment.data.split = base.data.split.clone();
                assert_eq!(experiment, base);
            }
        }
    }
}
