//! The front door: arguments in, exit code out.

// Listed here and not in the library, so that programs linked with the library keep their arguments.
signet::before_libraries!(signet::commands::before_libraries);

fn main() {
    signet::bridge::process::leave(signet::commands::main())
}
