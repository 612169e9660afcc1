//! Reading one section of an experiment, key by key.
//!
//! A [`Section`] hands out typed values with their defaults, and notes everything that is wrong instead
//! of stopping at it: a wrong type, a value out of range, and, when it is dropped, every key nobody
//! asked for, with the nearest one somebody did. Serde's derive would stop at the first problem and lose
//! positions inside tagged choices, which is why reading is written out here.

use serde_yaml::{Mapping, Value};

use super::document::{Document, key_text, readings};
use super::setting::{Setting, describe, nearest, one_of, read};

/// A map in the experiment (or its absence), and the keys read from it so far.
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
        if read.is_err() && readings(value).contains(&Value::Null) {
            return None; // a variable that says null
        }
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

    /// A list of values, each under `rule`; nothing if it is absent, or one of them is wrong.
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
        let mut valid = true;
        for (index, item) in items.iter().enumerate() {
            let read = read(item).and_then(|setting: T| {
                rule(&setting)
                    .map(|()| setting)
                    .map_err(|wanted| format!("expected {wanted}, found {}", describe(item)))
            });
            match read {
                Ok(setting) => list.push(setting),
                Err(message) => {
                    let path = self.below(&[key, &index.to_string()]);
                    self.document.wrong_value(&path, message);
                    valid = false;
                }
            }
        }
        valid.then_some(list)
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
        self.holds(key).then(|| self.section(key))
    }

    /// The value under `key` if it is one plain word or number rather than a section.
    pub fn plain<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        match self.value(key) {
            Some(Value::Mapping(_)) | None => None,
            Some(_) => self.optional(key),
        }
    }

    /// Whether `key` holds anything but null.
    pub fn holds(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
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
                    let message = "is listed twice".to_owned();
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
        let word: Option<String> = match default {
            Some(default) => Some(self.get("kind", default.to_owned())),
            None => self.required_kind(kinds),
        };
        self.kind = word.and_then(|word| {
            let known = kinds.iter().find(|kind| **kind == word).copied();
            if known.is_none() {
                self.wrong("kind", one_of(&word, kinds));
            }
            known
        });
        if self.kind.is_none() {
            self.map = None; // nobody can say then which other keys belong
        }
        self.kind
    }

    /// The word of `kind`, or a note that it is missing, or misspelt.
    fn required_kind(&mut self, kinds: &[&'static str]) -> Option<String> {
        let mut keys = self.map.into_iter().flatten().map(|(key, _)| key_text(key));
        let misspelt = keys.find(|key| key != "kind" && nearest(key, &["kind"]).is_some());
        match misspelt.filter(|_| !self.holds("kind")) {
            Some(key) => {
                let message = format!("not a key of {}; did you mean kind?", self.path.join("."));
                self.document.wrong_key(&self.below(&[&key]), message);
                None
            }
            None => self.required("kind", &format!("one of {}", kinds.join(", "))),
        }
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
