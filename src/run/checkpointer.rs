//! Writing checkpoints while a model trains, and clearing away those that are no longer needed.
//!
//! The training waits for a copy of its state alone; another thread puts it on the disk. What goes wrong
//! there ends the training at the next checkpoint or at its end.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Result;

use super::checkpoint::{Checkpoint, CheckpointMeta, FORMAT};
use super::checkpoints::{self, Pointer};
use super::directory::RunDir;
use super::logs;
use super::retention::{self, Keeping, Occasion};
use super::session::Session;
use crate::config::run::CheckpointConfig;
use crate::disk::Folder;
use crate::train::event::{Event, Observer};
use crate::train::progress::Progress;
use crate::train::snapshot::{Snapshot, TrainState};

/// Listens to a trainer and keeps checkpoints in a run directory.
pub struct Checkpointer<'a> {
    session: &'a Session,
    folder: &'a RunDir,
    writer: Writer,
    saved: Instant,
    /// Epochs among the best that are not written yet, oldest first; all are newer than what is written.
    held: Vec<Checkpoint>,
}

impl<'a> Checkpointer<'a> {
    /// For the run in `folder`.
    pub fn new(session: &'a Session, folder: &'a RunDir) -> Checkpointer<'a> {
        let config = session.experiment.checkpoint.clone();
        Checkpointer {
            session,
            folder,
            writer: Writer::start(folder.folder().clone(), config),
            saved: Instant::now(),
            held: Vec::new(),
        }
    }

    fn compose(&self, state: &TrainState) -> Result<Checkpoint> {
        compose(self.session, self.folder.path(), state.snapshot()?)
    }

    /// Writes what is held and then `state`, which comes behind it.
    fn write(&mut self, state: &TrainState) -> Result<()> {
        let checkpoint = self.compose(state)?;
        self.drop_beaten(&checkpoint.document.progress);
        self.saved = Instant::now();
        self.held.push(checkpoint);
        self.write_held()
    }

    /// Keeps `state` in memory.
    fn hold(&mut self, state: &TrainState) -> Result<()> {
        let checkpoint = self.compose(state)?;
        self.drop_beaten(&checkpoint.document.progress);
        self.held.push(checkpoint);
        Ok(())
    }

    /// Drops what is held and no longer among the best of `progress`.
    fn drop_beaten(&mut self, progress: &Progress) {
        self.held.retain(|held| {
            let step = held.document.progress.step;
            progress.ranking.iter().any(|record| record.step == step)
        });
    }

    fn write_held(&mut self) -> Result<()> {
        std::mem::take(&mut self.held)
            .into_iter()
            .try_for_each(|checkpoint| self.writer.send(checkpoint))
    }
}

impl Drop for Checkpointer<'_> {
    fn drop(&mut self) {
        // Held only where the training failed, and then that is what is reported.
        let _ = self.write_held();
    }
}

/// A thread that writes one checkpoint after the other.
struct Writer {
    queue: Option<SyncSender<Checkpoint>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Writer {
    fn start(folder: Folder, config: CheckpointConfig) -> Writer {
        // One may wait while another is written; the training waits before there are more in memory.
        let (queue, waiting) = sync_channel(1);
        let write_all = move || {
            waiting
                .into_iter()
                .try_for_each(|checkpoint| write(&folder, &checkpoint, &config))
        };
        Writer {
            queue: Some(queue),
            thread: Some(std::thread::spawn(write_all)),
        }
    }

    fn send(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let queue = self.queue.as_ref();
        if queue.is_some_and(|queue| queue.send(checkpoint).is_ok()) {
            return Ok(());
        }
        self.finish() // the thread has ended early, and says why
    }

    /// Waits until all is on the disk.
    fn finish(&mut self) -> Result<()> {
        self.queue = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Reached with work left only when the training failed, and then that is what is reported.
        let _ = self.finish();
    }
}

impl Observer for Checkpointer<'_> {
    fn notify(&mut self, event: &Event) -> Result<()> {
        let (occasion, state) = match event {
            // The end of the epoch follows at once and is the better place.
            Event::Stepped { last: true, .. } => return Ok(()),
            Event::Stepped { state, .. } => (Occasion::Step, state),
            Event::EpochEnded {
                record,
                complete,
                state,
            } => {
                let ranked = state.progress.ranking.contains(record);
                let complete = *complete;
                (Occasion::Epoch { ranked, complete }, state)
            }
            Event::Paused { state } => {
                self.write(state)?;
                return self.writer.finish();
            }
            Event::Finished => return self.writer.finish(),
            Event::EpochStarted { .. } | Event::Evaluated { .. } => return Ok(()),
        };
        let every = self.session.experiment.checkpoint.every;
        match retention::keeping(every, occasion, &state.progress, self.saved.elapsed()) {
            Keeping::Write => self.write(state),
            Keeping::Hold => self.hold(state),
            Keeping::Pass => Ok(()),
        }
    }
}

