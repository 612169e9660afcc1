//! Reading one section of an experiment, key by key.
//!
//! A [`Section`] hands out what stands under its keys, each a [`Slot`]. Both note everything that is wrong instead of
//! stopping at it: a wrong type, a value out of range, and, when a section is dropped, every key nobody asked for, with the
//! nearest one somebody did. Serde's derive would stop at the first problem and lose positions inside tagged choices, which
//! is why reading is written out here.

use serde_yaml::{Mapping, Value};

use super::document::{Document, key_text, readings};
use super::entry::Entry;
use super::key::{Rule, Shape};
use super::setting::{Setting, describe, nearest, one_of, read};

/// What stands under a key, or at a number in a list.
pub struct Slot<'d> {
    document: &'d Document,
    path: Vec<String>,
    /// Nothing where the key is absent or null.
    value: Option<&'d Value>,
    /// Whether null, if a variable says so, is the same as no key.
    optional: bool,
}

impl<'d> Slot<'d> {
    /// Whether anything stands here.
    pub fn holds(&self) -> bool {
        self.value.is_some()
    }

    /// Whether a section stands here.
    pub fn holds_section(&self) -> bool {
        matches!(self.value, Some(Value::Mapping(_)))
    }

    /// Notes that what stands here is wrong.
    pub fn wrong(&self, message: String) {
        self.document.wrong_value(&self.path, message);
    }

    /// The plain value, if there is one that `rule` accepts; a rule answers with what it wants instead.
    pub fn plain<T: Setting>(self, rule: impl Fn(&T) -> Result<(), String>) -> Option<T> {
        let value = self.value?;
        let read = read(value).and_then(|setting: T| {
            rule(&setting)
                .map(|()| setting)
                .map_err(|wanted| format!("expected {wanted}, found {}", describe(value)))
        });
        if read.is_err() && self.optional && readings(value).contains(&Value::Null) {
            return None;
        }
        read.map_err(|message| self.wrong(message)).ok()
    }

    /// The items of the list, which is described as `wanted`, and may have to be `filled`.
    pub fn items(self, wanted: impl Fn() -> String, filled: bool) -> Option<Vec<Slot<'d>>> {
        match self.value? {
            Value::Sequence(items) if !(filled && items.is_empty()) => {
                let slot = |(index, item): (usize, &'d Value)| self.below(&index.to_string(), item);
                Some(items.iter().enumerate().map(slot).collect())
            }
            _ => {
                self.expected(&wanted());
                None
            }
        }
    }

    /// What stands under each name of a section whose keys are names.
    pub fn names(self) -> Option<Vec<(String, Slot<'d>)>> {
        self.value?;
        let mut names: Vec<(String, Slot)> = Vec::new();
        for (key, value) in self.map().into_iter().flatten() {
            let key = key_text(key);
            let slot = self.below(&key, value);
            if names.iter().any(|(known, _)| *known == key) {
                slot.wrong("is listed twice".to_owned());
            } else {
                names.push((key, slot));
            }
        }
        Some(names)
    }

    /// The section; an absent one is empty, so that its defaults apply.
    pub fn section(self) -> Section<'d> {
        Section {
            document: self.document,
            map: self.map(),
            path: self.path,
            known: Vec::new(),
            kind: None,
        }
    }

    fn map(&self) -> Option<&'d Mapping> {
        match self.value? {
            Value::Mapping(map) => Some(map),
            _ => {
                self.expected("a section such as {key: value}");
                None
            }
        }
    }

    fn expected(&self, wanted: &str) {
        let found = describe(self.value.unwrap_or(&Value::Null));
        self.wrong(format!("expected {wanted}, found {found}"));
    }

    /// What stands a `step` below.
    fn below(&self, step: &str, value: &'d Value) -> Slot<'d> {
        Slot {
            document: self.document,
            path: [&self.path[..], &[step.to_owned()]].concat(),
            value: Some(value),
            optional: false,
        }
    }
}

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

    /// What stands under `key`.
    pub fn slot(&mut self, key: &'static str) -> Slot<'d> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let mut keys = self.map.into_iter().flatten();
        let value = keys.find_map(|(name, value)| (key_text(name) == key).then_some(value));
        Slot {
            document: self.document,
            path: self.below(key),
            value: value.filter(|value| !value.is_null()),
            optional: true,
        }
    }

    /// What is read from under `key`; nothing if it is absent, null or wrong.
    pub fn get<T: Entry>(&mut self, key: &'static str) -> Option<T> {
        T::read(self.slot(key), Rule::Any)
    }

    /// The same for a `key` that has no default; its absence is a problem explained by `purpose`.
    pub fn needed<T: Entry>(&mut self, key: &'static str, purpose: &str, rule: Rule) -> Option<T> {
        let slot = self.slot(key);
        // A section says itself which of its keys is missing.
        let is_section = matches!(T::shape(rule), Shape::Section(..) | Shape::Kinds(_));
        if !slot.holds() && !is_section {
            slot.wrong(format!("missing: {purpose}"));
        }
        T::read(slot, rule)
    }

    /// The choice made by `kind`, one of `kinds`. Keys that make no sense for it are then unknown here.
    pub fn kind(
        &mut self,
        kinds: &[&'static str],
        usual: Option<&'static str>,
    ) -> Option<&'static str> {
        let word: Option<String> = match usual {
            Some(usual) => self.get("kind").or_else(|| Some(usual.to_owned())),
            None => self.needed_kind(kinds),
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
    fn needed_kind(&mut self, kinds: &[&'static str]) -> Option<String> {
        let mut keys = self.map.into_iter().flatten().map(|(key, _)| key_text(key));
        let misspelt = keys.find(|key| key != "kind" && nearest(key, &["kind"]).is_some());
        match misspelt.filter(|_| !self.slot("kind").holds()) {
            Some(key) => {
                let message = format!("not a key of {}; did you mean kind?", self.path.join("."));
                let path = [&self.path[..], &[key]].concat();
                self.document.wrong_key(&path, message);
                None
            }
            None => self.needed("kind", &format!("one of {}", kinds.join(", ")), Rule::Any),
        }
    }

    /// Notes something wrong with the value of `key`, which may be dotted.
    pub fn wrong(&self, key: &str, message: String) {
        self.document.wrong_value(&self.below(key), message);
    }

    /// The path of `key`, which may be dotted.
    fn below(&self, key: &str) -> Vec<String> {
        let steps = key.split('.').map(str::to_owned);
        self.path.iter().cloned().chain(steps).collect()
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
            let path = [&self.path[..], &[key]].concat();
            self.document.wrong_key(&path, message);
        }
    }
}
