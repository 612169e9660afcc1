//! What the keys of an experiment mean: the answers of `signet config explain`, and the page `configs/README.md`.

use std::fmt::Write;

use anyhow::{Result, anyhow};

use crate::config::reference::{Line, lines, nearest_key, plain};
use crate::fault::{Blame, Fault};
use crate::report::table::Table;
use crate::run::policy;

/// Where the page lies, for those who read of a key.
const PAGE: &str = "configs/README.md";

/// All keys, a line each.
pub fn tree() -> Table {
    let mut table = Table::new(3, &["key", "default", "takes"]);
    for line in lines() {
        table.add_row([line.key.clone(), default(&line), line.takes]);
    }
    table
}

/// What `key` means. Numbers of items in lists may stand in it.
///
/// # Errors
/// There is no such key: the nearest, or the keys that take it as a value; a fault of the config.
pub fn explain(key: &str) -> Result<String> {
    let all = lines();
    let plain = plain(key, &all);
    let own: Vec<&Line> = all.iter().filter(|line| line.key == plain).collect();
    if own.is_empty() {
        return Err(unknown(key, &plain, &all)).blame(Fault::Config);
    }
    let mut text = String::new();
    for line in own {
        let kinds = if line.kinds.is_empty() {
            String::new()
        } else {
            format!(" (kind {})", line.kinds.join(", "))
        };
        let _ = writeln!(text, "{}{kinds}: {}", line.key, line.about);
        let _ = writeln!(text, "  takes    {}", line.takes);
        for (word, about) in &line.words {
            let _ = writeln!(text, "           {word}: {about}");
        }
        let _ = writeln!(text, "  default  {}", default(line));
        let _ = writeln!(
            text,
            "  resume   {}",
            policy::policy_of(&line.key).meaning()
        );
        if let (Ok(value), false) = (&line.default, line.takes == "a section") {
            let _ = writeln!(text, "  example  -s {}={value}", line.key);
        }
    }
    let below = format!("{plain}.");
    let inner: Vec<&str> = all
        .iter()
        .filter_map(|line| line.key.strip_prefix(&below))
        .filter(|rest| !rest.contains('.'))
        .collect();
    if !inner.is_empty() {
        let mut names = inner;
        names.dedup();
        let _ = writeln!(text, "  keys     {}", names.join(", "));
    }
    let top = anchor(&plain);
    let is_section = all
        .iter()
        .any(|line| line.key == top && line.takes == "a section");
    let _ = write!(text, "{PAGE}#{}", if is_section { &top } else { "top" });
    Ok(text)
}

fn unknown(key: &str, plain: &str, all: &[Line]) -> anyhow::Error {
    let takers = all
        .iter()
        .filter(|line| line.words.iter().any(|(word, _)| *word == key));
    let mut takers: Vec<&str> = takers.map(|line| line.key.as_str()).collect();
    takers.dedup();
    if !takers.is_empty() {
        return anyhow!(
            "{key} is a value of {}, and no key; `signet config explain {}` tells of it",
            takers.join(", "),
            takers[0]
        );
    }
    match nearest_key(plain) {
        Some(near) => anyhow!("there is no key {key}; did you mean {near}?"),
        None => anyhow!("there is no key {key}; `signet config explain` lists all"),
    }
}

fn default(line: &Line) -> String {
    match &line.default {
        Ok(default) => default.clone(),
        Err(what) => format!("needed: {what}"),
    }
}

/// The heading under which the page tells of `key`: its first two steps.
fn anchor(key: &str) -> String {
    key.split('.').next().unwrap_or_default().to_owned()
}

/// The page.
pub fn page() -> String {
    let mut page = "# Every key of an experiment\n\n\
        Made by `signet config reference`; a test compares it. `signet config explain KEY` tells the same of one key, and\n\
        what a change of it means for a run that goes on. In a list, items are numbered: `model.blocks.0.filters`.\n"
        .to_owned();
    let mut section = String::new();
    for line in lines() {
        let top = anchor(&line.key);
        if top != section && (line.takes == "a section" || section.is_empty()) {
            let (title, about) = if line.takes == "a section" {
                (top.clone(), line.about)
            } else {
                ("top".to_owned(), "Beside the sections.")
            };
            let _ = write!(
                page,
                "\n## {title}\n\n{about}\n\n| key | kind | takes | default | meaning |\n|---|---|---|---|---|\n"
            );
            section = if line.takes == "a section" {
                top.clone()
            } else {
                "top".to_owned()
            };
            if line.takes == "a section" {
                continue;
            }
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let meaning = match line.words.len() {
            0 => line.about.to_owned(),
            _ => {
                let words = line
                    .words
                    .iter()
                    .map(|(word, about)| format!("`{word}`: {about}"));
                format!("{} {}", line.about, words.collect::<Vec<_>>().join(" "))
            }
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            line.key,
            line.kinds.join(", "),
            cell(&line.takes),
            cell(&default(&line)),
            cell(&meaning)
        );
    }
    page
}
