//! All keys of an experiment with what they were declared as, for `signet config explain`, the reference page and the
//! schema.

use super::data::DataConfig;
use super::declare::{Absent, Entry, Key, Kind, Rule, Shape};
use super::model::ModelConfig;
use super::run::{CheckpointConfig, ExportConfig, LogConfig, RunConfig};
use super::setting::nearest;
use super::train::TrainConfig;
use super::{Device, Threads};

/// The keys at the top of an experiment.
pub(super) fn top() -> Vec<Key> {
    let key = |name, about, shape, default| Key {
        name,
        about,
        shape,
        default,
    };
    let empty = || Absent::Value(serde_json::json!({}));
    let section =
        |name, about, type_name, keys| key(name, about, Shape::Section(type_name, keys), empty());
    let paths = || Box::new(Shape::Path);
    vec![
        key(
            "version",
            "The version of the file format, 1.",
            Shape::Whole(Rule::Within(1.0, 1.0)),
            Absent::Needed("write `version: 1` as the first line"),
        ),
        key(
            "extends",
            "Files that this one is laid over, from the folder it lies in; later ones above earlier ones. Not under -s.",
            Shape::Either(paths(), Box::new(Shape::List(paths()))),
            Absent::Value(serde_json::Value::Null),
        ),
        key(
            "name",
            "Names the run directory: letters, digits, - _ . +",
            Shape::Text,
            Absent::Words("the name of the file"),
        ),
        key(
            "seed",
            "All chance follows from it.",
            Shape::Whole(Rule::Any),
            Absent::Value(serde_json::json!(42)),
        ),
        key(
            "device",
            "Where tensors live.",
            <Device as Entry>::shape(Rule::Any),
            Absent::Value(serde_json::json!("auto")),
        ),
        key(
            "threads",
            "Threads of the CPU; recorded with every run, because results depend on it.",
            <Threads as Entry>::shape(Rule::Any),
            Absent::Value(serde_json::json!("auto")),
        ),
        key(
            "data",
            "Where images come from, how they are split, normalised and augmented.",
            Shape::Section("DataConfig", DataConfig::declared),
            Absent::Needed("a section with a source"),
        ),
        key(
            "model",
            "Kind and sizes of the network.",
            Shape::Kinds("ModelConfig", ModelConfig::declared, None),
            Absent::Needed("a section with a kind"),
        ),
        section(
            "train",
            "Epochs, batches, optimiser, schedule, loss.",
            "TrainConfig",
            TrainConfig::declared,
        ),
        section(
            "checkpoint",
            "Choice of the best epoch.",
            "CheckpointConfig",
            || CheckpointConfig::declared(true),
        ),
        section(
            "log",
            "Logs beside `metrics.jsonl`.",
            "LogConfig",
            LogConfig::declared,
        ),
        section(
            "export",
            "Formats to export to, and whether to do so when training ends.",
            "ExportConfig",
            ExportConfig::declared,
        ),
        section(
            "run",
            "Where run directories are made and what to do if one exists.",
            "RunConfig",
            RunConfig::declared,
        ),
    ]
}

/// A key wherever it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Dotted, without the numbers of items in lists: `model.blocks.filters`.
    pub key: String,
    /// The kinds of its section that have it; empty where that has no kinds.
    pub kinds: Vec<&'static str>,
    /// What it means, with its unit.
    pub about: &'static str,
    /// What may stand there, in words.
    pub takes: String,
    /// The words it takes, each with its meaning.
    pub words: Vec<(&'static str, &'static str)>,
    /// What it is without being written, on a line; what it is needed for where it has to be.
    pub default: Result<String, &'static str>,
    /// The key above whose section it holds again, as layers hold layers.
    pub same_as: Option<String>,
}

/// Every key, in the order of the declarations: sections before what they hold.
pub fn lines() -> Vec<Line> {
    let mut walk = Walk::default();
    for key in top() {
        walk.add(&key, "", None);
    }
    walk.lines
}

/// A way through all sections.
#[derive(Default)]
struct Walk {
    lines: Vec<Line>,
    /// The sections around the place reached, by type and key.
    within: Vec<(&'static str, String)>,
}

impl Walk {
    /// Adds `key` of the section at `path`, if that is of a `kind` of that, and what it holds.
    fn add(&mut self, key: &Key, path: &str, kind: Option<&'static str>) {
        let full = match path {
            "" => key.name.to_owned(),
            path => format!("{path}.{}", key.name),
        };
        let line = Line {
            key: full.clone(),
            kinds: Vec::new(),
            about: key.about,
            takes: takes(&key.shape),
            words: words(&key.shape),
            default: match &key.default {
                Absent::Value(value) => Ok(value.to_string().trim_matches('"').to_owned()),
                Absent::Words(words) => Ok((*words).to_owned()),
                Absent::Needed(what) => Err(what),
            },
            same_as: self.again(&key.shape),
        };
        // The same in several kinds is one line.
        let same = |known: &Line| {
            Line {
                kinds: Vec::new(),
                ..known.clone()
            } == line
        };
        let at = self.lines.iter().position(same).unwrap_or(self.lines.len());
        if at == self.lines.len() {
            self.lines.push(line);
        }
        self.lines[at].kinds.extend(kind);
        self.enter(&key.shape, &full);
    }

