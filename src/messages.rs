//! Saying things to people. Nobody may be listening any more, and that is no reason to stop a training.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{StderrLock, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;

use crate::bridge::first_words;
use crate::fault::{Blame, Fault};

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
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also in files and pipes.
    Always,
    /// No colour.
    Never,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Usual as u8);
static JSON: AtomicBool = AtomicBool::new(false);
/// The rank of this process among several.
static RANK: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Whether a frame of bars stands at the cursor, which waits at its start.
static PAINTED: AtomicBool = AtomicBool::new(false);

/// Settles how much is said, whether in colour, and whether notes are JSON objects, for the whole process.
pub fn set_up(level: Level, color: ColorChoice, json: bool) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    JSON.store(json, Ordering::Relaxed);
    // CLICOLOR_FORCE would outdo it.
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colors = match color {
        ColorChoice::Auto if !refused => return,
        ColorChoice::Auto | ColorChoice::Never => false,
        ColorChoice::Always => true,
    };
    console::set_colors_enabled(colors);
    console::set_colors_enabled_stderr(colors);
}

/// Names the rank of this process in its errors, and has all but the first say nothing else.
pub fn speak_as(rank: usize) {
    RANK.store(rank, Ordering::Relaxed);
    if rank > 0 {
        LEVEL.store(Level::Quiet as u8, Ordering::Relaxed);
    }
}

