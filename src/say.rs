//! Saying things to people. Nobody may be listening any more, and that is no reason to stop a training.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use clap::ValueEnum;
use serde_json::json;

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
static JSON: AtomicBool = AtomicBool::new(false);

/// Settles how much is said, whether in colour, and whether notes are JSON objects, for the whole process.
pub fn set_up(level: Level, color: Color, json: bool) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    JSON.store(json, Ordering::Relaxed);
    if color != Color::Auto {
        console::set_colors_enabled(color == Color::Always);
        console::set_colors_enabled_stderr(color == Color::Always);
    }
}

/// Whether things of `level` are said.
pub fn says(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// `path` as one word of a shell, for commands that people are to copy.
pub fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "_./+-=:,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
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
        $crate::say::note($level, format_args!($($words)*))
    };
}

/// Says `words` at `level`; as a JSON object where programs read along.
pub fn note(level: Level, words: std::fmt::Arguments) {
    if !says(level) {
        return;
    }
    let _ = match JSON.load(Ordering::Relaxed) {
        true => writeln!(std::io::stderr(), "{}", json!({"note": words.to_string()})),
        false => writeln!(std::io::stderr(), "{words}"),
    };
}

/// Hands a JSON object to programs that read along.
pub fn record(object: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{object}");
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