    /// The key of the section around this place that `shape` is again.
    fn again(&self, shape: &Shape) -> Option<String> {
        match shape {
            Shape::List(item) => self.again(item),
            Shape::Section(name, _) | Shape::Kinds(name, ..) => {
                let around = self.within.iter().find(|(known, _)| known == name);
                around.map(|(_, key)| key.clone())
            }
            _ => None,
        }
    }

    /// Adds the keys of the sections that `shape` is.
    fn enter(&mut self, shape: &Shape, path: &str) {
        match shape {
            Shape::List(item) => self.enter(item, path),
            Shape::Either(one, other) => {
                self.enter(one, path);
                self.enter(other, path);
            }
            Shape::Section(..) | Shape::Kinds(..) if self.again(shape).is_some() => {}
            Shape::Section(name, keys) => {
                self.within.push((name, path.to_owned()));
                for key in keys() {
                    self.add(&key, path, None);
                }
                self.within.pop();
            }
            Shape::Kinds(name, kinds, usual) => {
                self.within.push((name, path.to_owned()));
                let kinds = kinds();
                self.lines.push(kind_line(path, &kinds, *usual));
                for kind in &kinds {
                    for key in &kind.keys {
                        self.add(key, path, Some(kind.word));
                    }
                }
                self.within.pop();
            }
            Shape::Truth | Shape::Whole(_) | Shape::Number(_) | Shape::Text | Shape::Path => {}
            Shape::Words(_) | Shape::Form(_) | Shape::Names(_) => {}
        }
    }
}

/// `key` as [`lines`] has it: without the numbers of items in lists, and in the section that another holds again.
pub fn plain(key: &str, lines: &[Line]) -> String {
    let mut plain = String::new();
    let mut steps = key
        .split('.')
        .filter(|step| step.parse::<usize>().is_err())
        .peekable();
    while let Some(step) = steps.next() {
        if !plain.is_empty() {
            plain.push('.');
        }
        plain += step;
        let line = lines.iter().find(|line| line.key == plain);
        let again = line.and_then(|line| line.same_as.clone());
        if steps.peek().is_some() {
            plain = again.unwrap_or(plain);
        }
    }
    plain
}

fn kind_line(path: &str, kinds: &[Kind], usual: Option<&'static str>) -> Line {
    let words: Vec<_> = kinds.iter().map(|kind| (kind.word, kind.about)).collect();
    Line {
        key: format!("{path}.kind"),
        kinds: Vec::new(),
        about: "What it is, on which its other keys depend.",
        takes: one_of(&words),
        words,
        default: usual.map(str::to_owned).ok_or("one of these"),
        same_as: None,
    }
}

fn one_of(words: &[(&'static str, &'static str)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    words.join(" | ")
}

pub(super) fn takes(shape: &Shape) -> String {
    match shape {
        Shape::Truth => "true | false".to_owned(),
        Shape::Whole(Rule::Within(low, high)) if low == high => low.to_string(),
        Shape::Whole(Rule::Any) => "a whole number".to_owned(),
        Shape::Whole(rule @ (Rule::Within(..) | Rule::AtLeast(_))) => {
            format!("a whole number, {}", rule.words(true))
        }
        Shape::Whole(rule) => rule.words(true),
        Shape::Number(rule @ Rule::AtLeast(_)) => format!("a number, {}", rule.words(false)),
        Shape::Number(rule) => rule.words(false),
        Shape::Text => "text".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::Words(_) => one_of(&words(shape)),
        Shape::Form(words) => (*words).to_owned(),
        Shape::List(item) => format!("a list of: {}", takes(item)),
        Shape::Section(..) | Shape::Kinds(..) => "a section".to_owned(),
        Shape::Names(value) => format!("a section of names, each with {}", takes(value)),
        Shape::Either(one, other) => format!("{}, or {}", takes(one), takes(other)),
    }
}

fn words(shape: &Shape) -> Vec<(&'static str, &'static str)> {
    match shape {
        Shape::Words(words) => words
            .iter()
            .map(|(word, about)| (*word, about.trim_start()))
            .collect(),
        Shape::List(item) => words(item),
        Shape::Either(one, other) => [words(one), words(other)].concat(),
        _ => Vec::new(),
    }
}

/// The key closest to `key`, if any is close enough to be what was meant.
pub fn nearest_key(key: &str) -> Option<String> {
    let lines = lines();
    let keys: Vec<&str> = lines.iter().map(|line| line.key.as_str()).collect();
    nearest(key, &keys).map(str::to_owned)
}
