//! One file per verb, each wiring the parts of signet together; decisions live in those parts.

mod config;
mod data;

use crate::cli::{Arguments, Command};

/// Does what the command line asks for.
///
/// # Errors
/// Whatever went wrong, marked with whose fault it is.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Config(command) => config::run(command),
        Command::Data(command) => data::run(command),
    }
}
