//! Saying things to people. Nobody may be listening any more, and that is no reason to stop a training.

use std::sync::atomic::{AtomicU8, Ordering};

use clap::ValueEnum;

/// How much is said on standard error beside errors, which always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Quiet,
    /// What one needs to know.
    Usual,
    /// Also what one may want to know.
    Verbose,
}

/// Whether words and bars are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Usual as u8);

/// Settles how much is said, and whether in colour, for the whole process.
pub fn set_up(level: Level, color: Color) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    if color != Color::Auto {
        console::set_colors_enabled(color == Color::Always);
        console::set_colors_enabled_stderr(color == Color::Always);
    }
}

/// Whether things of `level` are said.
pub fn says(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// The name errors begin with.
pub fn name() -> console::StyledObject<&'static str> {
    console::style("signet:").red().bold().for_stderr()
}

/// A line on standard error; if it cannot be written, nobody hears it.
#[macro_export]
macro_rules! note {
    ($($words:tt)*) => { $crate::note_at!($crate::say::Level::Usual, $($words)*) };
}

/// A line on standard error for those who asked for more.
#[macro_export]
macro_rules! detail {
    ($($words:tt)*) => { $crate::note_at!($crate::say::Level::Verbose, $($words)*) };
}

/// A line on standard error that is said at `level` and above.
#[macro_export]
macro_rules! note_at {
    ($level:expr, $($words:tt)*) => {
        if $crate::say::says($level) {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), $($words)*);
        }
    };
}

/// An error on standard error, whatever the level.
#[macro_export]
macro_rules! complain {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "{} {}", $crate::say::name(), format_args!($($words)*));
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
        complain!("cannot write to standard output: {error}");
        std::process::exit(crate::fault::Fault::Run as i32);
    }
}
