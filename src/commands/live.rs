//! `--live`: the page of what a command is doing, while it does it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::LiveArguments;
use crate::report::examination::Unexamined;
use crate::report::live::{Live, Subject};
use crate::report::page;
use crate::report::run_report::RunReport;
use crate::report::study_report::StudyReport;
use crate::run::directory::RunDir;
use crate::run::logs;
use crate::run::session::Session;
use crate::study::catalog::RunState;

/// Serves the page of the run in `folder`, if that is wanted, and says where.
pub(super) fn of_run(
    request: &LiveArguments,
    session: &Session,
    folder: &RunDir,
) -> Result<Option<Live>> {
    if !request.live {
        return Ok(None);
    }
    let known = Unexamined::while_training(&session.data, &session.split)?;
    let (own, watched) = (folder.clone(), folder.clone());
    let page = move || {
        let known = Unexamined {
            why: known.why.clone(),
            images: known.images.clone(),
        };
        page::run(
            &RunReport::gather(&own, RunState::Running, Err(known))?,
            true,
        )
    };
    let version = move || logs::lengths(watched.path()).map_or(0, |lengths| lengths.values().sum());
    serve(request, page, version).map(Some)
}

/// Serves the page of the study in `folder`, if that is wanted, and says where.
pub(super) fn of_study(request: &LiveArguments, folder: &Path) -> Result<Option<Live>> {
    if !request.live {
        return Ok(None);
    }
    let (own, watched): (PathBuf, PathBuf) = (folder.to_owned(), folder.to_owned());
    let page = move || page::study(&StudyReport::gather(&own)?, true);
    let version = move || {
        let trials = std::fs::read_dir(&watched).into_iter().flatten().flatten();
        let written = |trial: PathBuf| {
            logs::lengths(&trial).map_or(0, |lengths| lengths.values().sum::<u64>())
        };
        trials.map(|trial| written(trial.path())).sum()
    };
    serve(request, page, version).map(Some)
}

fn serve(
    request: &LiveArguments,
    page: impl Fn() -> Result<String> + Send + Sync + 'static,
    version: impl Fn() -> u64 + Send + Sync + 'static,
) -> Result<Live> {
    let subject = Subject {
        page: Box::new(page),
        version: Box::new(version),
    };
    let live = Live::serve(subject, request.port)?;
    crate::status!("live: {}", live.address());
    Ok(live)
}
