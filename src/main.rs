//! The front door: arguments in, exit code out.

use std::ffi::{c_char, c_int};
use std::process::ExitCode;

use clap::Parser;
use signet::config::document::Problems;

// Listed here and not in the library, so that programs linked with the library keep their arguments.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
#[used]
#[unsafe(link_section = ".preinit_array")]
static EARLY: unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char) =
    signet::bridge::before_libraries::<signet::cli::Arguments>;

fn main() -> ExitCode {
    signet::fault::report_panics_in_one_line();
    let arguments = signet::cli::Arguments::parse();
    let json = arguments.style() == signet::run::display::Style::Json;
    signet::messages::set_up(arguments.level(), arguments.color, json);
    match std::panic::catch_unwind(|| signet::commands::run(arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            complain(&error);
            ExitCode::from(signet::fault::fault_of(&error) as u8)
        }
        Err(_) => ExitCode::from(signet::fault::Fault::Internal as u8),
    }
}

/// Says what went wrong: all that is wrong with an experiment, a line each, or else one sentence.
fn complain(error: &anyhow::Error) {
    match signet::fault::cause::<Problems>(error) {
        Some(Problems(found)) => {
            let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
            signet::messages::complain(&lines);
        }
        None => signet::error!("{error:#}"),
    }
}
