//! A run that goes on from a checkpoint of another.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::disk::{self, Folder, Lock};
use crate::run::changes::Change;
use crate::run::checkpoints::{self, FoundCheckpoint};
use crate::run::directory::RunDir;
use crate::run::session::Session;
use crate::run::{checkpointer, create, logs};
use crate::train::snapshot::Snapshot;

/// The document that says where a run branched off.
const PARENT: &str = "parent.json";

/// The document `parent.json`: where a run branched off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The run directory, as it was named then.
    pub run: PathBuf,
    /// The file of the checkpoint it began from.
    pub checkpoint: PathBuf,
    /// Optimiser step of that checkpoint.
    pub step: usize,
    /// Settings that the branch changes.
    pub changes: Vec<Change>,
}

impl Parent {
    /// Of the run in `folder`; none if it did not branch off, or the document is damaged.
    pub fn read(folder: &Path) -> Option<Parent> {
        let text = disk::read_text(&folder.join(PARENT)).ok()?;
        serde_json::from_str(&text).ok()
    }
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
