//! `signet export`, and the part of `signet train` that is the same.

use anyhow::Result;

use crate::cli::ExportArguments;
use crate::config::Experiment;
use crate::export::artefacts;
use crate::messages::{self, shell_quote};
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::interrupt::Interrupt;
use crate::run::resume::{self, CheckpointRef};
use crate::run::session::Session;
use crate::run::source::source_of;

pub(super) fn run(command: ExportArguments) -> Result<()> {
    let folder = RunDir::open(&command.run)?;
    let found = resume::find(&folder, &command.from)?;
    found.report();
    let document = &found.checkpoint.document;
    let is_license = |set: &String| set.starts_with("export.license=");
    let (license, moved): (Vec<_>, Vec<_>) = command.set.into_iter().partition(is_license);
    let source = source_of(Some(&folder), &document.config, &moved)?;
    let mut wanted = resume::experiment(document, &license)?.export;
    if !command.format.is_empty() {
        wanted.formats = command.format;
    }
    let interrupt = Interrupt::listen()?;
    let exported = artefacts::export(
        &folder,
        &found,
        &source,
        &wanted,
        command.out.as_deref(),
        None,
        &interrupt,
    )?;
    messages::show_text(&summary::exported(&exported).to_string())
}

/// Exports the best epoch of a run that has ended, if its experiment wants that; `trained_by` this process, if it was.
pub(super) fn on_finish(
    experiment: &Experiment,
    folder: &RunDir,
    trained_by: Option<&Session>,
    interrupt: &Interrupt,
) -> Result<()> {
    if !experiment.export.on_finish {
        return Ok(());
    }
    let found = resume::find(folder, &CheckpointRef::Best)?;
    found.report();
    let (source, wanted) = (&experiment.data.source, &experiment.export);
    let exported = artefacts::export(folder, &found, source, wanted, None, trained_by, interrupt);
    let exported = exported.map_err(|error| match interrupt.signal() {
        Some(_) => error.context(format!(
            "the model is trained but not exported; export it with `signet resume {}`",
            shell_quote(folder.path())
        )),
        None => error,
    })?;
    messages::show_text(&summary::exported(&exported).to_string())
}

/// As [`on_finish`], for a run that ended earlier and may have been killed before it was exported.
pub(super) fn unless_done(experiment: &Experiment, folder: &RunDir) -> Result<()> {
    let found = resume::find(folder, &CheckpointRef::Best)?;
    if artefacts::are_there(folder, &found, &experiment.export.formats)? {
        Ok(())
    } else {
        on_finish(experiment, folder, None, &Interrupt::listen()?)
    }
}