/// Writes `snapshot` into the run directory `folder` as [`write`] does, and moves both pointers: what it ranks best may be
/// an epoch that ended long ago.
///
/// # Errors
/// A disk that is full or cannot be written; all earlier checkpoints are there still.
pub fn save(session: &Session, folder: &Folder, snapshot: Snapshot) -> Result<()> {
    let checkpoint = compose(session, folder.path(), snapshot)?;
    write(folder, &checkpoint, &session.experiment.checkpoint)?;
    checkpoints::repoint(folder, &checkpoint)
}

/// A snapshot with everything it depends on, and the lengths that the logs in `folder` have now.
fn compose(session: &Session, folder: &Path, snapshot: Snapshot) -> Result<Checkpoint> {
    let Snapshot {
        progress,
        sums,
        tensors,
    } = snapshot;
    let document = CheckpointMeta {
        format: FORMAT,
        classes: session.data.index.classes.clone(),
        normalization: session.normalization.clone(),
        progress,
        sums,
        config: session.experiment.to_yaml(),
        fingerprints: session.fingerprints.clone(),
        environment: session.environment.clone(),
        logs: logs::lengths(folder)?,
    };
    Ok(Checkpoint { document, tensors })
}

/// Writes the checkpoint, moves the pointers, and only then removes what retention no longer asks for. The logs go first:
/// a checkpoint that outlives a power cut must not count on lines that did not.
fn write(folder: &Folder, checkpoint: &Checkpoint, config: &CheckpointConfig) -> Result<()> {
    let progress = &checkpoint.document.progress;
    let own = folder.folder(checkpoints::FOLDER)?;
    logs::sync(folder.path(), checkpoint.document.logs.keys())?;
    checkpoint.save(&own, checkpoints::name_of(progress.step))?;
    let pointer = Pointer::to(checkpoint)?;
    checkpoints::point(folder, checkpoints::LAST, &pointer)?;
    if pointer.record.is_some() && progress.improved() {
        checkpoints::point(folder, checkpoints::BEST, &pointer)?;
    }
    prune(folder, progress, config)
}

/// Brings the complete run in `folder` to where its `newest` checkpoint should have left it: a process that was killed behind
/// its last checkpoint has not moved the pointers, nor removed what retention no longer asks for.
///
/// # Errors
/// A disk that is full or cannot be written.
pub fn settle(folder: &Folder, newest: &Checkpoint, config: &CheckpointConfig) -> Result<()> {
    checkpoints::sweep(folder)?;
    checkpoints::repoint(folder, newest)?;
    prune(folder, &newest.document.progress, config)
}

/// Removes the checkpoints that retention does not ask for.
fn prune(folder: &Folder, progress: &Progress, config: &CheckpointConfig) -> Result<()> {
    let own = folder.folder(checkpoints::FOLDER)?;
    let steps: Vec<usize> = checkpoints::list(folder.path())?
        .into_iter()
        .map(|(step, _)| step)
        .collect();
    let superfluous = retention::superfluous(&steps, progress, config);
    let mut names = superfluous.into_iter().map(checkpoints::name_of);
    names.try_for_each(|name| own.remove(name))
}
