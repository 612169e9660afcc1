//! From a file that anybody may have written to YAML values: bounded in size and depth, with
//! messages of our own where the parser's would not help.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_yaml::Value;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Sections within sections, at most: whoever reads them calls itself for each.
pub const DEEPEST: usize = 32;

/// What is wrong with a text or a key that is nested deeper.
pub const TOO_DEEP: &str = "nested more than 32 levels deep, the most that is read";

/// Why a text is no document.
pub struct Misread {
    /// Line and column, from 1, where they are known.
    pub at: Option<(usize, usize)>,
    /// What is wrong and what to do.
    pub message: String,
}

/// The text of `file`.
///
/// # Errors
/// A file that cannot be read, is larger than any experiment, or not in UTF-8.
pub fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let opened = File::open(file);
    let read = opened.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        format!("cannot read this experiment ({error}); shipped ones lie in configs/")
    })?;
    if bytes.len() as u64 > LARGEST {
        let most = LARGEST >> 10;
        return Err(format!("larger than {most} KiB, the most that is read"));
    }
    // UTF-16 begins with a mark, or with a zero in its first character, which is ASCII.
    let utf_16 = bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || bytes.iter().take(2).any(|byte| *byte == 0);
    if utf_16 {
        return Err("written in UTF-16; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        format!("line {line} is not UTF-8; save the file as UTF-8")
    })
}

/// The value that `text` writes down.
///
/// # Errors
/// Text that is not YAML, or nested too deep.
pub fn parse(text: &str) -> Result<Value, Misread> {
    if let Some(line) = too_deep(text) {
        return Err(Misread {
            at: Some((line, 1)),
            message: TOO_DEEP.to_owned(),
        });
    }
    serde_yaml::from_str(text).map_err(|error| Misread {
        at: error.location().map(|at| (at.line(), at.column())),
        message: what_is_wrong(&error, text),
    })
}

/// Line and column of a key that stands twice in one section of `text`, for the second time; the parser says where the section
/// begins.
pub fn second(text: &str, misread: &Misread) -> Option<(usize, usize)> {
    let key = misread
        .message
        .split_once("duplicate entry with key \"")?
        .1
        .split('"')
        .next()?;
    let (line, column) = misread.at?;
    let is_it = |text: &str| {
        let found = text
            .get(column - 1..)
            .unwrap_or_default()
            .trim_start_matches(['"', '\'']);
        let indented = text
            .get(..column - 1)
            .is_some_and(|before| before.trim().is_empty());
        let rest = found.strip_prefix(key).unwrap_or_default();
        indented
            && rest
                .trim_start_matches(['"', '\''])
                .trim_start()
                .starts_with(':')
    };
    let lines = text.lines().enumerate().skip(line - 1);
    let mut places = lines
        .filter(|(_, text)| is_it(text))
        .map(|(at, _)| (at + 1, column));
    places.nth(1)
}

/// The line of `text` in which more brackets are open than in any experiment. The parser's time grows with the square of
/// their number, so they are counted first; those in quotations count, too, and are never so many.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = 0usize;
    for (number, line) in text.lines().enumerate() {
        for c in line.chars() {
            match c {
                '{' | '[' => open += 1,
                '}' | ']' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > DEEPEST {
                return Some(number + 1);
            }
        }
    }
    None
}

/// What the parser's `error` means for the author of `text`.
fn what_is_wrong(error: &serde_yaml::Error, text: &str) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let line = error.location().map_or(1, |at| at.line());
    let line = text.lines().nth(line - 1).unwrap_or_default();
    let indented_by = &line[..line.len() - line.trim_start().len()];
    let huge = message
        .split_once("integer `")
        .and_then(|(_, rest)| rest.split_once("` as "));
    if indented_by.contains('\t') {
        "not valid YAML: tabs cannot indent YAML; use spaces".to_owned()
    } else if let Some((number, _)) = huge {
        format!(
            "not usable: {number} is beyond whole numbers, which go from {} to {}",
            i64::MIN,
            u64::MAX
        )
    } else if message.contains("more than one document") {
        "not valid YAML: the file holds more than one document; remove all lines --- but the first"
            .to_owned()
    } else if message == "repetition limit exceeded" || message == "recursion limit exceeded" {
        "its aliases (*NAME) stand for more than is read, or for themselves; write out what they stand for"
            .to_owned()
    } else {
        format!("not valid YAML: {message}")
    }
}
