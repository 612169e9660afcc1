//! `signet resume`, and the part of `signet train --resume` that is the same.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::export;
use super::launch::go;
use crate::cli::ResumeArguments;
use crate::disk::Lock;
use crate::fault::{Blame, Fault};
use crate::messages::{self, Level};
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::prove;
use crate::run::resume::{self, CheckpointRef, RequestedExperiment, ResumeRequest, Resumed};

pub(super) fn run(command: ResumeArguments, style: Style) -> Result<()> {
    if command.prove {
        return prove(&command, style);
    }
    let mut overrides = command.overrides.set;
    if let Some(epochs) = command.epochs {
        overrides.push(format!("train.epochs={epochs}"));
    }
    let request = ResumeRequest {
        from: command.from.unwrap_or(CheckpointRef::Last),
        experiment: RequestedExperiment::Own(overrides),
        extend: command.extend,
        branch: command.branch,
    };
    go_on(&command.run, request, command.until, style)
}

/// Goes on with the run in `folder`.
pub(super) fn go_on(
    folder: &Path,
    request: ResumeRequest,
    until: Option<usize>,
    style: Style,
) -> Result<()> {
    let folder = RunDir::open(folder).blame(Fault::Run)?;
    let ready = match resume::prepare(&folder, request)? {
        Resumed::Ready(ready) => ready,
        Resumed::Complete(experiment, progress) => {
            export::unless_done(&experiment, &folder)?;
            let shown = summary::complete(&experiment, &progress, folder.path());
            return crate::show!("{shown}");
        }
    };
    let (session, folder) = (&ready.session, &ready.folder);
    if style.is_for_people() && !ready.changes.is_empty() {
        messages::note_text(Level::Usual, &summary::changes(&ready.changes).to_string());
    }
    let state = session
        .trainer()
        .restore(&ready.snapshot)
        .blame(Fault::Run)?;
    if state.progress.stopped_early(&session.experiment) {
        let shown = summary::complete(&session.experiment, &state.progress, folder.path());
        crate::status!("{shown}");
    }
    for remark in &ready.remarks {
        crate::status!("signet: {remark}");
    }
    if style.is_for_people() {
        crate::status!(
            "continuing from {} (epoch {}, step {})",
            ready.from.display(),
            state.progress.epoch,
            state.progress.step
        );
    }
    go(session, folder, state, until, style)
}

fn prove(command: &ResumeArguments, style: Style) -> Result<()> {
    let folder = RunDir::open(&command.run).blame(Fault::Run)?;
    let _lock = Lock::take(folder.folder()).blame(Fault::Run)?;
    let pair = prove::choose(&folder, command.from.as_ref()).blame(Fault::Run)?;
    let experiment = resume::experiment(&pair.later.document, &[]).blame(Fault::Config)?;
    let (done, epochs) = (
        pair.earlier.document.progress.epoch - 1,
        pair.later.document.progress.epoch - 1,
    );
    let mut shown = display::listener(style, done, epochs.max(done + 1), 1);
    let proof = prove::prove(&folder, pair, experiment, shown.as_mut())?;
    crate::show!("{}", summary::proof(&proof))?;
    if proof.differences.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("training the same steps again gave different bits")).blame(Fault::Run)
    }
}
