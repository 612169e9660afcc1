//! Going on with a run: from which checkpoint, under which experiment, in which directory.

mod branch;
mod find;
mod rewind;
mod settle;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Result;

pub use branch::Parent;
pub use find::{CheckpointRef, belongs, find};

use super::changes::Change;
use super::checkpoint::CheckpointMeta;
use super::checkpointer;
use super::checkpoints::{self, FoundCheckpoint};
use super::directory::RunDir;
use super::orders::Orders;
use super::session::Session;
use crate::config::document::{Document, Problems};
use crate::config::train::{Reduction, Shards};
use crate::config::{Device, Experiment, Threads};
use crate::disk::Lock;
use crate::distributed::Ranks;
use crate::fault::{Blame, Fault};
use crate::model::plan;
use crate::train::progress::{ExtendMode, Progress};
use crate::train::snapshot::Snapshot;

/// How a run is to go on.
pub struct ResumeRequest {
    /// The checkpoint it goes on from.
    pub from: CheckpointRef,
    /// The experiment it goes on under.
    pub experiment: RequestedExperiment,
    /// What becomes of a schedule that depends on the number of epochs, if that changes.
    pub extend: Option<ExtendMode>,
    /// The directory of another run that branches off; none to go on in place.
    pub branch: Option<PathBuf>,
}

impl ResumeRequest {
    /// To go on from the newest checkpoint, in place, under `experiment`.
    pub fn under(experiment: Experiment, extend: Option<ExtendMode>) -> ResumeRequest {
        ResumeRequest {
            from: CheckpointRef::Last,
            experiment: RequestedExperiment::Given(Box::new(experiment)),
            extend,
            branch: None,
        }
    }
}

/// The experiment under which a run is to go on.
pub enum RequestedExperiment {
    /// Its own, under overrides `key=value`.
    Own(Vec<String>),
    /// That of a file.
    Given(Box<Experiment>),
}

/// Whose directory a run goes on in.
enum Place {
    /// Its own, which no other process uses.
    Own(Lock),
    /// That of a branch, to be made.
    Branch(PathBuf),
}

/// What a request came to.
pub enum Resumed {
    /// The run was complete, and nothing was asked of it that changes that.
    Complete(Box<Experiment>, Box<Progress>),
    /// There is something to train.
    Ready(Box<Ready>),
}

/// All that a training goes on with.
pub struct Ready {
    /// Data, split and network.
    pub session: Session,
    /// What [`Trainer::restore`](crate::train::trainer::Trainer::restore) takes.
    pub snapshot: Snapshot,
    /// The directory of the run, or of the branch.
    pub folder: RunDir,
    /// Keeps other processes off it.
    pub lock: Lock,
    /// The checkpoint it goes on from.
    pub from: PathBuf,
    /// How many processes trained it up to there.
    pub processes: usize,
    /// What has changed in the experiment.
    pub changes: Vec<Change>,
    /// What one should know, one sentence each.
    pub remarks: Vec<String>,
}

