//! Everything a page or a plot says about one run, gathered from its directory, and from its images where they are at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Map, Value};

use super::examination::{Examination, NamedImages, Unexamined};
use super::plots::{self, CurveMarks, Plot};
use super::verdicts::Verdicts;
use crate::config::Experiment;
use crate::config::document::Document;
use crate::data::split::{Manifest, Part};
use crate::export::artefacts;
use crate::run::directory::RunDir;
use crate::run::environment::LaunchRecord;
use crate::run::history::History;
use crate::run::resume::Parent;
use crate::run::{changes, checkpoints, logs, timing};
use crate::study::catalog::RunState;
use crate::train::metrics::EpochRecord;
use crate::train::progress;

/// A run, as it is told of.
pub struct RunReport {
    /// Its directory.
    pub path: PathBuf,
    /// What it trains.
    pub experiment: Experiment,
    /// Whether it goes on.
    pub state: RunState,
    /// Its best epoch so far.
    pub best: Option<EpochRecord>,
    /// Every epoch that ended.
    pub records: Vec<EpochRecord>,
    /// What is marked on its curves.
    pub marks: CurveMarks,
    /// Seconds of all its epochs together.
    pub seconds: f64,
    /// Its last launch.
    pub launch: Option<LaunchRecord>,
    /// Where it branched off.
    pub parent: Option<Parent>,
    /// Which images are in which part.
    pub split: Option<Manifest>,
    /// What the epochs made of each image of the val part.
    pub history: History,
    /// Its settings.
    pub settings: Vec<RunSetting>,
    /// What gates found of its artefacts, by format.
    pub artefacts: Map<String, Value>,
    /// SHA-256 of the weights of its best epoch.
    pub best_weights: Option<String>,
    /// What its weights make of images: of its best epoch where the images were at hand, else what `samples.jsonl` says.
    pub verdicts: Option<Verdicts>,
    /// What its images showed, or why they were not looked at.
    pub examined: Result<Examination, Unexamined>,
}

/// A setting of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSetting {
    /// Dotted key.
    pub key: String,
    /// Its value, on one line.
    pub value: String,
    /// What it would be if nobody had set it, where somebody did and it differs.
    pub instead_of: Option<String>,
}

impl RunReport {
    /// Of the run in `folder`, which is in that `state`, with what was `examined`.
    ///
    /// # Errors
    /// A directory that is no run, or logs that cannot be read.
    pub fn gather(
        folder: &RunDir,
        state: RunState,
        examined: Result<Examination, Unexamined>,
    ) -> Result<RunReport> {
        let path = folder.path();
        let experiment = Experiment::load(&folder.file("resolved.yaml"), &[], &[])?;
        let records = logs::read(path)?;
        let best = progress::best(records.clone(), &experiment.checkpoint);
        let best_epoch = best.as_ref().map(|best| best.epoch);
        let times = timing::read(path);
        let resumed = times
            .windows(2)
            .filter(|pair| pair[0].launch != pair[1].launch)
            .map(|pair| pair[1].epoch);
        // While a training goes on, what its last epoch made of images is news.
        let told_of = if state == RunState::Running {
            None
        } else {
            best_epoch
        };
        let until = records.last().map_or(0, |last| last.epoch);
        let history = History::read(path, Part::Val, until, told_of)?;
        let verdicts = match &examined {
            Ok(examined) => Some(examined.verdicts.clone()),
            Err(unexamined) => Verdicts::of_samples(&history.records, &unexamined.classes),
        };
        Ok(RunReport {
            path: path.to_owned(),
            marks: CurveMarks {
                best: best_epoch,
                resumed: resumed.collect(),
            },
            seconds: times.iter().map(|timing| timing.seconds).sum(),
            launch: LaunchRecord::read(path),
            parent: Parent::read(path),
            split: Manifest::read(&path.join("split.json")).ok(),
            settings: settings(folder, &experiment),
            best_weights: checkpoints::pointer(path, checkpoints::BEST)
                .map(|best| best.weights_sha256),
            artefacts: artefacts::known_parity(&artefacts::own_folder(folder)),
            experiment,
            state,
            best,
            records,
            history,
            verdicts,
            examined,
        })
    }

    /// Images that can be shown.
    pub fn images(&self) -> &NamedImages {
        match &self.examined {
            Ok(examined) => &examined.images,
            Err(unexamined) => &unexamined.images,
        }
    }

    /// Every plot there is something to draw for.
    pub fn plots(&self) -> Vec<Plot> {
        let (records, marks) = (&self.records, &self.marks);
        let mut plots: Vec<Plot> = [
            plots::loss(records, marks),
            plots::accuracy(records, marks),
            plots::learning_rate(records, marks),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Some(verdicts) = &self.verdicts {
            let part = verdicts.part.word();
            plots.push(plots::confusion(
                part,
                &verdicts.classes,
                &verdicts.confusion(),
            ));
            if let Some(thresholds) = verdicts.thresholds() {
                plots.push(plots::roc(&thresholds, &verdicts.classes[1]));
                plots.push(plots::precision_recall(&thresholds, &verdicts.classes[1]));
            }
            plots.extend(
                verdicts
                    .calibration()
                    .map(|found| plots::reliability(&found, part)),
            );
        }
        if let Ok(examined) = &self.examined {
            plots.extend(examined.sheets());
        }
        plots
    }
}

/// The settings of the run in `folder`, marked where somebody set them to something else than what is usual.
fn settings(folder: &RunDir, experiment: &Experiment) -> Vec<RunSetting> {
    let written = Document::open(&folder.file("config.yaml"), &[]).ok();
    let usual = usual(experiment)
        .map(|usual| changes::settings(&usual))
        .unwrap_or_default();
    let at_first = written.as_ref().and_then(|document| {
        let first = Experiment::from_document(document, Path::new("config.yaml"), &[]);
        first.ok().map(|first| changes::settings(&first))
    });
    let setting = |(key, value): (String, String)| {
        let usual = usual.get(&key);
        // What was left to the machine is settled by it, and was chosen by nobody.
        let overridden = |first: &BTreeMap<String, String>| {
            first
                .get(&key)
                .is_none_or(|then| *then != value && then != "auto")
        };
        let was_set = written
            .as_ref()
            .is_none_or(|document| document.origin(&key).is_some())
            || at_first.as_ref().is_some_and(overridden);
        let chosen = was_set && usual != Some(&value);
        RunSetting {
            instead_of: chosen.then(|| usual.cloned().unwrap_or_default()),
            key,
            value,
        }
    };
    changes::settings(experiment)
        .into_iter()
        .map(setting)
        .collect()
}

/// The experiment that has of `experiment` only what has to be written.
fn usual(experiment: &Experiment) -> Option<Experiment> {
    let kind = serde_json::to_value(&experiment.model).ok()?["kind"].clone();
    let source = serde_json::to_value(&experiment.data.source).ok()?;
    let needed = serde_json::json!({"version": experiment.version, "data": {"source": source}, "model": {"kind": kind}});
    let document = Document::parse("usual".to_owned(), needed.to_string(), &[]).ok()?;
    // Its name is that of its file, where nobody gives it one.
    let file = format!("{}.yaml", experiment.name);
    Experiment::from_document(&document, Path::new(&file), &[]).ok()
}
