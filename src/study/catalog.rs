//! What earlier launches left in folders: runs and studies, how far they came, and what could go.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::folder::{self, EXPERIMENT, STUDY, SUMMARY, StudyKind};
use super::ranking::Ranking;
use super::results::{self, Evaluated};
use super::summary::Summary;
use super::trials::Trial;
use crate::config::Experiment;
use crate::config::run::CheckpointConfig;
use crate::data::split::Part;
use crate::disk::{self, FileKind as Entity, Folder, Lock};
use crate::run::checkpoint::Checkpoint;
use crate::run::checkpoints;
use crate::run::retention;
use crate::train::metrics::EpochRecord;

/// A run or a study on disk.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CatalogEntry {
    /// A run directory of its own, not part of a study.
    Run(RunEntry),
    /// Many runs of one experiment.
    Study(StudyEntry),
}

/// One run on disk.
#[derive(Debug, Serialize)]
pub struct RunEntry {
    /// Run or study directory.
    pub path: PathBuf,
    /// Whether it goes on, and whether it could.
    pub state: RunState,
    /// Number of complete epochs.
    pub epochs_done: usize,
    /// Its best epoch so far.
    pub best: Option<EpochRecord>,
    /// Its last epoch so far.
    pub last: Option<EpochRecord>,
    /// The metrics of its best epoch on the test part, if a study has evaluated them.
    pub test: Option<Evaluated>,
    /// Bytes on disk.
    pub bytes: u64,
    /// The experiment it trains.
    #[serde(skip)]
    pub experiment: Experiment,
}

/// What a study found: the document `summary.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Findings {
    /// Of trials on several splits or seeds.
    Resampling(Summary),
    /// Of a sweep.
    Sweep(Ranking),
}

/// One study on disk.
#[derive(Debug, Serialize)]
pub struct StudyEntry {
    /// Run or study directory.
    pub path: PathBuf,
    /// Whether a process works on it.
    pub running: bool,
    /// Its trials that have begun, in its own order.
    pub begun: Vec<RunEntry>,
    /// Names of all its trials.
    pub trials: Vec<String>,
    /// What it found, if it came to its end: `summary.json`.
    pub summary: Option<Findings>,
    /// Bytes on disk.
    pub bytes: u64,
    /// What it varies.
    #[serde(skip)]
    pub varies: StudyKind,
    /// The experiment of its trials, before they differ.
    #[serde(skip)]
    pub experiment: Experiment,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// All epochs are done.
    Complete,
    /// Early stopping ended it.
    StoppedEarly,
    /// `signet resume` would go on with it.
    Unfinished,
    /// A process trains it now.
    Running,
    /// No checkpoint of it can be read.
    Damaged,
}

impl RunState {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Complete => "complete",
            RunState::StoppedEarly => "stopped early",
            RunState::Unfinished => "unfinished",
            RunState::Running => "running",
            RunState::Damaged => "damaged",
        }
    }
}

impl CatalogEntry {
    /// The run or study in `folder`.
    ///
    /// # Errors
    /// A folder that is neither, or that cannot be read.
    pub fn open(folder: &Path) -> Result<CatalogEntry> {
        if folder.join(STUDY).is_file() {
            return StudyEntry::open(folder).map(CatalogEntry::Study);
        }
        if folder.join("resolved.yaml").is_file() {
            return RunEntry::open(folder).map(CatalogEntry::Run);
        }
        bail!(
            "{} is no run and no study; `signet runs list` names those there are",
            folder.display()
        )
    }

    /// Run or study directory.
    pub fn path(&self) -> &Path {
        match self {
            CatalogEntry::Run(run) => &run.path,
            CatalogEntry::Study(study) => &study.path,
        }
    }

    /// The experiment it trains.
    pub fn experiment(&self) -> &Experiment {
        match self {
            CatalogEntry::Run(run) => &run.experiment,
            CatalogEntry::Study(study) => &study.experiment,
        }
    }

    /// The runs in it: itself, or its trials.
    pub fn runs(&self) -> Vec<&RunEntry> {
        match self {
            CatalogEntry::Run(run) => vec![run],
            CatalogEntry::Study(study) => study.begun.iter().collect(),
        }
    }
}

impl RunEntry {
    /// The run in `folder`.
    ///
    /// # Errors
    /// A folder that is no run.
    pub fn open(folder: &Path) -> Result<RunEntry> {
        let experiment = Experiment::load(&folder.join("resolved.yaml"), &[], &[])?;
        let progress = checkpoints::newest(folder).map(|found| found.checkpoint.document.progress);
        let state = match &progress {
            _ if Lock::is_held(folder) => RunState::Running,
            Err(_) => RunState::Damaged,
            Ok(progress) if progress.stopped_early(&experiment) => RunState::StoppedEarly,
            Ok(progress) if progress.complete(&experiment) => RunState::Complete,
            Ok(_) => RunState::Unfinished,
        };
        let progress = progress.ok();
        let best = progress
            .as_ref()
            .and_then(|progress| progress.ranking.first().cloned());
        Ok(RunEntry {
            path: folder.to_owned(),
            state,
            epochs_done: progress.as_ref().map_or(0, |progress| progress.epoch - 1),
            test: best
                .as_ref()
                .and_then(|best| results::known(folder, Part::Test, best)),
            best,
            last: progress.and_then(|progress| progress.last),
            bytes: bytes_in(folder)?,
            experiment,
        })
    }
}

