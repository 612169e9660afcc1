//! One file per verb, each wiring the parts of signet together; decisions live in those parts.

mod config;
mod cv;
mod data;
mod doctor;
mod eval;
mod export;
mod predict;
mod resume;
mod runs;
mod sitting;
mod study;
mod sweep;
mod train;
mod verify;

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::cli::{Arguments, Command, Overrides};
use crate::config::Experiment;
use crate::data::Dataset;
use crate::fault::{Blame, Fault};
use crate::model::plan;
use crate::run::interrupt;

/// Does what the command line asks for.
///
/// # Errors
/// Whatever went wrong, marked with whose fault it is.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    interrupt::tell_limits()?;
    let style = arguments.style();
    match arguments.command {
        Command::Train(command) => train::run(command, style),
        Command::Resume(command) => resume::run(command, style),
        Command::Cv(command) => cv::run(command, style),
        Command::Sweep(command) => sweep::run(command, style),
        Command::Runs(command) => runs::run(command),
        Command::Eval(command) => eval::run(command),
        Command::Predict(command) => predict::run(command),
        Command::Export(command) => export::run(command),
        Command::Verify(command) => verify::run(command),
        Command::Doctor => doctor::run(),
        Command::Config(command) => config::run(command),
        Command::Data(command) => data::run(command),
    }
}

/// Writes `text` to `file`; `-` is standard output.
fn write_text(file: &Path, text: &str) -> anyhow::Result<()> {
    if file == Path::new("-") {
        crate::say::heard(std::io::stdout().write_all(text.as_bytes()));
        return Ok(());
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Says which pictures were left out because they cannot be read.
fn report_skipped(data: &Dataset) {
    for (name, why) in &data.skipped {
        crate::note!("signet: left out {name}, which {why}");
    }
}

/// Reads an experiment under every rule there is.
fn load(file: &Path, overrides: &Overrides) -> anyhow::Result<Experiment> {
    Experiment::load(file, &overrides.set, &[plan::check]).blame(Fault::Config)
}
