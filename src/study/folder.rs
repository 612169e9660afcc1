//! The folder of a study: what it is, so that the same command goes on in it and another one does not.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::sweep::Sweep;
use super::trials::{Resampling, Trial};
use crate::config::{Experiment, file_name};
use crate::disk::{self, Folder, Lock, UNFINISHED};
use crate::run::changes::{self, Change};

/// What a study is, in its folder.
pub const STUDY: &str = "study.json";

/// The experiment of a study, resolved, in its folder.
pub const EXPERIMENT: &str = "experiment.yaml";

/// What the trials of a study say together, in its folder.
pub const SUMMARY: &str = "summary.json";

/// The document `study.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// What is varied.
    #[serde(flatten)]
    pub kind: StudyKind,
    /// Threads of each trial, settled by the first launch, since results depend on them.
    pub threads: usize,
    /// Every run of it.
    pub trials: Vec<Trial>,
}

/// What a study varies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyKind {
    /// The split, or the seed.
    #[serde(alias = "deal")] // as version 0.2 says
    Resampling(Resampling),
    /// `signet sweep`: one experiment under many settings.
    Sweep(Sweep),
}

/// The folder of a study, kept from launches that one does not share it with.
pub struct StudyDir {
    folder: Folder,
    _lock: Lock,
}

/// Who shares a study, to those who want it alone.
const ARRAY: &str = "an array of calls (--array K/N), which a call without --array cannot join";

/// How long a call waits for another to write down what their study is: a disk may be slow, and one that machines share may
/// be late to show new files.
const BEGINNING: Duration = Duration::from_secs(90);

impl StudyDir {
    /// Begins the study `wanted` of `experiment` in `folder`, or goes on with it there, in which case the
    /// threads are those it began with. No other process has it meanwhile.
    ///
    /// # Errors
    /// A folder in use, that cannot be written, or that holds something else.
    pub fn open(
        folder: &Path,
        experiment: &Experiment,
        wanted: Study,
    ) -> Result<(StudyDir, Study)> {
        let folder = make(folder)?;
        let lock = Lock::take(&folder)?;
        begin(&folder, experiment, &wanted)?;
        StudyDir::of(folder, lock, experiment, wanted)
    }

    /// The same beside other processes that join it, on any machine.
    ///
    /// # Errors
    /// As [`StudyDir::open`]; that others have joined it is none.
    pub fn join(
        folder: &Path,
        experiment: &Experiment,
        wanted: Study,
    ) -> Result<(StudyDir, Study)> {
        let folder = make(folder)?;
        let file = folder.file(STUDY);
        let began = Instant::now();
        // Nobody shares the lock before there is a study, so one of those who come first gets it alone, and begins it.
        while !file.exists() {
            match Lock::try_take(&folder)? {
                Some(_alone) => begin(&folder, experiment, &wanted)?,
                None if began.elapsed() > BEGINNING => drop(Lock::take(&folder)?), // says who has it
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        let lock = Lock::share(&folder, ARRAY).context("only calls with --array share a study")?;
        StudyDir::of(folder, lock, experiment, wanted)
    }

    /// The study in `folder`, if it is the one that is `wanted`.
    fn of(
        folder: Folder,
        lock: Lock,
        experiment: &Experiment,
        wanted: Study,
    ) -> Result<(StudyDir, Study)> {
        let dir = StudyDir {
            folder,
            _lock: lock,
        };
        let folder = dir.path();
        let known = read(folder)?;
        let then = Experiment::load(&dir.experiment(), &[], &[])?;
        let changes = changes::between(&then, experiment);
        let other = |change: &&Change| !changes::says_where_data_lies(&change.key);
        if let Some(change) = changes.iter().find(other) {
            bail!(
                "{} is a study of another experiment: {} is {} there, but {} here; choose another folder with --run",
                folder.display(),
                change.key,
                change.old,
                change.new
            );
        }
        ensure!(
            known.kind == wanted.kind && known.trials == wanted.trials,
            "{} is a study of other trials ({} of them); choose another folder with --run",
            folder.display(),
            known.trials.len()
        );
        if !changes.is_empty() {
            dir.write_text(EXPERIMENT, &experiment.to_yaml())?;
        }
        Ok((dir, known))
    }

    /// Path of the study's folder, as it was given.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of its experiment.
    pub fn experiment(&self) -> PathBuf {
        self.folder.file(EXPERIMENT)
    }

    /// Writes a JSON document into it.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write(&self.folder, name, value)
    }

    /// Writes a text into it.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<()> {
        self.folder.write_whole(name, text.as_bytes())
    }
}

/// The folder of a study that is there, or is to begin.
fn make(folder: &Path) -> Result<Folder> {
    // In this order: another call may begin it right now.
    ensure!(
        is_unfinished(folder)? || folder.join(STUDY).exists(),
        "{} exists and is not a study; choose another folder with --run",
        folder.display()
    );
    Folder::make(folder)
}

/// Writes down what the study in `folder` is, unless it is there; nobody else writes to it meanwhile.
fn begin(folder: &Folder, experiment: &Experiment, wanted: &Study) -> Result<()> {
    folder.clear_unfinished(Duration::ZERO)?;
    if folder.file(STUDY).exists() {
        return Ok(());
    }
    folder.write_whole(EXPERIMENT, experiment.to_yaml().as_bytes())?;
    write(folder, STUDY, wanted)
}

fn write(folder: &Folder, name: &str, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    folder.write_whole(name, text.as_bytes())
}

/// What the study in `folder` is.
///
/// # Errors
/// No study, or a damaged one.
pub fn read(folder: &Path) -> Result<Study> {
    let file = folder.join(STUDY);
    let text = disk::read_text(&file)
        .with_context(|| format!("{} is no study: it has no {STUDY}", folder.display()))?;
    let study: Study =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
    // A trial lies in the study and nowhere else, whoever wrote the document.
    for Trial { name, .. } in &study.trials {
        let place = folder.join(name);
        ensure!(
            file_name(name).is_ok() && !place.is_symlink(),
            "{} names the trial {name:?}, which is no folder of its own there",
            file.display()
        );
    }
    Ok(study)
}

/// Whether there is nothing in `folder` but what a study leaves that was killed before it had written down what it is.
fn is_unfinished(folder: &Path) -> Result<bool> {
    let entries = disk::entries(folder)?;
    Ok(entries.iter().all(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name == Lock::NAME || name == EXPERIMENT || name.starts_with(UNFINISHED)
    }))
}
