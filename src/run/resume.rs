//! Going on with a run: from which checkpoint, under which experiment, in which folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CheckpointMeta, is_damage};
use super::checkpointer;
use super::checkpoints::{self, FoundCheckpoint};
use super::create;
use super::directory::{PARTS, RunDir, evaluation_of};
use super::interrupt;
use super::logs;
use super::policy::{self, Change, Policy};
use super::session::Session;
use crate::config::Experiment;
use crate::config::document::{self, Problems};
use crate::disk::{Folder, Lock};
use crate::messages::shell_quote;
use crate::model::plan;
use crate::train::progress::{ExtendMode, Extension, Progress};
use crate::train::schedule::depends_on_epochs;
use crate::train::snapshot::Snapshot;

/// Where to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointRef {
    /// The newest valid checkpoint.
    Last,
    /// That of the best epoch.
    Best,
    /// A file, by path or by its name in the run's checkpoints.
    File(PathBuf),
}

impl std::str::FromStr for CheckpointRef {
    type Err = std::convert::Infallible;

    fn from_str(word: &str) -> Result<CheckpointRef, Self::Err> {
        Ok(match word {
            "last" => CheckpointRef::Last,
            "best" => CheckpointRef::Best,
            file => CheckpointRef::File(file.into()),
        })
    }
}

/// The checkpoint of the run in `folder` that `from` names.
///
/// # Errors
/// There is none, or the one that was named is missing or damaged.
pub fn find(folder: &RunDir, from: &CheckpointRef) -> Result<FoundCheckpoint> {
    match from {
        CheckpointRef::Last => checkpoints::newest(folder.path()),
        CheckpointRef::Best => checkpoints::best(folder.path()),
        CheckpointRef::File(file) => {
            let own = folder.file(checkpoints::FOLDER);
            let inside = own.join(file);
            let file = if inside.is_file() {
                inside
            } else {
                file.clone()
            };
            let checkpoint = Checkpoint::load(&file)?;
            let above = file.parent().and_then(|above| above.canonicalize().ok());
            ensure!(
                above.is_some() && above == own.canonicalize().ok(),
                "{} belongs to another run: it does not lie in {}; train.init_from begins a run with its weights",
                file.display(),
                own.display()
            );
            Ok(FoundCheckpoint {
                file,
                checkpoint,
                passed_over: Vec::new(),
            })
        }
    }
}

/// Makes sure that `found` is a checkpoint of the run in `folder` and not of another model.
///
/// # Errors
/// The first key that says it is not.
pub fn belongs(folder: &RunDir, found: &FoundCheckpoint) -> Result<()> {
    let own = Experiment::load(&folder.file("resolved.yaml"), &[], &[])?;
    let other = experiment(&found.checkpoint.document, &[])?;
    let refused = policy::changes(&own, &other)
        .into_iter()
        .find(|change| change.policy == Policy::Refused);
    match refused {
        None => Ok(()),
        Some(change) => Err(anyhow!(
            "{} belongs to another run: {} is {} there, but {} in {}",
            found.file.display(),
            change.key,
            change.new,
            change.old,
            folder.path().display()
        )),
    }
}

/// The experiment a checkpoint was trained under, with `overrides` laid over it.
///
/// # Errors
/// Whatever is wrong with the result.
pub fn experiment(document: &CheckpointMeta, overrides: &[String]) -> Result<Experiment, Problems> {
    let name = "the run's experiment".to_owned();
    let yaml = document::Document::parse(name, document.config.clone(), overrides)?;
    Experiment::from_document(&yaml, Path::new("run"), &[plan::check])
}

