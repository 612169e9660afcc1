//! The checkpoints of one run: which there are, which is valid, and the pointers `last.json`, `best.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::checkpoint::{self, Checkpoint};
use crate::data::hex;
use crate::disk::{self, Folder, Lock};
use crate::messages::shell_quote;
use crate::train::metrics::EpochRecord;
use crate::train::snapshot;

/// The folder of checkpoints in a run directory.
pub const FOLDER: &str = "checkpoints";

/// The pointer to the newest checkpoint.
pub const LAST: &str = "last.json";

/// The pointer to the checkpoint of the best epoch.
pub const BEST: &str = "best.json";

/// What `last.json` and `best.json` say. They are for people and scripts: a run continues without them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pointer {
    /// Path of the checkpoint, from the run directory.
    pub checkpoint: PathBuf,
    /// Optimiser steps behind it.
    pub step: usize,
    /// Figures of the epoch it was taken after, if it was taken after one.
    pub record: Option<EpochRecord>,
    /// SHA-256 of its weights: equal for equal weights, whatever else a checkpoint holds.
    pub weights_sha256: String,
}

impl Pointer {
    /// To `checkpoint`.
    ///
    /// # Errors
    /// None that is known.
    pub fn to(checkpoint: &Checkpoint) -> Result<Pointer> {
        let progress = &checkpoint.document.progress;
        let ended = progress.last.as_ref().filter(|_| progress.images == 0);
        Ok(Pointer {
            checkpoint: path_of(progress.step),
            step: progress.step,
            record: ended.cloned(),
            weights_sha256: weights_sha256(&checkpoint.tensors)?,
        })
    }
}

/// What the pointer called `name` of the run in `folder` says; none if there is none, or it is damaged.
pub fn pointer(folder: &Path, name: &str) -> Option<Pointer> {
    serde_json::from_str(&disk::read_text(&folder.join(name)).ok()?).ok()
}

/// A valid checkpoint, and what was met on the way to it.
pub struct FoundCheckpoint {
    /// Its file.
    pub file: PathBuf,
    /// Its contents.
    pub checkpoint: Checkpoint,
    /// Ones that would have come first and cannot be used, each with the reason.
    pub passed_over: Vec<String>,
}

impl FoundCheckpoint {
    /// Says what was passed over.
    pub fn report(&self) {
        for reason in &self.passed_over {
            crate::status!("signet: passed over {reason}");
        }
    }
}

/// The path of the checkpoint at `step`, from the run directory.
pub fn path_of(step: usize) -> PathBuf {
    Path::new(FOLDER).join(name_of(step))
}

/// The name of the checkpoint at `step`.
pub fn name_of(step: usize) -> String {
    format!("step-{step:08}.safetensors")
}

/// The name under which a damaged checkpoint is put aside.
pub fn aside(step: usize) -> String {
    format!("{}.damaged", name_of(step))
}

/// Whether a file of that name was put aside so.
pub fn is_put_aside(name: &str) -> bool {
    let step = name
        .strip_prefix("step-")
        .and_then(|rest| rest.split('.').next());
    let step = step.and_then(|step| step.parse().ok());
    step.is_some_and(|step| name == aside(step))
}

