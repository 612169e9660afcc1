//! Showing on a user's own run that it repeats: train again from an earlier checkpoint to a later one, and
//! compare everything.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use tch::Tensor;

use super::checkpoint::Checkpoint;
use super::checkpoints;
use super::directory::RunDir;
use super::logs::Logs;
use super::resume::{self, CheckpointRef};
use super::session::Session;
use crate::config::Experiment;
use crate::config::train::Reduction;
use crate::disk::{self, Folder};
use crate::distributed::Ranks;
use crate::train::event::Observer;
use crate::train::progress::Progress;
use crate::train::trainer::Pause;

/// What training the same steps again gave.
#[derive(Debug)]
pub struct Proof {
    /// Step it trained from.
    pub from: usize,
    /// Step it trained to.
    pub to: usize,
    /// Tensors compared.
    pub tensors: usize,
    /// Bytes of `metrics.jsonl` compared.
    pub metrics_bytes: u64,
    /// What differs, first things first; nothing in a run that repeats.
    pub differences: Vec<String>,
    /// What may have caused it.
    pub causes: Vec<String>,
}

/// Two checkpoints of one run, the earlier one first.
pub struct Pair {
    /// To train from.
    pub earlier: Checkpoint,
    /// To arrive at.
    pub later: Checkpoint,
}

/// The checkpoints to compare: the newest valid one, and the one `from` names, or else the oldest.
///
/// # Errors
/// There are no two.
pub fn choose(folder: &RunDir, from: Option<&CheckpointRef>) -> Result<Pair> {
    let later = checkpoints::newest(folder.path())?.checkpoint;
    // What was trained under other settings would not come out again under these.
    let comparable = |earlier: &Checkpoint| {
        let (then, now) = (&earlier.document, &later.document);
        let same = then.config == now.config && then.progress.extensions == now.progress.extensions;
        same && then.progress.step < now.progress.step
    };
    let earlier = match from {
        Some(from) => Some(resume::find(folder, from)?.checkpoint).filter(comparable),
        None => {
            let mut all = checkpoints::list(folder.path())?.into_iter().rev();
            all.find_map(|(_, file)| Checkpoint::load(&file).ok().filter(comparable))
        }
    };
    let earlier = earlier.with_context(|| {
        format!(
            "{} has no earlier checkpoint of the same settings to train from; keep more with checkpoint.keep_last",
            folder.path().display()
        )
    })?;
    Ok(Pair { earlier, later })
}

/// Trains from one checkpoint of `pair` to the other in a temporary folder, telling `listener`.
///
/// # Errors
/// A run that cannot be reopened or trained; a difference is no error.
pub fn prove(
    folder: &RunDir,
    pair: Pair,
    experiment: Experiment,
    listener: &mut dyn Observer,
) -> Result<Proof> {
    let Pair { earlier, later } = pair;
    let temporary = std::env::temp_dir();
    let scratch = Folder::open(&temporary)
        .and_then(|folder| folder.unfinished())
        .with_context(|| {
            format!(
                "cannot work in {}; TMPDIR names another",
                temporary.display()
            )
        })?;
    let processes = later.document.environment.processes;
    ensure!(
        processes == 1 || experiment.train.reduction == Reduction::Tree,
        "the run was trained on {processes} processes with train.reduction: flat, whose bits one process cannot give"
    );
    let ranks = Rc::new(Ranks::alone());
    let session = Session::reopen(experiment, &later.document, Some(folder), ranks)?;
    let trainer = session.trainer();
    let (from, then) = (
        earlier.document.progress.step,
        earlier.document.logs.clone(),
    );
    let start = earlier.snapshot();
    let mut state = trainer.restore(&start)?;
    let copy = RunDir::at(scratch.folder().clone());
    let mut logs = Logs::open(&session, &copy)?;
    let goal = &later.document.progress;
    let arrived =
        |now: &Progress| (now.epoch, now.images) == (goal.epoch, goal.images) && now.step > from;
    let pause = Pause::when(&arrived);
    trainer.run(&mut state, &mut [&mut logs, listener], &pause)?;

    let mut differences = Vec::new();
    let mut expect = |same: bool, what: String| {
        if !same {
            differences.push(what);
        }
    };
    let now = state.snapshot()?;
    ensure!(
        now.tensors.len() == later.tensors.len(),
        "the checkpoints hold different tensors"
    );
    for (name, then) in &later.tensors {
        match now.tensors.get(name) {
            Some(now) => {
                let (same, what) = compare(name, then, now)?;
                expect(same, what);
            }
            None => expect(false, format!("{name}, which is gone")),
        }
    }
    expect(
        now.sums == later.document.sums,
        "sums of the epoch under way".to_owned(),
    );
    expect(&now.progress == goal, "best epochs or counters".to_owned());
    let log = "metrics.jsonl";
    let written = disk::read(&copy.file(log)).unwrap_or_default();
    let recorded = disk::read(&folder.file(log)).unwrap_or_default();
    let length = |logs: &BTreeMap<String, u64>| logs.get(log).copied().unwrap_or(0) as usize;
    let recorded = recorded
        .get(length(&then)..length(&later.document.logs))
        .unwrap_or_default();
    expect(
        written == recorded,
        format!("{log} from byte {} on", length(&then)),
    );
    let mut causes = later.document.environment.differences(&session.environment);
    let held = std::fs::metadata(folder.file(log)).map_or(0, |found| found.len());
    if held < length(&later.document.logs) as u64 {
        causes.push(format!("{log} has lost lines since it was written"));
    }
    if session.device.is_cuda() && !session.experiment.train.deterministic {
        causes.push("train.deterministic is off, so CUDA kernels may add in any order".to_owned());
    }
    Ok(Proof {
        from,
        to: goal.step,
        tensors: later.tensors.len(),
        metrics_bytes: recorded.len() as u64,
        differences,
        causes,
    })
}

/// Whether two tensors are equal bit for bit, and the first place where they are not.
fn compare(name: &str, then: &Tensor, now: &Tensor) -> Result<(bool, String)> {
    let numbers = |tensor: &Tensor| -> Result<Vec<f64>> {
        Ok(Vec::try_from(
            tensor.to_kind(tch::Kind::Double).contiguous().view([-1]),
        )?)
    };
    let (then, now) = (numbers(then)?, numbers(now)?);
    let different = |(a, b): (&f64, &f64)| a.to_bits() != b.to_bits();
    let first = then.iter().zip(&now).position(different);
    Ok(match first {
        None => (then.len() == now.len(), name.to_owned()),
        Some(at) => (
            false,
            format!(
                "{name}: number {at} was {:?} and is {:?}",
                then[at], now[at]
            ),
        ),
    })
}