/// Holds the experiment `new` against the `old` one and prepares `progress` for it; answers with what
/// changed.
///
/// # Errors
/// A change that is refused; one that makes another run, unless this is a `branch`; a number of epochs
/// that changes the schedule without a word in `extend` on how.
pub fn settle(
    old: &Experiment,
    new: &Experiment,
    branch: bool,
    extend: Option<ExtendMode>,
    progress: &mut Progress,
) -> Result<Vec<Change>> {
    let changes = policy::changes(old, new);
    let sentence = |change: &Change| format!("{}: {} -> {}", change.key, change.old, change.new);
    let of = |policy: Policy| {
        let these = changes.iter().filter(|change| change.policy == policy);
        these.map(sentence).collect::<Vec<_>>().join(", ")
    };
    let refused = of(Policy::Refused);
    ensure!(
        refused.is_empty(),
        "{refused} cannot change in a run that goes on, since nothing learned so far would mean the same; start a new \
         run with `signet train`"
    );
    // What takes a layer or a moment away, or adds one, leaves the checkpoint's tensors without a place.
    let zero = |value: &str| value.parse() == Ok(0.0);
    let structural = changes.iter().find(|change| {
        let known = ["model.dropout", "train.optimizer.momentum"].contains(&change.key.as_str());
        known && zero(&change.old) != zero(&change.new)
    });
    if let Some(change) = structural {
        return Err(anyhow!(
            "{} cannot change to or from 0 in a run that goes on, since its tensors would have no place; use a small number, \
             or start a new run with train.init_from",
            sentence(change)
        ));
    }
    let done = progress.epoch - 1;
    ensure!(
        new.train.epochs >= done,
        "train.epochs: {} is less than the {done} epochs done; go on from an earlier checkpoint with --from",
        new.train.epochs
    );
    let branching = of(Policy::Branch);
    ensure!(
        branch || branching.is_empty(),
        "{branching} makes another run of it; add --as NEW_RUN to branch off"
    );
    let (before, now) = (old.train.epochs, new.train.epochs);
    let asks = before != now && depends_on_epochs(&new.train.schedule);
    match extend {
        None => ensure!(
            !asks,
            "train.epochs: {before} -> {now} changes every rate of the schedule; say how with --extend: hold (keep its last \
             rate), restart (a second schedule over the further epochs) or stretch (one schedule over all {now})"
        ),
        // Said again by a command that is repeated after its first success.
        Some(_) if !asks => {}
        Some(how) => {
            ensure!(
                how != ExtendMode::Restart || now > before,
                "--extend restart needs more than the {before} epochs there were, not {now}; use stretch"
            );
            progress.extensions.push(Extension {
                epochs: before,
                how,
            });
        }
    }
    progress.adapt(old, new);
    Ok(changes)
}

/// Makes sure that settings of the last launch are not lost with a damaged checkpoint: `old` are those that the newest
/// valid one knows, `new` those to go on under, and the run's own `resolved.yaml` says which held last.
///
/// # Errors
/// Settings that held last, are not in `new`, and have not been changed in it.
pub fn keeps_settings(folder: &RunDir, old: &Experiment, new: &Experiment) -> Result<()> {
    let last = Experiment::load(&folder.file("resolved.yaml"), &[], &[])?;
    let (old, new, last) = (
        policy::settings(old),
        policy::settings(new),
        policy::settings(&last),
    );
    let keys = last
        .keys()
        .chain(old.keys().filter(|key| !last.contains_key(*key)));
    let lost = keys.filter(|key| last.get(*key) != old.get(*key) && new.get(*key) == old.get(*key));
    let or_not_set = |value: Option<&String>| value.map_or("not set", String::as_str).to_owned();
    let lost: Vec<String> = lost
        .map(|key| {
            format!(
                "{key} was {} and would be {} again",
                or_not_set(last.get(key)),
                or_not_set(old.get(key))
            )
        })
        .collect();
    ensure!(
        lost.is_empty(),
        "the newest valid checkpoint of {} is older than its settings: {}; say again how it should go on, with -s, --epochs, \
         --extend",
        folder.path().display(),
        lost.join(", ")
    );
    Ok(())
}

