//! Reading one section of an experiment, key by key.
//!
//! A [`Section`] hands out typed values with their defaults, and notes everything that is wrong instead
//! of stopping at it: a wrong type, a value out of range, and, when it is dropped, every key nobody
//! asked for, with the nearest one somebody did. Serde's derive would stop at the first problem and lose
//! positions inside tagged choices, which is why reading is written out here.

use std::path::PathBuf;

use serde_yaml::{Mapping, Value};

use super::document::{Document, key_text, readings};

/// A map in the experiment (or its absence), and the keys asked of it so far.
pub struct Section<'d> {
    document: &'d Document,
    path: Vec<String>,
    map: Option<&'d Mapping>,
    known: Vec<&'static str>,
    kind: Option<&'static str>,
}

impl<'d> Section<'d> {
    /// The top of `document`.
    pub fn top(document: &'d Document) -> Section<'d> {
        Section {
            document,
            path: Vec::new(),
            map: Some(document.root()),
            known: Vec::new(),
            kind: None,
        }
    }

    /// The value of `key`, or `default` if it is absent or wrong.
    pub fn get<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of `key` if `rule` accepts it; a rule answers with what it wants instead.
    pub fn get_if<T: Setting>(
        &mut self,
        key: &'static str,
        default: T,
        rule: impl Fn(&T) -> Result<(), String>,
    ) -> T {
        self.optional_if(key, rule).unwrap_or(default)
    }

    /// The value of `key`, or nothing if it is absent, null or wrong.
    pub fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.optional_if(key, |_| Ok(()))
    }

    /// As [`Section::optional`], under a rule.
    pub fn optional_if<T: Setting>(
        &mut self,
        key: &'static str,
        rule: impl Fn(&T) -> Result<(), String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let read = read(value).and_then(|setting: T| {
            rule(&setting)
                .map(|()| setting)
                .map_err(|wanted| format!("expected {wanted}, found {}", describe(value)))
        });
        read.map_err(|message| self.wrong(key, message)).ok()
    }

    /// The value of a `key` that has no default; its absence is a problem explained by `purpose`.
    pub fn required<T: Setting>(&mut self, key: &'static str, purpose: &str) -> Option<T> {
        let absent = self.value(key).is_none();
        let setting = self.optional(key);
        if absent {
            self.wrong(key, format!("missing: {purpose}"));
        }
        setting
    }

