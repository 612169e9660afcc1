//! Runs and studies side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::catalog::{CatalogEntry, RunEntry};
use super::folder::StudyKind;
use super::results::{self, Evaluated};
use super::statistics::{Paired, Spread};
use crate::data::split::{Manifest, Part};
use crate::run::changes;

/// Some runs or studies, compared with the first of them.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Settings that are not the same in all.
    pub settings: Vec<ComparedSetting>,
    /// The metrics of each, a column each.
    #[serde(rename = "figures")]
    pub columns: Vec<Column>,
}

/// A setting in which runs or studies differ.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ComparedSetting {
    /// Dotted key, such as `train.optimizer.lr`.
    pub key: String,
    /// Its value in each; none where it is not set.
    pub values: Vec<Option<String>>,
}

/// The metrics of one run or study.
#[derive(Debug, Serialize)]
pub struct Column {
    /// Run or study directory.
    pub path: PathBuf,
    /// Epochs done; of a study, of all its trials together.
    pub epochs: usize,
    /// Share recognised of the train part at the best epoch; of a study, over its trials.
    pub train_accuracy: Option<Spread>,
    /// The same of the val part.
    pub val_accuracy: Option<Spread>,
    /// Mean loss on the val part there.
    pub val_loss: Option<Spread>,
    /// Accuracy (0..1) on the part that the study evaluates, test or val.
    pub judged: Option<Spread>,
    /// How much better it is than the first on the same images, split by split; none for the first, for
    /// single runs, and for studies that share fewer than two splits.
    pub paired: Option<Paired>,
}

impl Comparison {
    /// Of `entries`, with the first of them.
    pub fn of(entries: &[CatalogEntry]) -> Comparison {
        let first = entries.first().map(judged);
        let column = |(index, entry): (usize, &CatalogEntry)| {
            let own = judged(entry);
            let paired = first
                .as_ref()
                .filter(|_| index > 0)
                .and_then(|first| paired(first, &own));
            Column::of(entry, &own, paired)
        };
        Comparison {
            settings: settings(entries),
            columns: entries.iter().enumerate().map(column).collect(),
        }
    }
}

impl Column {
    fn of(entry: &CatalogEntry, judged: &[OnSplit], paired: Option<Paired>) -> Column {
        let runs = entry.runs();
        let spread = |metric: &dyn Fn(&RunEntry) -> Option<f64>| {
            let found: Vec<f64> = runs.iter().filter_map(|run| metric(run)).collect();
            (!found.is_empty()).then(|| Spread::of(&found))
        };
        let best = |run: &RunEntry| run.best.clone();
        let accuracies: Vec<f64> = judged.iter().map(|on| on.accuracy).collect();
        Column {
            path: entry.path().to_owned(),
            epochs: runs.iter().map(|run| run.epochs_done).sum(),
            train_accuracy: spread(&|run| best(run).map(|best| best.train.accuracy)),
            val_accuracy: spread(&|run| best(run)?.val.map(|val| val.accuracy)),
            val_loss: spread(&|run| best(run)?.val.map(|val| val.loss)),
            judged: (!accuracies.is_empty()).then(|| Spread::of(&accuracies)),
            paired,
        }
    }
}

/// The settings in which `entries` differ.
fn settings(entries: &[CatalogEntry]) -> Vec<ComparedSetting> {
    let all: Vec<BTreeMap<String, String>> = entries
        .iter()
        .map(|entry| changes::settings(entry.experiment()))
        .collect();
    let keys: BTreeMap<&String, ()> = all.iter().flatten().map(|(key, _)| (key, ())).collect();
    let setting = |key: &String| ComparedSetting {
        key: key.clone(),
        values: all
            .iter()
            .map(|settings| settings.get(key).cloned())
            .collect(),
    };
    let differs = |setting: &ComparedSetting| {
        setting
            .values
            .iter()
            .any(|value| *value != setting.values[0])
    };
    keys.into_keys().map(setting).filter(differs).collect()
}

/// The accuracy of one trial, and the images it is of.
struct OnSplit {
    accuracy: f64,
    /// Names of the images judged, sorted.
    images: Vec<String>,
    /// Images the trial learned from or chose its epoch by.
    learned: usize,
}

/// What the trials of a study made of the part it judges; nothing for single runs and sweeps.
fn judged(entry: &CatalogEntry) -> Vec<OnSplit> {
    let CatalogEntry::Study(study) = entry else {
        return Vec::new();
    };
    let StudyKind::Resampling(resampling) = &study.varies else {
        return Vec::new();
    };
    let part = resampling.part();
    let on_split = |run: &RunEntry| {
        let Evaluated { accuracy, .. } = results::known(&run.path, part, run.best.as_ref()?)?;
        let split = Manifest::read(&run.path.join("split.json")).ok()?;
        let (mut images, learned) = match part {
            Part::Val => (split.val, split.train.len()),
            _ => (split.test, split.train.len() + split.val.len()),
        };
        images.sort();
        Some(OnSplit {
            accuracy,
            images,
            learned,
        })
    };
    study.begun.iter().filter_map(on_split).collect()
}

/// The differences, `other` minus `first`, where both were judged on the same images.
fn paired(first: &[OnSplit], other: &[OnSplit]) -> Option<Paired> {
    let mut differences = Vec::new();
    let (mut learned, mut tested) = (0, 0);
    for own in other {
        let same = first.iter().find(|on| on.images == own.images);
        if let Some(same) = same {
            differences.push(own.accuracy - same.accuracy);
            learned += own.learned;
            tested += own.images.len();
        }
    }
    Paired::of(&differences, learned, tested)
}
