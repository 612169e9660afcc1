//! The front door: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = signet::cli::Arguments::parse();
    match signet::commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signet: {error:#}");
            ExitCode::from(signet::fault::fault_of(&error) as u8)
        }
    }
}