    /// A list of values, each under `rule`.
    pub fn values_if<T: Setting>(
        &mut self,
        key: &'static str,
        rule: impl Fn(&T) -> Result<(), String>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let Value::Sequence(items) = value else {
            self.wrong(
                key,
                format!("expected a list such as [a, b], found {}", describe(value)),
            );
            return None;
        };
        let mut list = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let read = read(item).and_then(|setting: T| {
                rule(&setting)
                    .map(|()| setting)
                    .map_err(|wanted| format!("expected {wanted}, found {}", describe(item)))
            });
            match read {
                Ok(setting) => list.push(setting),
                Err(message) => self
                    .document
                    .wrong_value(&self.below(&[key, &index.to_string()]), message),
            }
        }
        Some(list)
    }

    /// The section under `key`; an absent one is empty, so that its defaults apply.
    pub fn section(&mut self, key: &'static str) -> Section<'d> {
        match self.value(key) {
            Some(value) => self.enter(&[key], Some(value)),
            None => self.enter(&[key], None),
        }
    }

    /// The section under `key`, or nothing if it is absent or null.
    pub fn optional_section(&mut self, key: &'static str) -> Option<Section<'d>> {
        self.value(key).is_some().then(|| self.section(key))
    }

    /// The value under `key` if it is one plain word or number rather than a section.
    pub fn plain<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        match self.value(key) {
            Some(Value::Mapping(_)) | None => None,
            Some(_) => self.optional(key),
        }
    }

    /// Whether `key` holds a section.
    pub fn holds_section(&mut self, key: &'static str) -> bool {
        matches!(self.value(key), Some(Value::Mapping(_)))
    }

    /// The list of sections under `key`.
    pub fn sections(&mut self, key: &'static str) -> Option<Vec<Section<'d>>> {
        let value = self.value(key)?;
        let Value::Sequence(items) = value else {
            self.wrong(
                key,
                format!(
                    "expected a list of sections such as [{{…}}, {{…}}], found {}",
                    describe(value)
                ),
            );
            return None;
        };
        let enter =
            |(index, item): (usize, &'d Value)| self.enter(&[key, &index.to_string()], Some(item));
        Some(items.iter().enumerate().map(enter).collect())
    }

    /// Every key of a section whose keys are names chosen by the user (classes, say).
    pub fn entries<T: Setting>(mut self) -> Vec<(String, T)> {
        let map = self.map.take();
        let mut entries = Vec::new();
        for (key, value) in map.into_iter().flatten() {
            let key = key_text(key);
            let twice = entries.iter().any(|(known, _)| *known == key);
            match read(value) {
                Ok(_) if twice => {
                    let message = "stands there twice".to_owned();
                    self.document.wrong_value(&self.below(&[&key]), message);
                }
                Ok(setting) => entries.push((key, setting)),
                Err(message) => self.document.wrong_value(&self.below(&[&key]), message),
            }
        }
        entries
    }

    /// The choice made by `kind`, one of `kinds`. Keys that make no sense for it are then unknown here.
    pub fn kind(
        &mut self,
        kinds: &[&'static str],
        default: Option<&'static str>,
    ) -> Option<&'static str> {
        let missing = format!("missing: one of {}", kinds.join(", "));
        let word: String = match default {
            Some(default) => self.get("kind", default.to_owned()),
            None => self.required("kind", missing.trim_start_matches("missing: "))?,
        };
        self.kind = kinds.iter().find(|kind| **kind == word).copied();
        if self.kind.is_none() {
            self.wrong("kind", one_of(&word, kinds));
            self.map = None; // without a kind nobody can say which other keys belong
        }
        self.kind
    }

    /// Notes something wrong with the value of `key`, which may be dotted.
    pub fn wrong(&self, key: &str, message: String) {
        let steps: Vec<&str> = key.split('.').collect();
        self.document.wrong_value(&self.below(&steps), message);
    }

    fn value(&mut self, key: &'static str) -> Option<&'d Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let found = self.map?.iter().find(|(name, _)| key_text(name) == key);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    fn enter(&self, steps: &[&str], value: Option<&'d Value>) -> Section<'d> {
        let path = self.below(steps);
        let map = match value {
            None => None,
            Some(Value::Mapping(map)) => Some(map),
            Some(other) => {
                let message = format!(
                    "expected a section such as {{key: value}}, found {}",
                    describe(other)
                );
                self.document.wrong_value(&path, message);
                None
            }
        };
        Section {
            document: self.document,
            path,
            map,
            known: Vec::new(),
            kind: None,
        }
    }

    fn below(&self, steps: &[&str]) -> Vec<String> {
        self.path
            .iter()
            .cloned()
            .chain(steps.iter().map(|step| (*step).to_owned()))
            .collect()
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for key in self.map.into_iter().flatten().map(|(key, _)| key_text(key)) {
            if self.known.iter().any(|known| *known == key) {
                continue;
            }
            let here = match (self.kind, self.path.last()) {
                (Some(kind), _) => format!("kind {kind}"),
                (None, Some(_)) => self.path.join("."),
                (None, None) => "this file".to_owned(),
            };
            let message = match nearest(&key, &self.known) {
                Some(near) => format!("not a key of {here}; did you mean {near}?"),
                None => format!("not a key of {here}, which knows {}", self.known.join(", ")),
            };
            self.document.wrong_key(&self.below(&[&key]), message);
        }
    }
}

/// The word closest to `word`, if any is close enough to be what was meant.
pub fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let scored = words
        .iter()
        .map(|known| (strsim::jaro_winkler(word, known), *known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}

/// "unknown word x; did you mean y?", for values chosen from a list.
pub fn one_of(word: &str, words: &[&str]) -> String {
    match nearest(word, words) {
        Some(near) => format!(
            "{word} is none of {}; did you mean {near}?",
            words.join(", ")
        ),
        None => format!("{word} is none of {}", words.join(", ")),
    }
}

/// A value as a message quotes it.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a section".to_owned(),
        Value::Tagged(tagged) => format!("the tag {}", tagged.tag),
    }
}

/// Reads a value as whatever the key wants, where a filled-in variable leaves a choice.
fn read<T: Setting>(value: &Value) -> Result<T, String> {
    let mut found = Err(String::new());
    for reading in readings(value) {
        found = T::read(&reading);
        if found.is_ok() {
            break;
        }
    }
    found
}

/// A type that one plain YAML value can be read as.
pub trait Setting: Sized {
    /// The setting, or a sentence saying what was expected and what was found.
    ///
    /// # Errors
    /// When `value` is of another type.
    fn read(value: &Value) -> Result<Self, String>;
}

impl Setting for bool {
    fn read(value: &Value) -> Result<bool, String> {
        value
            .as_bool()
            .ok_or_else(|| format!("expected true or false, found {}", describe(value)))
    }
}

impl Setting for f64 {
    fn read(value: &Value) -> Result<f64, String> {
        let number = value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| format!("expected a finite number, found {}", describe(value)))
    }
}

impl Setting for u64 {
    fn read(value: &Value) -> Result<u64, String> {
        value.as_u64().ok_or_else(|| {
            format!(
                "expected a whole number of 0 or more, found {}",
                describe(value)
            )
        })
    }
}

impl Setting for usize {
    fn read(value: &Value) -> Result<usize, String> {
        u64::read(value).map(|number| number as usize)
    }
}

impl Setting for String {
    fn read(value: &Value) -> Result<String, String> {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| match value {
            Value::Number(_) | Value::Bool(_) => {
                format!("expected text, found {}; put it in quotes", describe(value))
            }
            _ => format!("expected text, found {}", describe(value)),
        })
    }
}

impl Setting for PathBuf {
    fn read(value: &Value) -> Result<PathBuf, String> {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(PathBuf::from)
            .ok_or_else(|| format!("expected a path, found {}", describe(value)))
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(value: &Value) -> Result<Vec<T>, String> {
        let items = value
            .as_sequence()
            .ok_or_else(|| format!("expected a list, found {}", describe(value)))?;
        items.iter().map(read).collect()
    }
}

/// Declares an enum whose values are single words in the experiment file.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The word in the experiment file.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<$name, String> {
                match word {
                    $($word => Ok($name::$variant),)+
                    other => Err($crate::config::section::one_of(other, &[$($word),+])),
                }
            }
        }

        impl $crate::config::section::Setting for $name {
            fn read(value: &serde_yaml::Value) -> Result<$name, String> {
                match value.as_str() {
                    Some(word) => word.parse(),
                    None => Err(format!(
                        "expected one of {}, found {}",
                        [$($word),+].join(", "),
                        $crate::config::section::describe(value)
                    )),
                }
            }
        }
    };
}
pub(crate) use words;