/// (step, file) of every checkpoint of the run in `folder`, newest first. What somebody else put there under a name that
/// is none of signet's is passed over.
///
/// # Errors
/// A folder that cannot be listed or entered.
pub fn list(folder: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let mut found = Vec::new();
    for entry in disk::entries(&folder.join(FOLDER))? {
        let file = entry.path();
        if let Some(step) = step_of(&file)
            && disk::look(&file)?.is_some_and(|found| found.is_file())
        {
            found.push((step, file));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The step of the checkpoint called like `file`, if signet would call one so.
fn step_of(file: &Path) -> Option<usize> {
    let name = file.file_name()?.to_str()?;
    let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    let step = step.parse().ok()?;
    (name == name_of(step)).then_some(step)
}

/// The newest valid checkpoint.
///
/// # Errors
/// There is none, and each that was tried is named; or a newer one is not damaged and still cannot be read.
pub fn newest(folder: &Path) -> Result<FoundCheckpoint> {
    let mut passed_over = Vec::new();
    for (step, file) in list(folder)? {
        match Checkpoint::load_at(step, &file) {
            Ok(checkpoint) => {
                return Ok(FoundCheckpoint {
                    file,
                    checkpoint,
                    passed_over,
                });
            }
            Err(error) if checkpoint::is_damage(&error) => passed_over.push(format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
    match passed_over.as_slice() {
        [] => bail!(
            "{} has no checkpoint; start again with `signet train {}`",
            folder.display(),
            shell_quote(folder.join("config.yaml"))
        ),
        tried => bail!(
            "{} has no valid checkpoint: {}",
            folder.display(),
            tried.join("; ")
        ),
    }
}

/// The checkpoint of the best epoch, as the newest valid checkpoint remembers it; if that is damaged or gone, of the next
/// best, and without any the newest itself.
///
/// # Errors
/// No valid checkpoint is left; or one that is not damaged still cannot be read.
pub fn best(folder: &Path) -> Result<FoundCheckpoint> {
    let FoundCheckpoint {
        file,
        checkpoint,
        mut passed_over,
    } = newest(folder)?;
    let ranked = best_of(folder, &checkpoint, &mut passed_over)?;
    let (file, checkpoint) = ranked.unwrap_or((file, checkpoint));
    Ok(FoundCheckpoint {
        file,
        checkpoint,
        passed_over,
    })
}

/// The best that is left of the epochs that `newest` ranks; those before it that cannot be used are `passed_over`.
fn best_of(
    folder: &Path,
    newest: &Checkpoint,
    passed_over: &mut Vec<String>,
) -> Result<Option<(PathBuf, Checkpoint)>> {
    for record in &newest.document.progress.ranking {
        let file = folder.join(path_of(record.step));
        if !file.exists() {
            passed_over.push(format!("{}, which is gone", file.display()));
            continue;
        }
        match Checkpoint::load_at(record.step, &file) {
            Ok(checkpoint) => return Ok(Some((file, checkpoint))),
            Err(error) if checkpoint::is_damage(&error) => passed_over.push(format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Writes `last.json` or `best.json`. They are not synced: a lost one is found again from the checkpoints.
///
/// # Errors
/// A disk that is full or cannot be written.
pub fn point(folder: &Folder, name: &str, pointer: &Pointer) -> Result<()> {
    let text = serde_json::to_string_pretty(pointer)? + "\n";
    folder.write_unsynced(name, text.as_bytes())
}

/// Makes both pointers what `newest`, the newest checkpoint of the run in `folder`, says they are.
///
/// # Errors
/// A disk that is full or cannot be written.
pub fn repoint(folder: &Folder, newest: &Checkpoint) -> Result<()> {
    point(folder, LAST, &Pointer::to(newest)?)?;
    match best_of(folder.path(), newest, &mut Vec::new())? {
        Some((_, best)) => point(folder, BEST, &Pointer::to(&best)?),
        None => folder.remove(BEST),
    }
}

/// Brings the pointers of the run in `folder` up to date, unless a process works on it: after a power cut they may be those
/// of before, or empty.
///
/// # Errors
/// A disk that is full or cannot be written.
pub fn mend(folder: &Path) -> Result<()> {
    let Ok(found) = newest(folder) else {
        return Ok(()); // whoever needs it will say why
    };
    let known = |name: &str| -> Option<Pointer> {
        serde_json::from_slice(&disk::read(&folder.join(name)).ok()?).ok()
    };
    let best = best_of(folder, &found.checkpoint, &mut Vec::new())?;
    let best = best.map(|(_, best)| Pointer::to(&best)).transpose()?;
    let last = Some(Pointer::to(&found.checkpoint)?);
    if (known(LAST), known(BEST)) == (last, best) || Lock::is_held(folder) {
        return Ok(());
    }
    let folder = Folder::open(folder)?;
    let _lock = Lock::take(&folder)?;
    repoint(&folder, &found.checkpoint)
}

/// Removes what killed processes left unfinished in the run in `folder`, which nobody else writes to.
///
/// # Errors
/// A folder that cannot be written.
pub fn sweep(folder: &Folder) -> Result<()> {
    folder.clear_unfinished(Duration::ZERO)?;
    folder.folder(FOLDER)?.clear_unfinished(Duration::ZERO)
}

/// SHA-256 of names, shapes and numbers of the weights among `tensors`.
pub fn weights_sha256(tensors: &BTreeMap<String, Tensor>) -> Result<String> {
    let bytes = checkpoint::to_safetensors(&snapshot::weights(tensors), Default::default())?;
    Ok(hex(&Sha256::digest(bytes)))
}
