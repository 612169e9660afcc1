//! What is known of a key: its name and meaning, what may stand there, and what a change of it means.

use serde::Serialize;
use serde_json::{Value, json};

use super::policy::Policy;
use super::setting::Setting;

/// A key as it was declared.
pub struct Key {
    /// Its name in its section.
    pub name: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
    /// What may stand there.
    pub shape: Shape,
    /// What it is without being written.
    pub default: Absent,
    /// What its number counts.
    pub unit: Option<&'static str>,
    /// What a change of it means for a run that goes on; nothing where that is as with its section.
    pub resume: Option<Policy>,
    /// The version that knew it first; nothing where that is as with its section.
    pub since: Option<&'static str>,
}

impl Key {
    /// One with its section's policy and version.
    pub fn new(name: &'static str, about: &'static str, shape: Shape, default: Absent) -> Key {
        Key {
            name,
            about: about.trim_start(),
            shape,
            default,
            unit: None,
            resume: None,
            since: None,
        }
    }
}

/// What a key is without being written.
pub enum Absent {
    /// A value.
    Value(Value),
    /// A value by a rule.
    Words(&'static str),
    /// It has to be written; what for.
    Needed(&'static str),
}

impl Absent {
    /// `setting` as plain data.
    pub fn value<T: Serialize>(setting: &T) -> Absent {
        Absent::Value(serde_json::to_value(setting).expect("a setting is plain data"))
    }

    /// A section of that `shape` with all its defaults, of the usual kind if it has kinds.
    pub fn section(shape: &Shape) -> Absent {
        Absent::Value(match shape {
            Shape::Kinds(kinds) => json!({"kind": kinds.usual}),
            _ => json!({}),
        })
    }
}

/// What may stand under a key.
pub enum Shape {
    /// `true` or `false`.
    Truth,
    /// A whole number.
    Whole(Rule),
    /// A number that float32 can hold.
    Number(Rule),
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// One of some words, each with its meaning.
    Words(&'static [(&'static str, &'static str)]),
    /// A value of a form of its own, in words, with some that are always taken.
    Form(&'static str, &'static [&'static str]),
    /// A list of so many items or more.
    List(Box<Shape>, usize),
    /// A section, by the name of its type. Layers contain layers, so what it holds is asked for.
    Section(&'static str, fn() -> Vec<Key>),
    /// A section whose keys depend on its `kind`.
    Kinds(Kinds),
    /// A section whose keys are names that its author chooses.
    Names(Box<Shape>),
    /// One or the other.
    Either(Box<Shape>, Box<Shape>),
}

/// The kinds of a section.
#[derive(Clone, Copy)]
pub struct Kinds {
    /// The name of its type.
    pub name: &'static str,
    /// The kinds with their keys.
    pub all: fn() -> Vec<Kind>,
    /// The kind that a section is of without being told.
    pub usual: Option<&'static str>,
    /// What another kind means for a run that goes on; nothing where that is as with the section.
    pub resume: Option<Policy>,
}

/// A kind of section.
pub struct Kind {
    /// Its word.
    pub word: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The version that knew it first; nothing where that is as with its section.
    pub since: Option<&'static str>,
    /// Its keys beside `kind`.
    pub keys: Vec<Key>,
}

/// Which numbers a key takes of those that its type has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// All.
    Any,
    /// This number and more.
    AtLeast(f64),
    /// From one number to another.
    Within(f64, f64),
    /// From one number up to but without another.
    Below(f64, f64),
    /// Above zero.
    AboveZero,
    /// All, and a list of them is not empty.
    Filled,
}

/// `low` or more.
pub fn at_least(low: impl Into<f64>) -> Rule {
    Rule::AtLeast(low.into())
}

/// From `low` to `high`.
pub fn within(low: impl Into<f64>, high: impl Into<f64>) -> Rule {
    Rule::Within(low.into(), high.into())
}

/// From `low` up to but without `high`, for shares that must not reach their end.
pub fn below(low: f64, high: f64) -> Rule {
    Rule::Below(low, high)
}

/// Above zero.
pub const ABOVE_ZERO: Rule = Rule::AboveZero;

/// A list that is not empty.
pub const FILLED: Rule = Rule::Filled;

impl Rule {
    /// Whether `number` is taken.
    pub fn takes(self, number: f64) -> bool {
        match self {
            Rule::Any | Rule::Filled => true,
            Rule::AtLeast(low) => number >= low,
            Rule::Within(low, high) => (low..=high).contains(&number),
            Rule::Below(low, high) => (low..high).contains(&number),
            Rule::AboveZero => number > 0.0,
        }
    }

    /// What is taken, for numbers that are `whole` or not.
    pub fn words(self, whole: bool) -> String {
        let a = if whole { "" } else { "a number from " };
        match self {
            Rule::Any | Rule::Filled => "a number".to_owned(),
            Rule::AtLeast(low) => format!("{low} or more"),
            Rule::Within(low, high) => format!("{a}{low} to {high}"),
            Rule::Below(low, high) => format!("a number from {low} up to but without {high}"),
            Rule::AboveZero => "a number above 0".to_owned(),
        }
    }

    /// Whether `setting` is taken, or what is.
    pub fn judge<T: Setting>(self, setting: &T) -> Result<(), String> {
        match setting.number() {
            Some(number) if !self.takes(number) => {
                Err(self.words(matches!(<T as Setting>::shape(self), Shape::Whole(_))))
            }
            _ => Ok(()),
        }
    }
}
