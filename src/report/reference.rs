//! What the keys of an experiment mean: the answers of `signet config explain`, the page `configs/README.md`, and that of the
//! manual.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Result, anyhow};
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::config::reference::{Holds, Line, lines, nearest_key, plain};
use crate::fault::{Blame, Fault};
use crate::report::table::Table;

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
        let _ = writeln!(text, "  resume   {}", line.resume.meaning());
        let _ = writeln!(text, "  since    {}", line.since);
        if let (Ok(value), false) = (&line.default, line.holds == [Holds::Section]) {
            // A default by a rule is told in words, of which the first may be a value.
            let value = value.split(", or ").next().unwrap_or_default();
            if !value.contains(' ') || value.starts_with(['{', '[']) {
                let _ = writeln!(text, "  example  -s {}={value}", line.key);
            }
        }
    }
    let below = format!("{plain}.");
    let mut inner: Vec<&str> = Vec::new();
    for line in &all {
        let name = line.key.strip_prefix(&below).unwrap_or(".");
        if !name.contains('.') && !inner.contains(&name) {
            inner.push(name);
        }
    }
    if !inner.is_empty() {
        let _ = writeln!(text, "  keys     {}", inner.join(", "));
    }
    let _ = write!(text, "{PAGE}#{plain}");
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

/// The page: a table for the keys beside the sections, and one for each section.
pub fn page() -> String {
    let mut page = "# Every key of an experiment\n\n\
        Made by `signet config reference`; a test compares it. `signet config explain KEY` tells the same of one key. In a\n\
        list, items are numbered: `model.blocks.0.filters`. The column *resume* says what a change means for a run that goes\n\
        on: `free`, it does; `branch`, another run branches off (`--as NAME`); `refused`, nothing learned would mean the same.\n"
        .to_owned();
    let all = lines();
    let (sections, beside): (Vec<&Line>, Vec<&Line>) = all
        .iter()
        .filter(|line| !line.key.contains('.'))
        .partition(|line| line.holds == [Holds::Section]);
    let mut known = BTreeSet::new();
    let mut table = |title: &str, about: &str, lines: &[&Line]| {
        let _ = write!(
            page,
            "\n## {title}\n\n{about}\n\n| key | kind | takes | default | resume | since | meaning |\n|---|---|---|---|---|---|---|\n"
        );
        for line in lines {
            // Several kinds may have a key of one name.
            let anchor = if known.insert(line.key.clone()) {
                format!("<a id=\"{}\"></a>", line.key)
            } else {
                String::new()
            };
            page += &row(line, &anchor);
        }
    };
    table("top", "Beside the sections.", &beside);
    for section in sections {
        let below = format!("{}.", section.key);
        let own = all.iter().filter(|line| line.key.starts_with(&below));
        table(&section.key, section.about, &own.collect::<Vec<_>>());
    }
    page
}

/// The page of the manual, in roff.
pub fn manual() -> String {
    let mut manual = Roff::new();
    let about = "signet-experiment - the keys of an experiment file (YAML)";
    let version = concat!("signet ", env!("CARGO_PKG_VERSION"));
    manual.control("TH", ["signet-experiment", "5", "", version, "signet"]);
    manual.control("SH", ["NAME"]).text([roman(about)]);
    manual.control("SH", ["DESCRIPTION"]).text([roman(
        "In a list, items are numbered: model.blocks.0.filters. What a change means for a run that goes on is said behind \
         \"resume\". See signet-config-explain(1) for one key.",
    )]);
    manual.control("SH", ["KEYS"]);
    for line in lines() {
        let mut name = vec![bold(&line.key)];
        if !line.kinds.is_empty() {
            name.push(roman(format!(" (kind {})", line.kinds.join(", "))));
        }
        manual
            .control("TP", [])
            .text(name)
            .text([roman(meaning(&line))]);
        let facts = [
            ("takes", line.takes.clone()),
            ("default", default(&line)),
            ("resume", line.resume.meaning().to_owned()),
            ("since", line.since.to_owned()),
        ];
        for (fact, value) in facts {
            manual.control("br", []);
            manual.text([italic(fact), roman(format!(" {value}"))]);
        }
    }
    manual
        .control("SH", ["SEE ALSO"])
        .text([roman("signet(1)")]);
    manual.render()
}

/// What the key of `line` and its values mean.
fn meaning(line: &Line) -> String {
    let words = line.words.iter();
    let words = words.map(|(word, about)| format!(" `{word}`: {about}"));
    line.about.to_owned() + &words.collect::<String>()
}

/// A row of the page.
fn row(line: &Line, anchor: &str) -> String {
    let cells = [
        format!("{anchor}`{}`", line.key),
        line.kinds.join(", "),
        line.takes.clone(),
        default(line),
        line.resume.word().to_owned(),
        line.since.to_owned(),
        meaning(line),
    ];
    let cells = cells.map(|cell| format!(" {} |", cell.replace('|', "\\|")));
    format!("|{}\n", cells.concat())
}
