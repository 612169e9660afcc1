//! `signet resume`, and the part of `signet train --resume` that is the same.

use std::path::Path;

use anyhow::Result;

use super::export;
use super::launch::go;
use super::live;
use super::prove;
use super::report;
use crate::cli::{LiveArguments, ResumeArguments};
use crate::export::artefacts;
use crate::messages::{self, Level};
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::display::Style;
use crate::run::resume::{self, CheckpointRef, RequestedExperiment, ResumeRequest, Resumed};

pub(super) fn run(command: ResumeArguments, style: Style) -> Result<()> {
    if command.prove {
        return prove::run(&command, style);
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
    go_on(&command.run, request, command.until, command.live, style)
}

/// Goes on with the run in `folder`.
pub(super) fn go_on(
    folder: &Path,
    request: ResumeRequest,
    until: Option<usize>,
    live: LiveArguments,
    style: Style,
) -> Result<()> {
    let live = live::bind(&live)?;
    let folder = RunDir::open(folder)?;
    let ready = match resume::prepare(&folder, request)? {
        Resumed::Ready(ready) => ready,
        Resumed::Complete(experiment, progress) => {
            let exported = export::unless_done(&experiment, &folder);
            report::unless_done(&experiment, &folder);
            exported?;
            let shown = summary::complete(&experiment, &progress, folder.path());
            return crate::show!("{shown}");
        }
    };
    let (session, folder) = (&ready.session, &ready.folder);
    artefacts::can_end(&session.experiment)?;
    if style.is_for_people() && !ready.changes.is_empty() {
        messages::note_text(Level::Usual, &summary::changes(&ready.changes).to_string());
    }
    let state = session.trainer().restore(&ready.snapshot)?;
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
    go(session, folder, state, until, live, style)
}
