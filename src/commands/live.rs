//! `--live`: the page of what a command is doing, while it does it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::LiveArguments;
use crate::messages::{self, Level};
use crate::report::examination::Unexamined;
use crate::report::live::{Live, LivePort, Subject};
use crate::report::page;
use crate::report::run_report::RunReport;
use crate::report::study_report::StudyReport;
use crate::run::directory::RunDir;
use crate::run::logs;
use crate::run::session::Session;
use crate::study::catalog::RunState;

/// Takes the port that is to be served on, if one is; before anything is made.
pub(super) fn bind(request: &LiveArguments) -> Result<Option<LivePort>> {
    let port = request.live.then(|| LivePort::bind(request.port));
    port.transpose()
}

/// Serves the page of the run in `folder`, and says where.
pub(super) fn of_run(port: LivePort, session: &Session, folder: &RunDir) -> Result<Live> {
    let known = Unexamined::while_training(&session.data, &session.split)?;
    let (own, watched) = (folder.clone(), folder.clone());
    let page = move || {
        let report = RunReport::gather(&own, RunState::Running, Err(known.clone()))?;
        page::run(&report, &report.plots(), true)
    };
    let version = move || logs::lengths(watched.path()).map_or(0, |lengths| lengths.values().sum());
    serve(port, page, version)
}

/// Serves the page of the study in `folder`, and says where.
pub(super) fn of_study(port: LivePort, folder: &Path) -> Result<Live> {
    let (own, watched): (PathBuf, PathBuf) = (folder.to_owned(), folder.to_owned());
    let page = move || {
        let report = StudyReport::gather(&own)?;
        page::study(&report, &report.plots(), true)
    };
    let version = move || {
        let trials = std::fs::read_dir(&watched).into_iter().flatten().flatten();
        let written = |trial: PathBuf| {
            logs::lengths(&trial).map_or(0, |lengths| lengths.values().sum::<u64>())
        };
        trials.map(|trial| written(trial.path())).sum()
    };
    serve(port, page, version)
}

fn serve(
    port: LivePort,
    page: impl Fn() -> Result<String> + Send + Sync + 'static,
    version: impl Fn() -> u64 + Send + Sync + 'static,
) -> Result<Live> {
    let subject = Subject {
        page: Box::new(page),
        version: Box::new(version),
    };
    let live = Live::serve(subject, port)?;
    // Whoever asks for it wants to know where it is, however quiet the rest is to be.
    messages::note(Level::Quiet, format_args!("live: {}", live.address()));
    Ok(live)
}
