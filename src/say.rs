//! Saying things to people. Nobody may be listening any more, and that is no reason to stop a training.

/// A line on standard error; if it cannot be written, nobody hears it.
#[macro_export]
macro_rules! note {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

/// A line on standard output. A reader who has gone (`| head`) has heard enough; a disk that is full has not,
/// and ends the program with the exit code for runs.
#[macro_export]
macro_rules! answer {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        $crate::say::heard(writeln!(std::io::stdout(), $($words)*));
    }};
}

/// Judges what became of a line on standard output.
pub fn heard(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        note!("signet: cannot write to standard output: {error}");
        std::process::exit(crate::fault::Fault::Run as i32);
    }
}
