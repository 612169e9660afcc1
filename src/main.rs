//! The front door: arguments in, exit code out.

use std::process::ExitCode;

// Listed here and not in the library, so that programs linked with the library keep their arguments.
signet::before_libraries!(signet::cli::parse);

fn main() -> ExitCode {
    signet::commands::main()
}
