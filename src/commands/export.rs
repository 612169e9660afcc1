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
    let (config, set) = (&found.checkpoint.document.config, &command.moved.set);
    let source = source_of(Some(&folder), config, set)?;
    let interrupt = Interrupt::listen()?;
    let formats = &command.format;
    let exported = artefacts::export(
        &folder,
        &found,
        &source,
        formats,
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
    let (source, formats) = (&experiment.data.source, &experiment.export.formats);
    let exported = artefacts::export(folder, &found, source, formats, None, trained_by, interrupt);
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
