//! Where a key stands in the text of an experiment.
//!
//! serde_yaml keeps no positions, but its errors carry them: to find a key we walk the text again and
//! fail on purpose when we stand on it. That costs a second parse per problem and no second parser.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

#[derive(Clone, Copy)]
pub(super) enum Stop {
    AtKey,
    AtValue,
}

/// Line and column, from 1, of what `path` leads to in `text`.
pub(super) fn find(text: &str, path: &[String], stop: Stop) -> Option<(usize, usize)> {
    let walk = Walk { path, stop };
    let error = walk.deserialize(serde_yaml::Deserializer::from_str(text));
    let at = error.err()?.location()?;
    Some((at.line(), at.column()))
}

/// Walks down `path` and then fails, so that the error tells where it stood.
struct Walk<'p> {
    path: &'p [String],
    stop: Stop,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Only maps and lists above the end of the path are entered; anything else is refused by the default
/// methods of `Visitor`, which is the failure wanted. What is entered is read to its end, because a
/// half-read map is a failure too, at the wrong place.
impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the end of the walk")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.path.split_first() else {
            return Err(A::Error::custom("here"));
        };
        let at_key = rest.is_empty() && matches!(self.stop, Stop::AtKey);
        while let Some(found) = map.next_key_seed(KeyIs {
            key: step,
            fail: at_key,
        })? {
            if found {
                map.next_value_seed(Walk {
                    path: rest,
                    stop: self.stop,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.path.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..step.parse().unwrap_or(0) {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Walk {
            path: rest,
            stop: self.stop,
        })?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

struct KeyIs<'p> {
    key: &'p str,
    fail: bool,
}

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        let found = key == self.key;
        if found && self.fail {
            Err(E::custom("here"))
        } else {
            Ok(found)
        }
    }
}
