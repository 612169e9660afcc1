//! One YAML file as its author wrote it: values, and where each of them stands.
//!
//! In come a file, those that it extends (`layers`), and the `-s key=value` overrides; out comes a tree of values with
//! `${VAR:-default}` filled in (`variables`), and for any key the place to point at: `file:line:column` (`place`), or
//! the override itself.

mod layers;
mod place;
mod text;
pub(crate) mod variables;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::Path;

use serde_yaml::{Mapping, Value};

pub use variables::readings;

use super::setting::cut;
use super::yaml;
use crate::fault;
use crate::messages::escaped;

use layers::Layer;
use place::Stop;
use variables::{Filling, fill_in};

/// One thing wrong with an experiment: where, which key, what, and what to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// `file:line:column`, or `-s key=value`.
    pub place: String,
    /// Dotted path of the key; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = match cut(&self.key) {
            ("", _) => format!("{}: {}", self.place, self.message),
            (key, rest) => format!("{}: {key}{rest}: {}", self.place, self.message),
        };
        // What was found may hold anything, and a problem is one line.
        f.write_str(&escaped(&text))
    }
}

/// Everything wrong with one file, one line each.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// One that belongs to no key.
    fn one(place: String, message: String) -> Problems {
        Problems(vec![Problem {
            place,
            key: String::new(),
            message,
        }])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// What `error` says: all that is wrong with an experiment, a line each, or else one sentence.
pub fn lines_of(error: &anyhow::Error) -> Vec<String> {
    match fault::cause::<Problems>(error) {
        Some(Problems(found)) => found.iter().map(ToString::to_string).collect(),
        None => vec![format!("{error:#}")],
    }
}

/// A parsed file, what it extends, its overrides, and the problems found in it so far.
pub struct Document {
    /// The file itself first, then those below it, nearest first.
    layers: Vec<Layer>,
    root: Mapping,
    overrides: Vec<(String, String)>,
    /// What its author wrote, or, where it extends other files, what they say together.
    written: String,
    /// What was written where a variable was filled in.
    filled: Vec<(Vec<String>, String)>,
    problems: RefCell<Vec<Problem>>,
    /// Problems that were found after so many that they were not placed.
    more: Cell<usize>,
}

/// Problems that are shown.
const MOST_PROBLEMS: usize = 50;

impl Document {
    /// Reads `file` and what it extends, and lays `overrides` (`key=value`, the value in YAML) over that.
    ///
    /// # Errors
    /// A file that cannot be read, text that is not YAML, an override without `=`. Unset variables
    /// without a default are collected like any other problem.
    pub fn open(file: &Path, overrides: &[String]) -> Result<Document, Problems> {
        let (layers, root) = layers::open(file)?;
        Ok(Document::over(layers, root, overrides))
    }

    /// The same for text already in memory, known to the user as `name`, which extends nothing.
    ///
    /// # Errors
    /// As [`Document::open`].
    pub fn parse(name: String, text: String, overrides: &[String]) -> Result<Document, Problems> {
        let (layer, root) = layers::parse(name, text)?;
        Ok(Document::over(vec![layer], root, overrides))
    }

    fn over(layers: Vec<Layer>, root: Mapping, overrides: &[String]) -> Document {
        let written = match &layers[..] {
            [alone] => alone.text.clone(),
            _ => yaml::write(&Value::Mapping(root.clone())),
        };
        let mut document = Document {
            layers,
            root,
            written,
            overrides: Vec::new(),
            filled: Vec::new(),
            problems: RefCell::default(),
            more: Cell::new(0),
        };
        for argument in overrides {
            if let Err(Problems(found)) = document.lay_over(argument) {
                document.problems.borrow_mut().extend(found);
            }
        }
        document.fill_in_variables();
        document
    }

    /// An experiment that says what this one says, wherever it lies: without overrides, and with its variables.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The keys at the top.
    pub fn root(&self) -> &Mapping {
        &self.root
    }

    /// Whether something is wrong in the section called `name`, or with the whole file.
    pub fn is_wrong(&self, name: &str) -> bool {
        let inside = |problem: &Problem| {
            let top = problem.key.split('.').next().unwrap_or_default();
            top.is_empty() || top == name
        };
        self.problems.borrow().iter().any(inside)
    }

    /// Notes that the value at `path` is wrong; an absent one is placed at its section.
    pub fn wrong_value(&self, path: &[String], message: String) {
        self.note(path, Stop::AtValue, message);
    }

    /// Notes that the key at the end of `path` does not belong there.
    pub fn wrong_key(&self, path: &[String], message: String) {
        self.note(path, Stop::AtKey, message);
    }

    /// Hands the experiment on if nothing was wrong with it.
    ///
    /// # Errors
    /// All problems noted, in the order of the file.
    pub fn verdict(&self) -> Result<(), Problems> {
        let mut problems = self.problems.borrow().clone();
        problems.sort_by_key(|problem| self.order(&problem.place));
        problems.dedup();
        if self.more.get() > 0 {
            let more = format!("and {} more problems", self.more.get());
            problems.extend(Problems::one(self.layers[0].name.clone(), more).0);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }

    fn note(&self, path: &[String], stop: Stop, message: String) {
        // Each one is looked for in the text, and nobody mends more of them at once.
        if self.problems.borrow().len() >= MOST_PROBLEMS {
            self.more.set(self.more.get() + 1);
            return;
        }
        let key = path.join(".");
        let place = self.place(path, stop);
        self.problems.borrow_mut().push(Problem {
            place,
            key,
            message,
        });
    }

    fn place(&self, path: &[String], stop: Stop) -> String {
        let key = path.join(".");
        let overridden =
            |(over, _): &&(String, String)| key == *over || key.starts_with(&format!("{over}."));
        let laid_over =
            |(over, value): &(String, String)| override_place(&format!("{over}={value}"));
        if let Some(over) = self.overrides.iter().rev().find(overridden) {
            return laid_over(over);
        }
        // A section that is not in the file comes from an override of something in it.
        let within = |(over, _): &&(String, String)| over.starts_with(&format!("{key}."));
        let within = self.overrides.iter().rev().find(within);
        if let Some(over) = within
            && self.in_files(path, stop).is_none()
        {
            return laid_over(over);
        }
        let attempts = std::iter::once((path, stop)).chain(
            (0..path.len())
                .rev()
                .map(|depth| (&path[..depth], Stop::AtKey)),
        );
        let mut places = attempts.filter_map(|(path, stop)| self.in_files(path, stop));
        places.next().unwrap_or_else(|| self.layers[0].name.clone())
    }

    /// Where the files say what `path` leads to.
    fn in_files(&self, path: &[String], stop: Stop) -> Option<String> {
        let mut places = self.layers.iter().map(|layer| layer.place(path, stop));
        places.find_map(|place| place)
    }

    /// Where the value of `key` comes from: the place where it was written, with its variables; nothing if nobody wrote it.
    pub fn origin(&self, key: &str) -> Option<String> {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let written = self.plain(&path)?;
        let place = self.place(written, Stop::AtValue);
        let variables = self.filled.iter().find(|(filled, _)| filled == written);
        Some(match variables {
            Some((_, text)) => format!("{place}: {text}"),
            None => place,
        })
    }

    /// As much of `path` as was written: a plain value may stand for a section.
    fn plain<'p>(&self, path: &'p [String]) -> Option<&'p [String]> {
        let mut map = &self.root;
        for (depth, step) in path.iter().enumerate() {
            let (_, value) = map.iter().find(|(key, _)| key_text(key) == *step)?;
            match value {
                Value::Null => return None,
                Value::Mapping(inner) => map = inner,
                _ => return Some(&path[..=depth]),
            }
        }
        Some(path)
    }

    /// The order of places: files as they lie above each other, then lines and columns; overrides come last.
    fn order(&self, place: &str) -> (usize, usize, usize) {
        let mut parts = place.rsplitn(3, ':');
        let [column, line] = [parts.next(), parts.next()].map(|part| part?.parse().ok());
        let file = parts.next().unwrap_or_default();
        let layer = self.layers.iter().position(|layer| layer.name == file);
        let last = usize::MAX;
        (
            layer.unwrap_or(last),
            line.unwrap_or(last),
            column.unwrap_or(last),
        )
    }

    fn lay_over(&mut self, argument: &str) -> Result<(), Problems> {
        let refuse = |message| Problems::one(override_place(argument), message);
        let Some((key, written)) = argument.split_once('=') else {
            return Err(refuse(
                "expected key=value, such as -s train.epochs=5".to_owned(),
            ));
        };
        if written.trim().is_empty() {
            return Err(refuse(
                "the value is missing; null takes the default".to_owned(),
            ));
        }
        if key == layers::EXTENDS {
            return Err(refuse(
                "a file extends others, and an override does not; write it in the file".to_owned(),
            ));
        }
        if key.split('.').count() > text::DEEPEST {
            return Err(refuse(text::TOO_DEEP.to_owned()));
        }
        let mut value = text::parse(written)
            .map_err(|misread| refuse(format!("the value is {}", misread.message)))?;
        value
            .apply_merge()
            .map_err(|error| refuse(error.to_string()))?;
        let path: Vec<&str> = key.split('.').collect();
        set(&mut self.root, &path, value).map_err(refuse)?;
        self.overrides.push((key.to_owned(), written.to_owned()));
        Ok(())
    }

    fn fill_in_variables(&mut self) {
        let mut root = Value::Mapping(std::mem::take(&mut self.root));
        let mut filled = Vec::new();
        fill_in(&mut root, &mut Vec::new(), &mut filled);
        if let Value::Mapping(root) = root {
            self.root = root;
        }
        for filling in filled {
            match filling {
                Filling::Done { path, text } => self.filled.push((path, text)),
                Filling::Missing { path, message } => self.wrong_value(&path, message),
            }
        }
    }
}