/// Whether things of `level` are said.
pub fn says(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// `text`, a path for example, as one word of a shell, for commands that people are to copy.
pub fn shell_quote(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref().to_string_lossy();
    match shlex::try_quote(&text) {
        Ok(word) if !text.contains(is_hidden) => word.into_owned(),
        // What a terminal would obey is escaped, as bash, zsh and ksh read it.
        _ => {
            let inside = text.replace('\\', r"\\").replace('\'', r"\'");
            let shown = inside.chars().map(|c| {
                if is_hidden(c) {
                    format!("\\u{:04x}", c as u32)
                } else {
                    c.to_string()
                }
            });
            format!("$'{}'", shown.collect::<String>())
        }
    }
}

/// Whether a terminal would obey `c` instead of showing it: control characters, and those that turn the direction of
/// writing around. Or whether nobody would see it, such as a soft hyphen, which some terminals give a column, and others none.
pub fn is_hidden(c: char) -> bool {
    let unseen = matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}');
    unseen || c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` on one line, with escapes for what a terminal would obey: names of files and classes may hold anything.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| {
        if is_hidden(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    Cow::Owned(shown.collect())
}

/// The name errors begin with.
pub fn name() -> console::StyledObject<&'static str> {
    console::style("signet:").red().bold().for_stderr()
}

/// A line on standard error; if it cannot be written, nobody hears it.
#[macro_export]
macro_rules! status {
    ($($words:tt)*) => { $crate::note_at!($crate::messages::Level::Usual, $($words)*) };
}

/// A line on standard error that --verbose shows.
#[macro_export]
macro_rules! verbose {
    ($($words:tt)*) => { $crate::note_at!($crate::messages::Level::Verbose, $($words)*) };
}

/// A line on standard error that is said at `level` and above.
#[macro_export]
macro_rules! note_at {
    ($level:expr, $($words:tt)*) => {
        $crate::messages::note($level, format_args!($($words)*))
    };
}

/// Says `words` at `level`; as a JSON object where programs read along.
pub fn note(level: Level, words: std::fmt::Arguments) {
    let words = words.to_string();
    note_lines(level, &words, [&*words]);
}

/// The same for a text of many lines, whose names are [`escaped`] already.
pub fn note_text(level: Level, text: &str) {
    note_lines(level, text, text.lines());
}

fn note_lines<'t>(level: Level, text: &str, lines: impl IntoIterator<Item = &'t str>) {
    if !says(level) {
        return;
    }
    let mut stderr = stderr();
    if JSON.load(Ordering::Relaxed) {
        let _ = writeln!(stderr, "{}", json!({"note": first_words(text)}));
        return;
    }
    for line in lines {
        let _ = writeln!(stderr, "{}", escaped(&first_words(line)));
    }
}

/// Paints `frame`, which leaves the cursor at its start, in place of the one before it; nothing, if there is none.
///
/// # Errors
/// A terminal that cannot be written to.
pub fn paint(frame: Option<&str>) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    let text = format!("{CLEAR}{}", frame.unwrap_or_default());
    PAINTED.store(frame.is_some(), Ordering::Relaxed);
    stderr.write_all(text.as_bytes())
}

/// Clears all from the start of the line on. A terminal that is told so in its first column takes the screen for finished,
/// and may keep it above the new one, so it is told so in the second.
const CLEAR: &str = "\r \x1b[J\r";

/// Standard error for a message, without bars, which are painted again below it.
fn stderr() -> StderrLock<'static> {
    let mut stderr = std::io::stderr().lock();
    if PAINTED.swap(false, Ordering::Relaxed) {
        let _ = stderr.write_all(CLEAR.as_bytes());
    }
    stderr
}

/// Hands a JSON object to programs that read along.
pub fn record(object: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{object}");
}

/// An error on standard error, whatever the level.
#[macro_export]
macro_rules! error {
    ($($words:tt)*) => { $crate::messages::complain(&[format!($($words)*)]) };
}

/// Says what is wrong, in one line for each, whatever the level.
pub fn complain(problems: &[String]) {
    let mut stderr = stderr();
    let mut begin = format!("{} ", name());
    match RANK.load(Ordering::Relaxed) {
        usize::MAX => {}
        rank => begin += &format!("rank {rank}: "),
    }
    for problem in problems {
        let _ = writeln!(stderr, "{begin}{}", escaped(&first_words(problem)));
        begin.clear();
    }
}

/// A line for people on standard output, and whether it was heard, as [`out!`](crate::out) judges it.
#[macro_export]
macro_rules! show {
    ($($words:tt)*) => { $crate::out!("{}", $crate::messages::escaped(&format!($($words)*))) };
}

/// A text of many lines for people on standard output, whose names are [`escaped`] already.
///
/// # Errors
/// As [`heard`].
pub fn show_text(text: &str) -> anyhow::Result<()> {
    text.lines().try_for_each(|line| crate::show!("{line}"))
}

/// A line on standard output as it is, for programs or made of what is [`messages::escaped`](escaped) already, and whether
/// it was [`heard`](crate::messages::heard).
#[macro_export]
macro_rules! out {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        $crate::messages::heard(writeln!(std::io::stdout(), $($words)*))
    }};
}

/// Judges what became of something `written` to standard output. A reader who has gone (`| head`) has heard enough.
///
/// # Errors
/// Anything else that cannot be written, such as on a full disk: a fault of the run.
pub fn heard(written: std::io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error)
            .context("cannot write to standard output")
            .blame(Fault::Run),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_the_rest_is_left() {
        let cases = [
            ("plain é 日 text", "plain é 日 text"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a\r\nb\t\u{85}\u{202e}", "a\\r\\nb\\t\\u{85}\\u{202e}"),
            ("a\u{ad}b\u{200b}\u{feff}", "a\\u{ad}b\\u{200b}\\u{feff}"),
            ("👩\u{200d}👧 می\u{200c}شود", "👩\u{200d}👧 می\u{200c}شود"),
        ];
        for (text, shown) in cases {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn a_path_that_is_copied_into_a_shell_is_the_same_path() {
        for name in ["r", "my run", "it's", "$HOME", "é*,~", "a\nb'\\\x1b", ""] {
            let script = format!("printf %s {}", shell_quote(name));
            let output = std::process::Command::new("bash")
                .args(["-c", &script])
                .output();
            assert_eq!(output.unwrap().stdout, name.as_bytes(), "{script}");
        }
    }
}
