//! The trials of a study, each a normal run of the experiment under keys of its own.

use serde::{Deserialize, Serialize};

use crate::config::Experiment;
use crate::config::data::SplitConfig;

/// How pictures are dealt again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deal {
    /// `folds` disjoint test parts, dealt `repeats` times.
    Folds {
        /// Test parts of one dealing.
        folds: usize,
        /// Dealings.
        repeats: u64,
    },
    /// Random splits, each of the kind the experiment names.
    Holdout {
        /// How many.
        splits: u64,
    },
}

/// One run of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Names its folder.
    pub name: String,
    /// Keys laid over the experiment, `key=value`.
    pub overrides: Vec<String>,
}

/// The trials of `experiment` under `deal`.
///
/// # Errors
/// A split that cannot be dealt again: a manifest names its pictures.
pub fn plan(experiment: &Experiment, deal: Deal) -> Result<Vec<Trial>, String> {
    let val = match experiment.data.split {
        SplitConfig::Stratified { val, test, .. } => val / (1.0 - test),
        SplitConfig::Sklearn { val, .. } | SplitConfig::Folds { val, .. } => val,
        SplitConfig::Manifest { .. } => 0.15,
    };
    match deal {
        Deal::Folds { folds, repeats } => {
            let all = (0..repeats).flat_map(|repeat| (0..folds).map(move |fold| (repeat, fold)));
            let trial = |(repeat, fold): (u64, usize)| Trial {
                name: match repeats {
                    1 => format!("fold-{fold:02}"),
                    _ => format!("repeat-{repeat:02}-fold-{fold:02}"),
                },
                overrides: vec![format!(
                    "data.split={{kind: folds, folds: {folds}, fold: {fold}, val: {val}, repeat: {repeat}}}"
                )],
            };
            Ok(all.map(trial).collect())
        }
        Deal::Holdout { splits } => {
            let key = match experiment.data.split {
                SplitConfig::Stratified { .. } => "repeat",
                SplitConfig::Sklearn { .. } => "random_state",
                SplitConfig::Folds { .. } | SplitConfig::Manifest { .. } => {
                    return Err(
                        "--holdout deals stratified and sklearn splits again, and data.split is of another kind; use --folds"
                            .to_owned(),
                    );
                }
            };
            let trial = |split| Trial {
                name: format!("split-{split:02}"),
                overrides: vec![format!("data.split.{key}={split}")],
            };
            Ok((0..splits).map(trial).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::document::Document;

    #[test]
    fn every_trial_deals_another_split_and_keeps_the_rest() {
        let text = "version: 1\ndata: {source: {kind: generated}, split: {kind: KIND}}\nmodel: {kind: ann}\n";
        let cases = [
            (
                "stratified",
                Deal::Folds {
                    folds: 3,
                    repeats: 1,
                },
                vec!["fold-00", "fold-01", "fold-02"],
            ),
            (
                "sklearn, val: 0.1",
                Deal::Folds {
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
                "stratified",
                Deal::Holdout { splits: 2 },
                vec!["split-00", "split-01"],
            ),
            (
                "sklearn",
                Deal::Holdout { splits: 2 },
                vec!["split-00", "split-01"],
            ),
        ];
        for (kind, deal, names) in cases {
            let text = text.replace("KIND", kind);
            let load = |overrides: &[String]| {
                let document = Document::parse("test".into(), text.clone(), overrides).unwrap();
                Experiment::from_document(&document, Path::new("test.yaml"), &[]).unwrap()
            };
            let base = load(&[]);
            let trials = plan(&base, deal).unwrap();
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