/// An override as a place to point at.
fn override_place(argument: &str) -> String {
    let (argument, rest) = cut(argument);
    format!("-s {argument}{rest}")
}

/// Puts `value` at `path`, making sections on the way.
fn set(map: &mut Mapping, path: &[&str], value: Value) -> Result<(), String> {
    let (key, rest) = path
        .split_first()
        .expect("splitting a string gives at least one piece");
    // `0:` in a file is the same key as `.0` in an override.
    let known = map.keys().find(|known| key_text(known) == *key).cloned();
    let known = known.unwrap_or_else(|| Value::from(*key));
    if rest.is_empty() {
        map.insert(known, value);
        return Ok(());
    }
    let slot = map.entry(known).or_insert(Value::Null);
    set_inside(slot, key, rest, value)
}

fn set_inside(slot: &mut Value, name: &str, path: &[&str], value: Value) -> Result<(), String> {
    if slot.is_null() {
        *slot = Value::Mapping(Mapping::new());
    }
    match slot {
        Value::Mapping(map) => set(map, path, value),
        Value::Sequence(items) => {
            let count = items.len();
            let item = path[0]
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index));
            let item = item.ok_or(format!(
                "{name} has the items 0 to {}, not {}",
                count.max(1) - 1,
                path[0]
            ))?;
            if path.len() == 1 {
                *item = value;
                return Ok(());
            }
            set_inside(item, path[0], &path[1..], value)
        }
        _ => Err(format!(
            "{name} is a plain value and has no key {}",
            path[0]
        )),
    }
}