/// A rule for [`Section::get_if`]: at least `low`.
pub fn at_least<T: PartialOrd + std::fmt::Display>(low: T) -> impl Fn(&T) -> Result<(), String> {
    move |value| {
        if *value >= low {
            Ok(())
        } else {
            Err(format!("{low} or more"))
        }
    }
}

/// A rule: a whole number in [low, high].
pub fn whole(low: usize, high: usize) -> impl Fn(&usize) -> Result<(), String> {
    move |value| {
        if (low..=high).contains(value) {
            Ok(())
        } else {
            Err(format!("{low} to {high}"))
        }
    }
}

/// A rule: above zero.
pub fn above_zero(value: &f64) -> Result<(), String> {
    if *value > 0.0 {
        Ok(())
    } else {
        Err("a number above 0".to_owned())
    }
}

/// A rule: in [low, high].
pub fn between(low: f64, high: f64) -> impl Fn(&f64) -> Result<(), String> {
    move |value| {
        if (low..=high).contains(value) {
            Ok(())
        } else {
            Err(format!("a number from {low} to {high}"))
        }
    }
}

/// A rule: in [low, high), for rates that must not reach their end.
pub fn below(low: f64, high: f64) -> impl Fn(&f64) -> Result<(), String> {
    move |value| {
        if (low..high).contains(value) {
            Ok(())
        } else {
            Err(format!("a number from {low} up to but without {high}"))
        }
    }
}
