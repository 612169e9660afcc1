//! The front door: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    signet::fault::report_panics_in_one_line();
    let arguments = signet::cli::Arguments::parse();
    match std::panic::catch_unwind(|| signet::commands::run(arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("signet: {error:#}");
            ExitCode::from(signet::fault::fault_of(&error) as u8)
        }
        Err(_) => ExitCode::from(signet::fault::Fault::Internal as u8),
    }
}