/// A key as it stands in a dotted path; `0:` and `"0":` are the same key.
pub fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn every_key_and_value_is_found_where_it_stands() {
        let text = "version: 1\ntrain:\n  epochs: 3\n  optimizer: {kind: sgd, lr: 0.1}\nlist:\n  - {a: 1}\n  - {a: 2}\n0: zero\n";
        let document = Document::parse("x.yaml".into(), text.into(), &[]).unwrap();
        let cases = [
            ("train.epochs", Stop::AtKey, "x.yaml:3:3"),
            ("train.epochs", Stop::AtValue, "x.yaml:3:11"),
            ("train.optimizer.lr", Stop::AtKey, "x.yaml:4:26"),
            ("list.1.a", Stop::AtValue, "x.yaml:7:9"),
            ("0", Stop::AtKey, "x.yaml:8:1"),
            // What is not there is placed at the section it is missing from.
            ("train.absent", Stop::AtValue, "x.yaml:2:1"),
        ];
        for (key, stop, expected) in cases {
            assert_eq!(document.place(&path(key), stop), expected, "{key}");
        }
    }

    #[test]
    fn overrides_reach_into_sections_and_lists_and_are_pointed_at() {
        let overrides = ["a.b.c=5".to_owned(), "list.1.x=[1, 2]".to_owned()];
        let document =
            Document::parse("x.yaml".into(), "list: [{x: 0}, {x: 0}]".into(), &overrides).unwrap();
        assert_eq!(document.root()["a"]["b"]["c"], Value::from(5));
        assert_eq!(document.root()["list"][1]["x"][1], Value::from(2));
        assert_eq!(document.place(&path("a.b.c"), Stop::AtValue), "-s a.b.c=5");
        let overrides = ["a.b=1".to_owned(), "c".to_owned(), "0.d=2".to_owned()];
        let document = Document::parse("x".into(), "a: 1\n0: {d: 1}".into(), &overrides).unwrap();
        assert_eq!(
            document.root().len(),
            2,
            "0 is one key, however it is written"
        );
        let problems = document.verdict().unwrap_err().0;
        let places: Vec<&str> = problems
            .iter()
            .map(|problem| problem.place.as_str())
            .collect();
        assert_eq!(places, ["-s a.b=1", "-s c"]);
    }

    #[test]
    fn variables_take_their_default_and_missing_ones_are_a_problem() {
        let text = "a: ${SIGNET_SURELY_UNSET:-7}\nb: x/${SIGNET_SURELY_UNSET:-y}/z\nc: ${SIGNET_SURELY_UNSET}";
        let document = Document::parse("x.yaml".into(), text.into(), &[]).unwrap();
        assert_eq!(
            readings(&document.root()["a"]),
            [Value::from("7"), Value::from(7)]
        );
        assert_eq!(document.root()["b"], Value::from("x/y/z"));
        let problems = document.verdict().unwrap_err().to_string();
        assert!(
            problems.starts_with("x.yaml:3:4: c: the environment variable SIGNET_SURELY_UNSET"),
            "{problems}"
        );
    }

    #[test]
    fn variables_may_stand_in_defaults_and_escaped_ones_stay() {
        let cases = [
            (
                "${SIGNET_SURELY_UNSET:-${PATH}/x}/y",
                format!("{}/x/y", std::env::var("PATH").unwrap()),
            ),
            (
                "${PATH:-${SIGNET_SURELY_UNSET}}",
                std::env::var("PATH").unwrap(),
            ),
            ("${A_B:-a${C_D:-c}e}f", "acef".to_owned()),
            ("$${A_B}$$${C_D}", "${A_B}$${C_D}".to_owned()),
            ("a$b}", "a$b}".to_owned()),
        ];
        for (text, expected) in cases {
            let yaml = format!("key: '{text}'");
            let document = Document::parse("x.yaml".into(), yaml, &[]).unwrap();
            document.verdict().unwrap();
            assert_eq!(document.root()["key"], Value::from(expected), "{text}");
        }
        let document = Document::parse("x.yaml".into(), "key: ${A_B:-${C_D}".into(), &[]).unwrap();
        let problems = document.verdict().unwrap_err().to_string();
        assert!(problems.contains("`${` without `}`"), "{problems}");
    }

    #[test]
    fn the_mark_some_editors_begin_with_is_passed_over() {
        let document = Document::parse("x.yaml".into(), "\u{feff}a: 1\nb: 2".into(), &[]).unwrap();
        assert_eq!(document.place(&path("b"), Stop::AtKey), "x.yaml:2:1");
    }
}
