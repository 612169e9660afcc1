//! Writing checkpoints while a model trains, and clearing away those that are no longer needed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::checkpoint::{Checkpoint, Document, FORMAT};
use super::checkpoints::{self, Pointer};
use super::directory::RunDir;
use super::records;
use super::retention::{self, Occasion};
use super::session::Session;
use crate::fault::{Blame, Fault};
use crate::train::event::{Event, Observer};
use crate::train::snapshot::{Moment, Snapshot};

/// Listens to a trainer and keeps checkpoints in a run directory.
pub struct Keeper<'a> {
    session: &'a Session,
    folder: &'a RunDir,
    saved: Instant,
}

impl<'a> Keeper<'a> {
    /// For the run in `folder`.
    pub fn new(session: &'a Session, folder: &'a RunDir) -> Keeper<'a> {
        Keeper {
            session,
            folder,
            saved: Instant::now(),
        }
    }

    fn keep(&mut self, now: Moment) -> Result<()> {
        save(self.session, self.folder.path(), now.snapshot()?).blame(Fault::Run)?;
        self.saved = Instant::now();
        Ok(())
    }
}

impl Observer for Keeper<'_> {
    fn notify(&mut self, event: &Event) -> Result<()> {
        let (occasion, now) = match event {
            // The end of the epoch follows at once and is the better place.
            Event::Stepped { last: true, .. } => return Ok(()),
            Event::Stepped { now, .. } => (Occasion::Step, now),
            Event::EpochEnded {
                record,
                complete,
                now,
            } => {
                let ranked = now.progress().ranking.contains(record);
                let complete = *complete;
                (Occasion::Epoch { ranked, complete }, now)
            }
            Event::Paused { now } => return self.keep(*now),
            Event::EpochStarted { .. } | Event::Finished => return Ok(()),
        };
        let every = self.session.experiment.checkpoint.every;
        match retention::due(every, occasion, now.progress(), self.saved.elapsed()) {
            true => self.keep(*now),
            false => Ok(()),
        }
    }
}

/// Writes `snapshot` into the run directory `folder`, moves the pointers, and only then removes what
/// retention no longer asks for.
///
/// # Errors
/// A disk that is full or cannot be written; all earlier checkpoints are there still.
pub fn save(session: &Session, folder: &Path, snapshot: Snapshot) -> Result<()> {
    let Snapshot {
        progress,
        sums,
        tensors,
    } = snapshot;
    let logs = records::lengths(folder)?;
    let checkpoint = Checkpoint {
        document: Document {
            format: FORMAT,
            classes: session.data.classes.clone(),
            normalization: session.normalization.clone(),
            progress,
            sums,
            config: session.experiment.to_yaml(),
            fingerprints: session.fingerprints.clone(),
            environment: session.environment.clone(),
            logs,
        },
        tensors,
    };
    let progress = &checkpoint.document.progress;
    let path = checkpoints::path_of(progress.step);
    checkpoint.save(&folder.join(&path))?;
    let pointer = Pointer::to(&checkpoint)?;
    checkpoints::point(folder, checkpoints::LAST, &pointer)?;
    if pointer.record.is_some() && progress.improved() {
        checkpoints::point(folder, checkpoints::BEST, &pointer)?;
    }
    let steps: Vec<usize> = checkpoints::list(folder)
        .into_iter()
        .map(|(step, _)| step)
        .collect();
    for step in retention::superfluous(&steps, progress, &session.experiment.checkpoint) {
        let file = folder.join(checkpoints::path_of(step));
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}
