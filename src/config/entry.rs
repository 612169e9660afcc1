//! What can stand under a key: a plain value, a section, a list of either, or names with either.

use serde::{Serialize, Serializer};

use super::key::{Rule, Shape};
use super::section::Slot;
use super::setting::Setting;

/// A type that is read from where a key stands.
pub trait Entry: Sized {
    /// What may stand there, under a rule about numbers.
    fn shape(rule: Rule) -> Shape;

    /// What stands in `slot`. Nothing where that is wrong, which is noted, and where nothing stands, unless this is a
    /// section, whose keys have defaults of their own.
    fn read(slot: Slot, rule: Rule) -> Option<Self>;
}

impl<T: Setting> Entry for T {
    fn shape(rule: Rule) -> Shape {
        <T as Setting>::shape(rule)
    }

    fn read(slot: Slot, rule: Rule) -> Option<T> {
        slot.plain(|value| rule.judge(value))
    }
}

impl<T: Entry> Entry for Option<T> {
    fn shape(rule: Rule) -> Shape {
        T::shape(rule)
    }

    fn read(slot: Slot, rule: Rule) -> Option<Option<T>> {
        let holds = slot.holds();
        holds.then(|| T::read(slot, rule))
    }
}

/// A list, nothing if an item is wrong.
impl<T: Entry> Entry for Vec<T> {
    fn shape(rule: Rule) -> Shape {
        Shape::List(Box::new(T::shape(rule)), usize::from(rule == Rule::Filled))
    }

    fn read(slot: Slot, rule: Rule) -> Option<Vec<T>> {
        let wanted = || match T::shape(rule) {
            Shape::Section(_, keys) => {
                format!("a list of sections such as [{{{}: …}}]", keys()[0].name)
            }
            Shape::Kinds(kinds) => {
                format!(
                    "a list of sections such as [{{kind: {}}}]",
                    (kinds.all)()[0].word
                )
            }
            _ => "a list such as [a, b]".to_owned(),
        };
        let items = slot.items(wanted, rule == Rule::Filled)?.into_iter();
        let read: Vec<Option<T>> = items.map(|item| T::read(item, rule)).collect();
        read.into_iter().collect()
    }
}

/// Names that their author chooses, as of classes, nothing if what stands under one is wrong.
impl<T: Entry> Entry for Vec<(String, T)> {
    fn shape(rule: Rule) -> Shape {
        Shape::Names(Box::new(T::shape(rule)))
    }

    fn read(slot: Slot, rule: Rule) -> Option<Vec<(String, T)>> {
        let slots = slot.names()?.into_iter();
        let read: Vec<_> = slots
            .map(|(name, slot)| Some((name, T::read(slot, rule)?)))
            .collect();
        read.into_iter().collect()
    }
}

/// Names with their values as a map, in their order.
///
/// # Errors
/// Those of the serializer.
pub fn as_map<T: Serialize, S: Serializer>(
    entries: &[(String, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}
