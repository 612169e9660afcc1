//! The checkpoint that a run goes on from.

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};

use super::experiment;
use crate::config::Experiment;
use crate::config::policy::Policy;
use crate::run::changes;
use crate::run::checkpoint::Checkpoint;
use crate::run::checkpoints::{self, FoundCheckpoint};
use crate::run::directory::RunDir;

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
    let refused = changes::between(&own, &other)
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