/// Makes the run in `folder` stand where `found` stood: later checkpoints go (damaged ones are kept aside),
/// logs are cut back. Answers with remarks on what was found.
///
/// # Errors
/// A folder that cannot be written. Whatever happens in between, a later attempt finds the newest valid
/// checkpoint and logs at least as long as it recorded.
pub fn rewind(folder: &RunDir, found: &FoundCheckpoint, session: &Session) -> Result<Vec<String>> {
    checkpoints::sweep(folder.folder())?;
    let document = &found.checkpoint.document;
    let own = folder.folder().folder(checkpoints::FOLDER)?;
    let mut remarks = Vec::new();
    for (step, file) in checkpoints::list(folder.path()) {
        if step <= document.progress.step {
            break;
        }
        let name = checkpoints::name_of(step);
        match Checkpoint::load_at(step, &file) {
            Ok(_) => {
                own.remove(name)?;
                remarks.push(format!("removed {}, which lies ahead", file.display()));
            }
            Err(error) if is_damage(&error) => {
                let aside = checkpoints::aside(step);
                own.rename(&name, &own, &aside)?;
                remarks.push(format!(
                    "put the damaged one aside as {}",
                    own.file(aside).display()
                ));
            }
            Err(error) => return Err(error),
        }
    }
    for part in PARTS {
        // Of weights that may be trained anew.
        folder.folder().remove(evaluation_of(part))?;
    }
    checkpoints::repoint(folder.folder(), &found.checkpoint)?;
    remarks.extend(logs::cut_back(folder.folder(), &document.logs)?);
    create::write_launch(folder, session)?;
    Ok(remarks)
}

/// The document that says where a run branched off.
const PARENT: &str = "parent.json";

/// The document `parent.json`: where a run branched off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The run directory, as it was named then.
    pub run: PathBuf,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Its step.
    pub step: usize,
    /// What changed.
    pub changes: Vec<Change>,
}

/// Makes the run `wanted`, which goes on from `found` of the run `parent` under the session's experiment.
///
/// # Errors
/// A name that is taken, a folder that cannot be written.
pub fn branch(
    parent: &RunDir,
    found: &FoundCheckpoint,
    session: &Session,
    snapshot: Snapshot,
    changes: Vec<Change>,
    wanted: &Path,
) -> Result<(RunDir, Lock)> {
    let document = &found.checkpoint.document;
    RunDir::create(&session.experiment, Some(wanted), |folder| {
        folder.make_folders()?;
        let logs = document.logs.keys().map(String::as_str);
        let documents = ["config.yaml", "split.json", "data.json", create::INIT_FROM];
        for file in documents.into_iter().chain(logs) {
            let (within, name) = logs::place_of(folder.folder(), file)?;
            copy(&parent.file(file), &within, name)?;
        }
        for remark in logs::cut_back(folder.folder(), &document.logs)? {
            crate::status!("signet: {remark}");
        }
        create::write_launch(folder, session)?;
        let from = Parent {
            run: parent.path().to_owned(),
            checkpoint: found.file.clone(),
            step: document.progress.step,
            changes,
        };
        folder.write_json(PARENT, &from)?;
        for record in &snapshot.progress.ranking {
            let old = parent.path().join(checkpoints::path_of(record.step));
            let own = folder.folder().folder(checkpoints::FOLDER)?;
            copy(&old, &own, &checkpoints::name_of(record.step))?;
        }
        checkpointer::save(session, folder.folder(), snapshot)
    })
}

/// Copies the file `old`, if it is there, to `name` in `folder`.
fn copy(old: &Path, folder: &Folder, name: &str) -> Result<()> {
    if !old.is_file() {
        return Ok(());
    }
    let place = || {
        format!(
            "cannot copy {} to {}",
            old.display(),
            folder.file(name).display()
        )
    };
    let mut from = std::fs::File::open(old).with_context(place)?;
    let mut to = folder.create(name)?;
    std::io::copy(&mut from, &mut to).with_context(place)?;
    Ok(())
}

/// Takes from a checkpoint what a trainer restores, with `progress` as it was settled.
pub fn snapshot(found: &FoundCheckpoint, progress: Progress) -> Snapshot {
    let tensors = &found.checkpoint.tensors;
    Snapshot {
        progress,
        sums: found.checkpoint.document.sums,
        tensors: tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect(),
    }
}

/// The error of a run that stopped because it was asked to.
pub fn stopped(signal: i32, progress: &Progress, folder: &RunDir) -> anyhow::Error {
    anyhow!(
        "stopped by {} after step {} (epoch {}); go on with `signet resume {}`",
        interrupt::name(signal),
        progress.step,
        progress.epoch,
        shell_quote(folder.path())
    )
}
