//! One plain YAML value: what it can be read as, and under which rule.

use std::path::PathBuf;

use serde_yaml::Value;

use super::document::readings;
use super::key::{Rule, Shape};

/// A type that one plain YAML value can be read as.
pub trait Setting: Sized {
    /// What it may be under a rule.
    fn shape(rule: Rule) -> Shape;

    /// The number that a rule is about, if it is one.
    fn number(&self) -> Option<f64> {
        None
    }

    /// The setting, or a sentence saying what was expected and what was found.
    ///
    /// # Errors
    /// When `value` is of another type.
    fn read(value: &Value) -> Result<Self, String>;
}

/// Reads a value as whatever the key wants, where a filled-in variable leaves a choice.
pub(super) fn read<T: Setting>(value: &Value) -> Result<T, String> {
    let mut found = Err(String::new());
    for reading in readings(value) {
        found = T::read(&reading);
        if found.is_ok() {
            break;
        }
    }
    found
}

/// The longest quotation of a value in a message, in characters.
const LONGEST: usize = 80;

/// The first characters of `text` that a message quotes, and how much it leaves out.
pub(super) fn cut(text: &str) -> (&str, String) {
    match text.char_indices().nth(LONGEST) {
        None => (text, String::new()),
        Some((end, _)) => {
            let rest = text[end..].chars().count();
            (&text[..end], format!(" and {rest} more characters"))
        }
    }
}

/// A value as a message quotes it.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let (text, rest) = cut(text);
            format!("{text:?}{rest}")
        }
        Value::Sequence(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a section".to_owned(),
        Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let (tag, rest) = cut(&tag);
            format!("the tag {tag}{rest}")
        }
    }
}

/// The largest number up to which floats hold every whole number: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How to write the number that a text seems to be: in quotes, with `_` or with zeros before it, YAML 1.2 has none.
fn as_number(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default().replace('_', "");
    let number = text.trim_start_matches('0');
    let number = if number.is_empty() || number.starts_with(['.', 'e', 'E']) {
        format!("0{number}")
    } else {
        number.to_owned()
    };
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && number.parse::<f64>().is_ok_and(f64::is_finite);
    if plain {
        format!("; write {number}")
    } else {
        String::new()
    }
}

impl Setting for bool {
    fn shape(_: Rule) -> Shape {
        Shape::Truth
    }

    fn read(value: &Value) -> Result<bool, String> {
        let meant = match value.as_str().map(str::to_lowercase).as_deref() {
            Some("yes" | "on" | "y" | "true") => "; write true",
            Some("no" | "off" | "n" | "false") => "; write false",
            _ => "",
        };
        value
            .as_bool()
            .ok_or_else(|| format!("expected true or false, found {}{meant}", describe(value)))
    }
}

impl Setting for f64 {
    fn shape(rule: Rule) -> Shape {
        Shape::Number(rule)
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }

    fn read(value: &Value) -> Result<f64, String> {
        let number = value.as_f64().ok_or_else(|| {
            format!(
                "expected a number, found {}{}",
                describe(value),
                as_number(value)
            )
        })?;
        // Tensors are float32: what is infinite there, or nothing, is not what its author meant.
        let there = number as f32;
        if there.is_finite() && (there != 0.0 || number == 0.0) {
            Ok(number)
        } else {
            Err(format!(
                "expected 0 or a number that float32 can hold (1e-38 to 3e38), found {}",
                describe(value)
            ))
        }
    }
}

impl Setting for u64 {
    fn shape(rule: Rule) -> Shape {
        Shape::Whole(rule)
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }

    fn read(value: &Value) -> Result<u64, String> {
        let number = value.as_f64().filter(|number| number.fract() == 0.0);
        let beyond = number.is_some_and(|number| number >= u64::MAX as f64);
        // 1e3 and 10.0 are whole, and exact up to here.
        let exact = number.filter(|number| (0.0..=EXACT).contains(number));
        let whole = value.as_u64().or(exact.map(|number| number as u64));
        whole.ok_or_else(|| {
            if beyond {
                format!(
                    "expected a whole number up to {}, found {}",
                    u64::MAX,
                    describe(value)
                )
            } else {
                format!(
                    "expected a whole number of 0 or more, found {}{}",
                    describe(value),
                    as_number(value)
                )
            }
        })
    }
}

/// A label, which may be negative.
impl Setting for i128 {
    fn shape(rule: Rule) -> Shape {
        Shape::Whole(rule)
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }

    fn read(value: &Value) -> Result<i128, String> {
        let number = value.as_i64().map(i128::from);
        number
            .or_else(|| value.as_u64().map(i128::from))
            .ok_or_else(|| format!("expected a whole number, found {}", describe(value)))
    }
}

impl Setting for usize {
    fn shape(rule: Rule) -> Shape {
        Shape::Whole(rule)
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }

    fn read(value: &Value) -> Result<usize, String> {
        u64::read(value).map(|number| number as usize)
    }
}

impl Setting for String {
    fn shape(_: Rule) -> Shape {
        Shape::Text
    }

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
    fn shape(_: Rule) -> Shape {
        Shape::Path
    }

    fn read(value: &Value) -> Result<PathBuf, String> {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(PathBuf::from)
            .ok_or_else(|| format!("expected a path, found {}", describe(value)))
    }
}

/// Declares an enum whose values are single words in the experiment file.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[doc = $doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

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
                    other => Err($crate::config::setting::one_of(other, &[$($word),+])),
                }
            }
        }

        impl $crate::config::setting::Setting for $name {
            fn shape(_: $crate::config::key::Rule) -> $crate::config::key::Shape {
                $crate::config::key::Shape::Words(&[$(($word, concat!($($doc),*))),+])
            }

            fn read(value: &serde_yaml::Value) -> Result<$name, String> {
                match value.as_str() {
                    Some(word) => word.parse(),
                    None => Err(format!(
                        "expected one of {}, found {}",
                        [$($word),+].join(", "),
                        $crate::config::setting::describe(value)
                    )),
                }
            }
        }
    };
}

pub(crate) use words;

/// The word closest to `word`, if any is close enough to be what was meant: one wrong letter away, or else much alike.
pub fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let word = word.to_lowercase();
    let scored = words.iter().map(|known| {
        let one_letter = strsim::osa_distance(&word, known) <= 1;
        (one_letter, strsim::jaro_winkler(&word, known), *known)
    });
    let best = scored.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))?;
    (best.0 || best.1 > 0.8).then_some(best.2)
}

/// "unknown word x; did you mean y?", for values chosen from a list.
pub fn one_of(word: &str, words: &[&str]) -> String {
    let near = nearest(word, words);
    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    let (word, rest) = cut(word);
    format!("{word}{rest} is not one of {}{near}", words.join(", "))
}
