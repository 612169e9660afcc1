//! `signet report`, and the part of training commands that is the same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cli::ReportArguments;
use crate::config::Experiment;
use crate::disk::{self, Folder};
use crate::distributed::Ranks;
use crate::export::card::Card;
use crate::messages::shell_quote;
use crate::report::examination::{Examination, Unexamined};
use crate::report::files;
use crate::report::page;
use crate::report::plots::Plot;
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
        let out = command.out.as_deref();
        match CatalogEntry::open(folder)? {
            CatalogEntry::Run(entry) => of_run(&entry, &command.moved.set, out)?,
            CatalogEntry::Study(_) => of_study(folder, out)?,
        };
        let page = out.map_or_else(|| folder.join(files::PAGE), Path::to_owned);
        return crate::show!("the report is {}", page.display());
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
    disk::write_named(file, page::comparison(&entries)?.as_bytes())?;
    crate::show!("the report is {}", file.display())
}

/// Writes the report of a run that some other process trained, or trains: its page into `out`, or page and plots into its
/// directory. Answers with the page.
fn of_run(entry: &RunEntry, moved: &[String], out: Option<&Path>) -> Result<String> {
    let folder = RunDir::open(&entry.path)?;
    let examined = examine(&folder, moved);
    if let Err(error) = &examined {
        crate::status!("signet: the images are left out of the report: {error:#}");
    }
    if examined.is_err() && out.is_none() && folder.file(files::PAGE).exists() {
        bail!(
            "{} is there and may have been made with them, so it stays as it is; --out FILE writes one without them",
            folder.file(files::PAGE).display()
        );
    }
    let examined = examined.map_err(|error| unexamined(&folder, &error));
    let report = RunReport::gather(&folder, entry.state, examined)?;
    written_of(&report, &folder, out)
}

/// A run whose images could not be looked at because of `error`.
fn unexamined(folder: &RunDir, error: &anyhow::Error) -> Unexamined {
    let newest = checkpoints::newest(folder.path());
    Unexamined {
        why: format!("The images could not be looked at: {error:#}"),
        classes: newest.map_or_else(|_| Vec::new(), |newest| newest.checkpoint.document.classes),
        images: Arc::default(),
    }
}

/// Writes `page` into `out`, or it and its `plots` into `folder`. Answers with the page.
fn written(folder: &Folder, plots: &[Plot], page: String, out: Option<&Path>) -> Result<String> {
    match out {
        Some(file) => disk::write_named(file, page.as_bytes())?,
        None => files::write(folder, plots, &page)?,
    }
    Ok(page)
}

/// As [`written`], of `report`.
fn written_of(report: &RunReport, folder: &RunDir, out: Option<&Path>) -> Result<String> {
    let plots = report.plots();
    let page = page::run(report, &plots, false)?;
    written(folder.folder(), &plots, page, out)
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
    let criterion = Criterion::new(&experiment.train.loss, None, network.device()); // no loss is asked for
    let trainer = Trainer {
        experiment: &experiment,
        network: &network,
        images: &data,
        split: &split,
        criterion: &criterion,
        ranks: &Ranks::alone(),
    };
    Examination::of(&trainer, card.epoch)
}

/// Writes the report of the study in `folder`: its page into `out`, or page and plots into the folder. Answers with the page.
pub(super) fn of_study(folder: &Path, out: Option<&Path>) -> Result<String> {
    let report = StudyReport::gather(folder)?;
    let plots = report.plots();
    let page = page::study(&report, &plots, false)?;
    written(&Folder::open(folder)?, &plots, page, out)
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
        let examined = examined.map_err(|error| unexamined(folder, &error));
        written_of(&RunReport::gather(folder, state, examined)?, folder, None)
    })
}

/// As [`on_finish`], for a run that ended earlier and may have been killed before it was told of.
pub(super) fn unless_done(experiment: &Experiment, folder: &RunDir) {
    if experiment.log.report && !folder.file(files::PAGE).exists() {
        or_said(folder.path(), || {
            of_run(&RunEntry::open(folder.path())?, &[], None)
        });
    }
}

/// What `work` gives, or else says why the run or study in `folder` has no report, whatever kept it from having one.
pub(super) fn or_said(folder: &Path, work: impl FnOnce() -> Result<String>) -> Option<String> {
    // A panic has said in a line what it was.
    let made = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| bail!("see above"));
    match made.context("the report is not written") {
        Ok(page) => Some(page),
        Err(error) => {
            let folder = shell_quote(folder);
            crate::status!("signet: {error:#}; `signet report {folder}` writes it");
            None
        }
    }
}