impl StudyEntry {
    /// The study in `folder`.
    ///
    /// # Errors
    /// A folder that is no study.
    pub fn open(folder: &Path) -> Result<StudyEntry> {
        let study = folder::read(folder)?;
        let experiment = Experiment::load(&folder.join(EXPERIMENT), &[], &[])?;
        let begun: Vec<RunEntry> = study
            .trials
            .iter()
            .map(|trial| folder.join(&trial.name))
            .filter(|trial| trial.join("resolved.yaml").is_file())
            .filter_map(|trial| {
                let odd = |error| crate::status!("signet: left out: {error:#}");
                RunEntry::open(&trial).map_err(odd).ok()
            })
            .collect();
        let summary = disk::read_text(&folder.join(SUMMARY));
        Ok(StudyEntry {
            path: folder.to_owned(),
            // Jobs of an array share the study's own lock, but not those of its trials.
            running: Lock::is_held(folder)
                || begun.iter().any(|trial| trial.state == RunState::Running),
            begun,
            trials: study
                .trials
                .into_iter()
                .map(|Trial { name, .. }| name)
                .collect(),
            summary: summary
                .ok()
                .and_then(|text| serde_json::from_str(&text).ok()),
            bytes: bytes_in(folder)?,
            varies: study.kind,
            experiment,
        })
    }

    /// Its trials that have nothing left to do.
    pub fn done(&self) -> usize {
        let done =
            |run: &&RunEntry| matches!(run.state, RunState::Complete | RunState::StoppedEarly);
        self.begun.iter().filter(done).count()
    }
}

/// The runs and studies in `folder` and the folders below it, by name; `folder` itself may be one. What cannot be
/// read is handed to `report` and left out.
///
/// # Errors
/// A folder that cannot be listed.
pub fn find(folder: &Path, report: &mut dyn FnMut(anyhow::Error)) -> Result<Vec<CatalogEntry>> {
    if folder.join(STUDY).is_file() || folder.join("resolved.yaml").is_file() {
        return Ok(CatalogEntry::open(folder)
            .map_err(report)
            .into_iter()
            .collect());
    }
    let place = || {
        format!(
            "cannot list {}; name the folder that holds the runs",
            folder.display()
        )
    };
    let mut below = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        // A link may lead back here.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !hidden {
            below.push(entry.path());
        }
    }
    below.sort();
    let mut found = Vec::new();
    for folder in below {
        match find(&folder, report) {
            Ok(entries) => found.extend(entries),
            Err(error) => report(error),
        }
    }
    Ok(found)
}

/// A file or folder that no rule asks to keep.
#[derive(Debug)]
pub struct Garbage {
    /// The folder it lies in.
    pub folder: Folder,
    /// File name in `folder`.
    pub name: OsString,
    /// What it holds.
    pub bytes: u64,
    /// Why it may go.
    pub why: String,
}

/// What may go from `run`: checkpoints that neither `keep_last` nor `keep_best` names (of the run itself, if they
/// are not given here), damaged ones that were put aside, and what killed processes left unfinished.
///
/// # Errors
/// A folder that cannot be opened or listed.
pub fn garbage(
    run: &Folder,
    rules: &CheckpointConfig,
    keep_last: Option<usize>,
    keep_best: Option<usize>,
) -> Result<Vec<Garbage>> {
    let mut rules = rules.clone();
    rules.keep_last = keep_last.unwrap_or(rules.keep_last);
    rules.keep_best = keep_best.unwrap_or(rules.keep_best);
    let mut found = Vec::new();
    let mut add = |folder: &Folder, name: OsString, why: String| -> Result<()> {
        let path = folder.file(&name);
        let bytes = match folder.kind(&name) {
            Some(Entity::Folder) => bytes_in(&path)?,
            _ => path.symlink_metadata().map_or(0, |found| found.len()),
        };
        let folder = folder.clone();
        found.push(Garbage {
            folder,
            name,
            bytes,
            why,
        });
        Ok(())
    };
    // Without a valid checkpoint nobody can say which of the others is worth keeping.
    if let Ok(newest) = checkpoints::newest(run.path()) {
        let own = run.folder(checkpoints::FOLDER)?;
        let progress = &newest.checkpoint.document.progress;
        let valid = |file: &Path| Checkpoint::load(file).is_ok();
        let steps: Vec<usize> = checkpoints::list(run.path())?
            .into_iter()
            .filter(|(_, file)| valid(file))
            .map(|(step, _)| step)
            .collect();
        for step in retention::superfluous(&steps, progress, &rules) {
            let why = format!(
                "neither of the {} newest nor of the {} best",
                rules.keep_last, rules.keep_best
            );
            add(&own, checkpoints::name_of(step).into(), why)?;
        }
    }
    let within = [checkpoints::FOLDER, "export"].into_iter();
    let within = within.filter(|name| run.kind(name) == Some(Entity::Folder));
    let within = within
        .map(|name| run.folder(name))
        .collect::<Result<Vec<_>>>()?;
    for folder in std::iter::once(run.clone()).chain(within) {
        for name in folder.abandoned(Duration::ZERO)? {
            let why = "unfinished file of a killed process";
            add(&folder, name, why.to_owned())?;
        }
    }
    if run.kind(checkpoints::FOLDER) == Some(Entity::Folder) {
        let own = run.folder(checkpoints::FOLDER)?;
        for name in own.names()? {
            if checkpoints::is_put_aside(&name.to_string_lossy()) {
                add(&own, name, "damaged, set aside by a resume".to_owned())?;
            }
        }
    }
    Ok(found)
}

/// Bytes of all files in `folder` and below; what is removed meanwhile does not count.
fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in disk::entries(folder)? {
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_in(&entry.path())?,
            found => found.map_or(0, |found| found.len()),
        };
    }
    Ok(bytes)
}