/// Finds the checkpoint, settles the experiment, and makes the directory stand where the checkpoint stood, or a new one
/// for a branch. Whatever can be refused is refused before anything is written.
///
/// # Errors
/// A run in use, no valid checkpoint, a change that cannot be made, data that are others now; each with its fault.
pub fn prepare(folder: &RunDir, request: ResumeRequest, ranks: &Rc<Ranks>) -> Result<Resumed> {
    let place = match request.branch {
        None => Place::Own(Lock::take(folder.folder())?),
        // The run only lends its checkpoint, and may be training meanwhile.
        Some(wanted) => Place::Branch(wanted),
    };
    let branches = matches!(place, Place::Branch(_));
    let found = find(folder, &request.from)?;
    found.report();
    find::belongs(folder, &found)?;
    // Settings are those of the last launch, whichever checkpoint it goes on from.
    let newest = checkpoints::newest(folder.path())?;
    find::belongs(folder, &newest)?;
    let (document, latest) = (&found.checkpoint.document, &newest.checkpoint.document);
    let old = experiment(latest, &[])?;
    let new = match request.experiment {
        RequestedExperiment::Own(overrides) => experiment(latest, &overrides)?,
        RequestedExperiment::Given(given) => settled_as(&old, *given),
    };
    let mut progress = document.progress.clone();
    progress.extensions = latest.progress.extensions.clone();
    let changes =
        settle::settle(&old, &new, branches, request.extend, &mut progress).blame(Fault::Config)?;
    if !branches {
        settle::keeps_settings(folder, &old, &new)?;
    }
    if progress.complete(&new) && changes.is_empty() && !branches {
        let rules = &new.checkpoint;
        checkpointer::settle(folder.folder(), &newest.checkpoint, rules)?;
        Orders::rest(ranks)?;
        return Ok(Resumed::Complete(Box::new(new), Box::new(progress)));
    }
    Orders::train(ranks, &new, Some(document))?;
    let session = Session::reopen(new, document, Some(folder), Rc::clone(ranks))?;
    let snapshot = || snapshot(&found, progress.clone());
    session.trainer().restore(&snapshot())?;
    let mut remarks: Vec<String> = document
        .environment
        .differences(&session.environment)
        .into_iter()
        .map(|difference| {
            format!(
                "{difference}: from here on the bits may differ from those of an uninterrupted run"
            )
        })
        .collect();
    let (before, now) = (document.environment.processes, ranks.world());
    if before != now && session.experiment.train.reduction == Reduction::Flat {
        remarks.push(format!(
            "train.reduction: flat computed on {before} process(es) before, and on {now} now: from here on the bits differ from \
             those of an uninterrupted run"
        ));
    }
    let (folder, lock) = match place {
        Place::Branch(wanted) => {
            let changes = changes.clone();
            branch::branch(folder, &found, &session, snapshot(), changes, &wanted)?
        }
        Place::Own(lock) => {
            remarks.extend(rewind::rewind(folder, &found, &session)?);
            // Settings that changed are part of the run from now on, whatever happens next; an older checkpoint than the
            // newest may not know them yet.
            let knows = document.config == latest.config
                && document.progress.extensions == latest.progress.extensions;
            if !changes.is_empty() || !knows {
                checkpointer::save(&session, folder.folder(), snapshot())?;
            }
            (folder.clone(), lock)
        }
    };
    Ok(Resumed::Ready(Box::new(Ready {
        snapshot: snapshot(),
        session,
        folder,
        lock,
        from: found.file.clone(),
        processes: before,
        changes,
        remarks,
    })))
}

/// The experiment a checkpoint was trained under, with `overrides` laid over it.
///
/// # Errors
/// Whatever is wrong with the result.
pub fn experiment(document: &CheckpointMeta, overrides: &[String]) -> Result<Experiment, Problems> {
    let name = "the run's experiment".to_owned();
    let yaml = Document::parse(name, document.config.clone(), overrides)?;
    let experiment = Experiment::from_document(&yaml, Path::new("run"), &[plan::check])?;
    Ok(as_trained(experiment))
}

/// The recorded `experiment` of a run, in which signet 0.2, which knew no shards, has left their number open.
fn as_trained(mut experiment: Experiment) -> Experiment {
    if experiment.train.reduction == Reduction::Tree {
        experiment.train.shards = Shards::Count(experiment.train.pieces(1));
    }
    experiment
}

/// `new`, with what it leaves to the machine settled as it was in `old`.
fn settled_as(old: &Experiment, mut new: Experiment) -> Experiment {
    if new.threads == Threads::Auto {
        new.threads = old.threads;
    }
    if new.device == Device::Auto {
        new.device = old.device;
    }
    if new.train.shards == Shards::Auto && new.train.reduction == old.train.reduction {
        new.train.shards = old.train.shards;
    }
    new
}

/// Takes from a checkpoint what a trainer restores, with `progress` as it was settled.
fn snapshot(found: &FoundCheckpoint, progress: Progress) -> Snapshot {
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
