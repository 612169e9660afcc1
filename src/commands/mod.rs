//! One file per verb, each wiring the parts of signet together; decisions live in those parts.

mod config;
mod data;
mod doctor;
mod eval;
mod resume;
mod train;

use std::path::Path;

use crate::cli::{Arguments, Command, Overrides};
use crate::config::Experiment;
use crate::fault::{Blame, Fault};
use crate::model::plan;

/// Does what the command line asks for.
///
/// # Errors
/// Whatever went wrong, marked with whose fault it is.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Train(command) => train::run(command, arguments.progress),
        Command::Resume(command) => resume::run(command, arguments.progress),
        Command::Eval(command) => eval::run(command),
        Command::Doctor => doctor::run(),
        Command::Config(command) => config::run(command),
        Command::Data(command) => data::run(command),
    }
}

/// Reads an experiment under every rule there is.
fn load(file: &Path, overrides: &Overrides) -> anyhow::Result<Experiment> {
    Experiment::load(file, &overrides.set, &[plan::check]).blame(Fault::Config)
}
