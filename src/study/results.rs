//! What single trials give: metrics on a part of the data that no choice has looked at (`Evaluated`), or the metric
//! that choices are made by (`Score`), or, to a sweep, that they diverged. All are read from the trial's own folder, so
//! that a study can ask again after any interruption.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::folder::EXPERIMENT;
use crate::bridge::process;
use crate::config::Experiment;
use crate::data::split::{Manifest, Part};
use crate::disk::{self, Folder};
use crate::run::checkpoints;
use crate::run::directory::{DIVERGED, evaluation_of};
use crate::run::logs;
use crate::train::evaluation::Evaluation;
use crate::train::metrics::EpochRecord;
use crate::train::progress::{self, Progress};

/// What is shown of trials while a study runs.
pub trait TrialResult: Serialize {
    /// Whose they are.
    fn trial(&self) -> &str;

    /// One trial, in a few words.
    fn line(&self) -> String;

    /// All so far, in a few words.
    fn together(so_far: &[Self]) -> String
    where
        Self: Sized;
}

/// What one trial gave on a part of its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// Name of the trial, which is its folder's.
    pub trial: String,
    /// The step of the weights that were evaluated: those of its best epoch.
    pub step: usize,
    /// Share of the part that was recognised.
    pub accuracy: f64,
    /// Mean cross-entropy there.
    pub loss: f64,
    /// Images in it.
    #[serde(alias = "pictures")] // as version 0.2 says
    pub images: usize,
    /// Names of those taken for something else.
    pub wrong: Vec<String>,
}

impl TrialResult for Evaluated {
    fn trial(&self) -> &str {
        &self.trial
    }

    fn line(&self) -> String {
        format!("accuracy {:6.2} %", 100.0 * self.accuracy)
    }

    fn together(so_far: &[Evaluated]) -> String {
        let sum: f64 = so_far.iter().map(|evaluated| evaluated.accuracy).sum();
        format!("mean accuracy {:6.2} %", 100.0 * sum / so_far.len() as f64)
    }
}

/// The metrics of the trial in `folder` on `part`, kept in its folder once they are known; none while it has
/// not been trained to its end.
///
/// # Errors
/// A trial that cannot be evaluated.
pub fn evaluate(folder: &Path, part: Part) -> Result<Option<Evaluated>> {
    let Some(progress) = trained(folder) else {
        return Ok(None);
    };
    let best = progress.ranking.first().context("no epoch has ended")?;
    if let Some(known) = known(folder, part, best) {
        return Ok(Some(known));
    }
    let evaluation: Evaluation = serde_json::from_slice(&eval(folder, part, "--json")?)?;
    let evaluated = Evaluated {
        trial: name_of(folder),
        step: best.step,
        accuracy: evaluation.accuracy,
        loss: evaluation.loss,
        images: evaluation.images,
        wrong: evaluation.wrong.into_iter().map(|made| made.name).collect(),
    };
    keep(folder, &evaluation_of(part), &evaluated)?;
    Ok(Some(evaluated))
}

/// The same, if it is known already.
pub fn evaluated(folder: &Path, part: Part) -> Option<Evaluated> {
    known(folder, part, trained(folder)?.ranking.first()?)
}

/// Keeps a document in the trial in `folder`.
fn keep(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    let (study, trial) = Folder::above(folder)?;
    study.folder(trial)?.write_whole(name, text.as_bytes())
}

/// What `signet eval` writes of the trial in `folder` with that `flag`.
fn eval(folder: &Path, part: Part, flag: &str) -> Result<Vec<u8>> {
    let output = process::own_program()?
        .arg("eval")
        .arg(folder)
        .args(moved(folder))
        .args([flag, "-", "--part", part.word()])
        .output()?;
    ensure!(
        output.status.success(),
        "it cannot be evaluated: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}

/// The probabilities of the classes that the trial in `folder` gives each image of `part`, by its name.
///
/// # Errors
/// A trial that cannot be evaluated.
pub fn probabilities(folder: &Path, part: Part) -> Result<Vec<(String, Vec<f64>)>> {
    let table = eval(folder, part, "--csv")?;
    let mut reader = csv::Reader::from_reader(&table[..]);
    let rows = reader.records().map(|row| {
        let row = row?;
        // Image, label, prediction, and a probability for each class.
        let numbers = row.iter().skip(3).map(str::parse);
        Ok((row[0].to_owned(), numbers.collect::<Result<_, _>>()?))
    });
    rows.collect()
}

/// Where the data of the trial in `folder` lies by now, if it has moved: where the study's own does.
fn moved(folder: &Path) -> Vec<String> {
    let source = |file: PathBuf| Some(Experiment::load(&file, &[], &[]).ok()?.data.source);
    let own = source(folder.join("resolved.yaml"));
    let study = folder
        .parent()
        .and_then(|study| source(study.join(EXPERIMENT)));
    match (own, study) {
        (Some(own), Some(study)) if !own.lies_in(Path::new("")) && study.lies_in(Path::new("")) => {
            vec!["-s".to_owned(), study.as_override()]
        }
        _ => Vec::new(),
    }
}

/// The metrics of the run in `folder` on `part` that are kept there, if they are those of its `best` epoch still.
pub fn known(folder: &Path, part: Part, best: &EpochRecord) -> Option<Evaluated> {
    let text = disk::read_text(&kept(folder, part)).ok()?;
    let evaluated: Evaluated = serde_json::from_str(&text).ok()?;
    (evaluated.step == best.step).then_some(evaluated)
}

fn kept(folder: &Path, part: Part) -> PathBuf {
    folder.join(evaluation_of(part))
}

/// How far a trial has come by the metric that choices are made by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the trial, which is its folder's.
    pub trial: String,
    /// Epochs it was trained for.
    pub epochs: usize,
    /// The best of them.
    pub best: EpochRecord,
    /// `checkpoint.metric` there.
    pub value: f64,
}

/// A trial whose loss was not finite; the document `diverged.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diverged {
    /// Name of the trial, which is its folder's.
    pub trial: String,
    /// The step of its newest checkpoint then; once there is a newer one, it has been trained otherwise.
    pub step: usize,
    /// What it said last.
    pub why: String,
}

