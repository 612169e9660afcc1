//! What a run directory holds before the next step is taken.

use anyhow::Result;

use super::checkpointer;
use super::directory::RunDir;
use super::environment::{ENVIRONMENT, LaunchRecord};
use super::session::Session;
use crate::train::snapshot::Snapshot;

/// What became of the weights that a run began with, if its experiment names some.
pub const INIT_FROM: &str = "init_from.json";

/// Fills the folder of a run that begins: the experiment as its author wrote it, what it was resolved to, its
/// images and their split, and a checkpoint of the state before the first step.
///
/// # Errors
/// A disk that is full or cannot be written.
pub fn fill(folder: &RunDir, session: &Session, written: &str, first: Snapshot) -> Result<()> {
    folder.make_folders()?;
    folder.write("config.yaml", written)?;
    folder.write_json("split.json", &session.split.manifest(&session.data.index))?;
    folder.write_data(&session.data.index)?;
    if let Some(transfer) = &session.transfer {
        folder.write_json(INIT_FROM, transfer)?;
    }
    write_launch(folder, session)?;
    checkpointer::save(session, folder.folder(), first)
}

/// Writes down what this launch of the run is about to do: the experiment as resolved, the environment.
///
/// # Errors
/// A disk that is full or cannot be written.
pub fn write_launch(folder: &RunDir, session: &Session) -> Result<()> {
    folder.write("resolved.yaml", &session.experiment.to_yaml())?;
    folder.write_json(ENVIRONMENT, &LaunchRecord::of(session)?)
}
