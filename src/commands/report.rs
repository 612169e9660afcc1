//! `signet report`, and the part of training commands that is the same.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::ReportArguments;
use crate::config::Experiment;
use crate::disk::{self, Folder};
use crate::export::card::Card;
use crate::messages::shell_quote;
use crate::report::examination::{Examination, Unexamined};
use crate::report::files;
use crate::report::page;
use crate::report::run_report::RunReport;
use crate::report::study_report::StudyReport;
use crate::run::checkpoints;
use crate::run::directory::RunDir;
use crate::run::session::{self, Session};
use crate::run::source::source_of;
use crate::study::catalog::{CatalogEntry, RunEntry, RunState};
use crate::train::loss::Criterion;
use crate::train::progress::Progress;
use crate::train::snapshot;
use crate::train::trainer::Trainer;

pub(super) fn run(command: ReportArguments) -> Result<()> {
    if let [folder] = &command.runs[..] {
        let page = match CatalogEntry::open(folder)? {
            CatalogEntry::Run(entry) => of_run(&entry, &command.moved.set)?,
            CatalogEntry::Study(_) => of_study(folder)?,
        };
        return match &command.out {
            Some(file) => write(file, &page),
            None => crate::show!("the report is {}", folder.join(files::PAGE).display()),
        };
    }
    let entries: Vec<CatalogEntry> = command
        .runs
        .iter()
        .map(|run| CatalogEntry::open(run))
        .collect::<Result<_>>()?;
    let file = command
        .out
        .as_deref()
        .unwrap_or(Path::new("comparison.html"));
    write(file, &page::comparison(&entries)?)
}

fn write(file: &Path, page: &str) -> Result<()> {
    disk::write_named(file, page.as_bytes())?;
    crate::show!("the report is {}", file.display())
}

/// Writes the report of a run that some other process trained, or trains. Answers with its page.
fn of_run(entry: &RunEntry, moved: &[String]) -> Result<String> {
    let folder = RunDir::open(&entry.path)?;
    let examined = examine(&folder, moved).map_err(|error| {
        let why = format!("{error:#}");
        crate::status!("signet: the images are left out of the report: {why}");
        Unexamined::because(format!("The images could not be looked at: {why}"))
    });
    let report = RunReport::gather(&folder, entry.state, examined)?;
    let page = page::run(&report, false)?;
    files::write(folder.folder(), &report.plots(), &page)?;
    Ok(page)
}

/// What the best weights of the run in `folder` make of its images.
fn examine(folder: &RunDir, moved: &[String]) -> Result<Examination> {
    let found = checkpoints::best(folder.path())?;
    found.report();
    let card = Card::of(&found.checkpoint)?;
    let mut experiment = card.experiment()?;
    experiment.data.source = source_of(Some(folder), &card.config, moved)?;
    let then = &found.checkpoint.document.fingerprints;
    let (data, split) = session::reload(&experiment, then, Some(folder))?;
    let network = card.live(&found.checkpoint)?;
    let criterion = Criterion::new(&experiment.train.loss, None, network.device()); // nothing is trained
    let trainer = Trainer {
        experiment: &experiment,
        network: &network,
        images: &data,
        split: &split,
        criterion: &criterion,
    };
    Examination::of(&trainer, card.epoch)
}

/// Writes the report of the study in `folder`. Answers with its page.
pub(super) fn of_study(folder: &Path) -> Result<String> {
    let report = StudyReport::gather(folder)?;
    let page = page::study(&report, false)?;
    files::write(&Folder::open(folder)?, &report.plots(), &page)?;
    Ok(page)
}

/// Writes the report of a run that this process has trained to its end, if its experiment wants that; answers with its page. The
/// network of `session` has the weights of the best epoch then. What keeps a report from being written is said and is no error:
/// the model is trained.
pub(super) fn on_finish(session: &Session, folder: &RunDir, progress: &Progress) -> Option<String> {
    if !session.experiment.log.report {
        return None;
    }
    let state = if progress.stopped_early(&session.experiment) {
        RunState::StoppedEarly
    } else {
        RunState::Complete
    };
    or_said(folder.path(), || {
        let found = checkpoints::best(folder.path())?;
        let network = &session.network;
        network.load(&snapshot::weights(&found.checkpoint.tensors))?;
        let epoch = found.checkpoint.document.progress.epoch - 1;
        let examined = Examination::of(&session.trainer(), epoch);
        let examined = examined.map_err(|error| {
            Unexamined::because(format!("The images could not be looked at: {error:#}"))
        });
        let report = RunReport::gather(folder, state, examined)?;
        let page = page::run(&report, false)?;
        files::write(folder.folder(), &report.plots(), &page)?;
        Ok(page)
    })
}

/// As [`on_finish`], for a run that ended earlier and may have been killed before it was told of.
pub(super) fn unless_done(experiment: &Experiment, folder: &RunDir) {
    if experiment.log.report && !folder.file(files::PAGE).exists() {
        or_said(folder.path(), || {
            of_run(&RunEntry::open(folder.path())?, &[])
        });
    }
}

/// What `work` gives, or else says why the run or study in `folder` has no report.
pub(super) fn or_said(folder: &Path, work: impl FnOnce() -> Result<String>) -> Option<String> {
    match work().context("the report is not written") {
        Ok(page) => Some(page),
        Err(error) => {
            crate::status!(
                "signet: {error:#}; `signet report {}` writes it",
                shell_quote(folder)
            );
            None
        }
    }
}
