//! `signet resume`, and the part of `signet train --resume` that is the same.

use std::path::Path;
use std::rc::Rc;

use anyhow::Result;

use super::export;
use super::launch::{follow, go};
use super::live;
use super::prove;
use super::report;
use crate::cli::{LiveArguments, ResumeArguments};
use crate::config::Experiment;
use crate::config::run::TIMEOUT;
use crate::distributed::Ranks;
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
    // What is wrong with these settings is said by the process that sees the run.
    let own = command.run.join("resolved.yaml");
    let own = Experiment::load(&own, &command.overrides.set, &[]);
    let ranks = super::meet(own.map_or(TIMEOUT, |own| own.run.timeout))?;
    let resumed = resume(command, &ranks, style);
    ranks.told(resumed)
}

fn resume(command: ResumeArguments, ranks: &Rc<Ranks>, style: Style) -> Result<()> {
    if !ranks.is_first() {
        return follow(Rc::clone(ranks), None, command.until);
    }
    if let Some(run) = ranks.run_of_earlier_attempt()? {
        return again(&run, command.until, command.live, ranks, style);
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
    go_on(
        &command.run,
        request,
        command.until,
        command.live,
        ranks,
        style,
    )
}

/// Goes on with a run that an earlier attempt of the same launcher has made or gone on with, under its own settings.
pub(super) fn again(
    run: &Path,
    until: Option<usize>,
    live: LiveArguments,
    ranks: &Rc<Ranks>,
    style: Style,
) -> Result<()> {
    crate::status!(
        "signet: the launcher has started the processes anew; going on with {}",
        run.display()
    );
    let request = ResumeRequest {
        from: CheckpointRef::Last,
        experiment: RequestedExperiment::Own(Vec::new()),
        extend: None,
        branch: None,
    };
    go_on(run, request, until, live, ranks, style)
}

/// Goes on with the run in `folder`.
pub(super) fn go_on(
    folder: &Path,
    request: ResumeRequest,
    until: Option<usize>,
    live: LiveArguments,
    ranks: &Rc<Ranks>,
    style: Style,
) -> Result<()> {
    let live = live::bind(&live)?;
    let folder = RunDir::open(folder)?;
    let ready = match resume::prepare(&folder, request, ranks)? {
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
    ranks.remember_run(folder.path())?;
    artefacts::can_end(&session.experiment)?;
    if style.is_for_people()
        && let Some(changes) = summary::resumed(&ready)
    {
        messages::note_text(Level::Usual, &changes.to_string());
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