/// What a trial of a sweep came to. To diverge is an answer, too, where settings are tried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SweepResult {
    /// It was trained as far as it should.
    Score(Score),
    /// It cannot be.
    Diverged(Diverged),
}

impl SweepResult {
    /// Its score, if it has one.
    pub fn score(&self) -> Option<&Score> {
        match self {
            SweepResult::Score(score) => Some(score),
            SweepResult::Diverged(_) => None,
        }
    }
}

impl TrialResult for SweepResult {
    fn trial(&self) -> &str {
        match self {
            SweepResult::Score(score) => &score.trial,
            SweepResult::Diverged(diverged) => &diverged.trial,
        }
    }

    fn line(&self) -> String {
        match self {
            SweepResult::Score(score) => {
                format!("reached {:.4} in {} epochs", score.value, score.epochs)
            }
            SweepResult::Diverged(_) => "diverged".to_owned(),
        }
    }

    fn together(so_far: &[SweepResult]) -> String {
        let scores: Vec<&Score> = so_far.iter().filter_map(SweepResult::score).collect();
        let sum: f64 = scores.iter().map(|score| score.value).sum();
        match (scores.len(), so_far.len() - scores.len()) {
            (0, _) => "all diverged".to_owned(),
            (count, 0) => format!("mean {:.4}", sum / count as f64),
            (count, diverged) => format!("mean {:.4}, {diverged} diverged", sum / count as f64),
        }
    }
}

/// What the trial in `folder` came to within `until` epochs: its [`score`], or that it diverged; none while it has not been
/// trained so far.
///
/// # Errors
/// As [`score`].
pub fn sweep_result(folder: &Path, until: usize) -> Result<Option<SweepResult>> {
    let score = score(folder, until)?.map(SweepResult::Score);
    Ok(score.or_else(|| divergence(folder).map(SweepResult::Diverged)))
}

/// That the trial in `folder` diverged, if it is so still.
fn divergence(folder: &Path) -> Option<Diverged> {
    let text = disk::read_text(&folder.join(DIVERGED)).ok()?;
    let known: Diverged = serde_json::from_str(&text).ok()?;
    (known.step == newest_step(folder).ok()?).then_some(known)
}

/// Keeps in the trial in `folder` that it diverged, and `why`: training it again would only show that again.
///
/// # Errors
/// A trial without a checkpoint, a disk that is full or cannot be written.
pub fn keep_divergence(folder: &Path, why: &str) -> Result<()> {
    let diverged = Diverged {
        trial: name_of(folder),
        step: newest_step(folder)?,
        why: why.to_owned(),
    };
    keep(folder, DIVERGED, &diverged)
}

fn newest_step(folder: &Path) -> Result<usize> {
    let newest = checkpoints::newest(folder)?;
    Ok(newest.checkpoint.document.progress.step)
}

/// What the trial in `folder` had reached after `until` epochs, or at its end if that came first; none while
/// it has not been trained so far. Later epochs are not looked at.
///
/// # Errors
/// A metrics log that cannot be read.
pub fn score(folder: &Path, until: usize) -> Result<Option<Score>> {
    let mut records = logs::read(folder)?;
    if records.len() < until && trained(folder).is_none() {
        return Ok(None);
    }
    records.truncate(until);
    let experiment = Experiment::load(&folder.join("resolved.yaml"), &[], &[])?;
    let epochs = records.len();
    let best = progress::best(records, &experiment.checkpoint)
        .with_context(|| format!("{} has no metrics", folder.display()))?;
    let metric = experiment.checkpoint.metric;
    let value = best.get(metric).context("the metric needs a val part")?;
    Ok(Some(Score {
        trial: name_of(folder),
        epochs,
        best,
        value,
    }))
}

/// Whether the run in `folder` has a test part.
///
/// # Errors
/// A run without a split that can be read.
pub fn holds_back(folder: &Path) -> Result<bool> {
    Ok(!Manifest::read(&folder.join("split.json"))?.test.is_empty())
}

/// Where the run in `folder` stands, if it has nothing left to do.
fn trained(folder: &Path) -> Option<Progress> {
    let own = Experiment::load(&folder.join("resolved.yaml"), &[], &[]).ok()?;
    let newest = checkpoints::newest(folder).ok()?;
    let progress = newest.checkpoint.document.progress;
    progress.complete(&own).then_some(progress)
}

fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
