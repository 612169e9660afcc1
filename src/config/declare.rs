//! Keys, each declared once: `keys!` and `kinds!` make of a declaration the struct or enum, its reader, and its description.
//!
//! ```text
//! keys! {
//!     /// What the section is for.
//!     Example {
//!         /// What the key means, with its unit.
//!         patience: usize [= 10, at_least(1)],
//!     }
//! }
//! ```
//!
//! Behind the type stands what the key is without being written, and which values it takes: `[= DEFAULT, RULE]`. A default
//! that depends on keys above it is described in words: `[= DEFAULT; "WORDS"]`. `[maybe T, RULE]` is null by default,
//! `[list T = DEFAULT, RULE]` a list, `[needs "PURPOSE"]` has to be written, `[flatten]` stands for the keys of another
//! declaration, and `[if CONDITION: T = DEFAULT, RULE]` is a key only under a condition.

use serde::Serialize;
use serde_json::Value;

use super::section::Section;
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
    /// A value of a form of its own, in words.
    Form(&'static str),
    /// A list.
    List(Box<Shape>),
    /// A section, by the name of its type. Layers contain layers, so what it holds is asked for.
    Section(&'static str, fn() -> Vec<Key>),
    /// A section whose keys depend on its `kind`; and the kind it is of without being told.
    Kinds(&'static str, fn() -> Vec<Kind>, Option<&'static str>),
    /// A section whose keys are names that its author chooses.
    Names(Box<Shape>),
    /// One or the other.
    Either(Box<Shape>, Box<Shape>),
}

/// A kind of section.
pub struct Kind {
    /// Its word.
    pub word: &'static str,
    /// What it is.
    pub about: &'static str,
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
    /// Powers of two from 1 to a number.
    PowersOfTwo(f64),
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

impl Rule {
    /// Whether `number` is taken.
    pub fn takes(self, number: f64) -> bool {
        match self {
            Rule::Any => true,
            Rule::AtLeast(low) => number >= low,
            Rule::Within(low, high) => (low..=high).contains(&number),
            Rule::Below(low, high) => (low..high).contains(&number),
            Rule::AboveZero => number > 0.0,
            Rule::PowersOfTwo(high) => {
                (1.0..=high).contains(&number) && (number as u64).is_power_of_two()
            }
        }
    }

    /// What is taken, for numbers that are `whole` or not.
    pub fn words(self, whole: bool) -> String {
        let a = if whole { "" } else { "a number from " };
        match self {
            Rule::Any => "a number".to_owned(),
            Rule::AtLeast(low) => format!("{low} or more"),
            Rule::Within(low, high) => format!("{a}{low} to {high}"),
            Rule::Below(low, high) => format!("a number from {low} up to but without {high}"),
            Rule::AboveZero => "a number above 0".to_owned(),
            Rule::PowersOfTwo(high) => format!("a power of two from 1 to {high}"),
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

/// What can stand under a key: a plain value or a section.
pub(super) trait Entry: Sized {
    /// What may stand there under a rule.
    fn shape(rule: Rule) -> Shape;

    /// What stands under `key`; nothing where it is absent, or wrong, which is noted.
    fn read(section: &mut Section, key: &'static str, rule: Rule) -> Option<Self>;

    /// The list under `key`, in the same way.
    fn read_list(section: &mut Section, key: &'static str, rule: Rule) -> Option<Vec<Self>>;
}

impl<T: Setting> Entry for T {
    fn shape(rule: Rule) -> Shape {
        <T as Setting>::shape(rule)
    }

    fn read(section: &mut Section, key: &'static str, rule: Rule) -> Option<T> {
        section.optional_if(key, |value| rule.judge(value))
    }

    fn read_list(section: &mut Section, key: &'static str, rule: Rule) -> Option<Vec<T>> {
        section.values_if(key, |value| rule.judge(value))
    }
}

/// A setting as plain data.
pub(super) fn plain<T: Serialize>(setting: &T) -> Value {
    serde_json::to_value(setting).expect("a setting is plain data")
}

/// Declares a section: a struct, its reader and its description; see the head of this file. A parameter behind the name
/// is a default that those who contain the section give. `check` gets what was read and the section, to note what does
/// not go together.
macro_rules! keys {
    (
        $(#[doc = $about:literal])*
        $(#[derive $derive:tt])?
        $name:ident $(($param:ident: $param_type:ty))? {
            $( $(#[doc = $doc:literal])* $(#[serde $serde:tt])? $field:ident: $type:ty [$($spec:tt)*] ),* $(,)?
        }
        $( check($this:ident, $section:ident) $check:block )?
    ) => {
        $(#[doc = $about])*
        $(#[derive $derive])?
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $name { $( $(#[doc = $doc])* $(#[serde $serde])? pub $field: $type ),* }

        impl $name {
            /// The keys, in order.
            #[allow(unused_variables)]
            pub(in crate::config) fn declared($($param: $param_type)?) -> Vec<$crate::config::declare::Key> {
                let mut keys = Vec::new();
                $( $crate::config::declare::describe!(keys, $field, $type, concat!($($doc),*), $($spec)*); )*
                keys
            }

            /// Reads the keys.
            pub(in crate::config) fn of(
                section: &mut $crate::config::section::Section
                $(, $param: $param_type)?
            ) -> $name {
                $( let $field: $type = $crate::config::declare::take!(section, $field, $type, $($spec)*); )*
                let read = $name { $($field),* };
                $( { let ($this, $section) = (&read, &mut *section); $check } )?
                read
            }
        }
    };
}

/// Declares a section whose keys depend on its `kind`: an enum, its reader and its description. `NAME or "word"` is of
/// that kind without being told.
macro_rules! kinds {
    (
        $(#[doc = $about:literal])*
        $name:ident $(or $usual:literal)? {
            $(
                $(#[doc = $kind_about:literal])*
                $word:literal $variant:ident $(($inner:ty $(; $given:expr)?))? $({
                    $( $(#[doc = $doc:literal])* $(#[serde $serde:tt])? $field:ident: $type:ty [$($spec:tt)*] ),* $(,)?
                })?
            ),+ $(,)?
        }
        $( check($this:ident, $section:ident) $check:block )?
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum $name {
            $( $(#[doc = $kind_about])* $variant $(($inner))? $({ $( $(#[doc = $doc])* $(#[serde $serde])? $field: $type ),* })? ),+
        }

        impl $name {
            /// The words of all kinds.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The kind that a section is of without being told.
            pub(in crate::config) const USUAL: Option<&'static str> = $crate::config::declare::usual!($($usual)?);

            /// The kinds with their keys.
            #[allow(clippy::vec_init_then_push)]
            pub(in crate::config) fn declared() -> Vec<$crate::config::declare::Kind> {
                vec![$( $crate::config::declare::Kind {
                    word: $word,
                    about: concat!($($kind_about),*).trim_start(),
                    keys: {
                        #[allow(unused_mut)]
                        let mut keys = Vec::new();
                        $( keys.extend(<$inner>::declared($($given)?)); )?
                        $($( $crate::config::declare::describe!(keys, $field, $type, concat!($($doc),*), $($spec)*); )*)?
                        keys
                    },
                } ),+]
            }

            /// Reads a section; nothing where its kind is none, which is noted.
            pub(in crate::config) fn of(section: &mut $crate::config::section::Section) -> Option<$name> {
                let kind = section.kind($name::WORDS, $name::USUAL).or($name::USUAL)?;
                let read = match kind {
                    $( $word => {
                        $($( let $field: $type = $crate::config::declare::take!(section, $field, $type, $($spec)*); )*)?
                        $name::$variant $((<$inner>::of(section $(, $given)?)))? $({ $($field),* })?
                    } )+
                    _ => unreachable!("a kind is one of its words"),
                };
                $( { let ($this, $section) = (&read, &mut *section); $check } )?
                Some(read)
            }
        }
    };
}

/// Reads the key of a field.
macro_rules! take {
    ($section:ident, $field:ident, $type:ty, as $key:literal = $default:expr, $rule:expr) => {
        <$type as $crate::config::declare::Entry>::read($section, $key, $rule).unwrap_or_else(|| $default)
    };
    ($section:ident, $field:ident, $type:ty, = $default:expr $(; $words:literal)?) => {
        $crate::config::declare::take!($section, $field, $type, = $default, $crate::config::declare::Rule::Any)
    };
    ($section:ident, $field:ident, $type:ty, = $default:expr, $rule:expr) => {
        <$type as $crate::config::declare::Entry>::read($section, stringify!($field), $rule).unwrap_or_else(|| $default)
    };
    ($section:ident, $field:ident, $type:ty, maybe $inner:ty $(, $rule:expr)?) => {{
        let rule = [$crate::config::declare::Rule::Any $(, $rule)?];
        <$inner as $crate::config::declare::Entry>::read($section, stringify!($field), rule[rule.len() - 1])
    }};
    ($section:ident, $field:ident, $type:ty, list $inner:ty = $default:expr $(, $rule:expr)?) => {{
        let rule = [$crate::config::declare::Rule::Any $(, $rule)?];
        <$inner as $crate::config::declare::Entry>::read_list($section, stringify!($field), rule[rule.len() - 1])
            .unwrap_or_else(|| $default)
    }};
    ($section:ident, $field:ident, $type:ty, needs $purpose:literal) => {
        $section.required(stringify!($field), $purpose).unwrap_or_default()
    };
    ($section:ident, $field:ident, $type:ty, flatten $(with $given:expr)?) => {
        <$type>::of($section $(, $given)?)
    };
    ($section:ident, $field:ident, $type:ty, section $(with $given:expr)?) => {
        <$type>::of(&mut $section.section(stringify!($field)) $(, $given)?)
    };
    ($section:ident, $field:ident, $type:ty, kinds) => {
        <$type>::of(&mut $section.section(stringify!($field))).expect("it has a usual kind")
    };
    ($section:ident, $field:ident, $type:ty, boxed kinds $inner:ty) => {
        Box::new(<$inner>::of(&mut $section.section(stringify!($field))).expect("it has a usual kind"))
    };
    ($section:ident, $field:ident, $type:ty, maybe section $inner:ty) => {
        $section.holds(stringify!($field)).then(|| <$inner>::of(&mut $section.section(stringify!($field))))
    };
    ($section:ident, $field:ident, $type:ty, kinds else $wrong:expr) => {
        <$type>::of(&mut $section.section(stringify!($field))).unwrap_or_else(|| $wrong)
    };
    ($section:ident, $field:ident, $type:ty, list of kinds $inner:ty) => {
        $section.sections(stringify!($field)).into_iter().flatten().filter_map(|mut own| <$inner>::of(&mut own)).collect()
    };
    ($section:ident, $field:ident, $type:ty, if $condition:expr; $inner:ty = $default:expr, $rule:expr) => {
        ($condition).then(|| {
            <$inner as $crate::config::declare::Entry>::read($section, stringify!($field), $rule).unwrap_or_else(|| $default)
        })
    };
    ($section:ident, $field:ident, $type:ty, by $read:expr; $shape:expr, $(needs)? $words:literal) => {
        ($read)(&mut *$section)
    };
}

/// Adds the description of a field to `keys`.
macro_rules! describe {
    ($keys:ident, $field:ident, $type:ty, $about:expr, as $key:literal = $default:expr, $rule:expr) => {
        $crate::config::declare::describe!(@ $keys, $key, $about, <$type as $crate::config::declare::Entry>::shape($rule),
            Value($crate::config::declare::plain(&$default)))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, = $default:expr) => {
        $crate::config::declare::describe!($keys, $field, $type, $about, = $default, $crate::config::declare::Rule::Any)
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, = $default:expr; $words:literal) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            <$type as $crate::config::declare::Entry>::shape($crate::config::declare::Rule::Any), Words($words))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, = $default:expr, $rule:expr) => {{
        let default: $type = $default;
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            <$type as $crate::config::declare::Entry>::shape($rule), Value($crate::config::declare::plain(&default)))
    }};
    ($keys:ident, $field:ident, $type:ty, $about:expr, maybe $inner:ty $(, $rule:expr)?) => {{
        let rule = [$crate::config::declare::Rule::Any $(, $rule)?];
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            <$inner as $crate::config::declare::Entry>::shape(rule[rule.len() - 1]), Value(serde_json::Value::Null))
    }};
    ($keys:ident, $field:ident, $type:ty, $about:expr, list $inner:ty = $default:expr $(, $rule:expr)?) => {{
        let rule = [$crate::config::declare::Rule::Any $(, $rule)?];
        let default: $type = $default;
        let item = <$inner as $crate::config::declare::Entry>::shape(rule[rule.len() - 1]);
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            $crate::config::declare::Shape::List(Box::new(item)), Value($crate::config::declare::plain(&default)))
    }};
    ($keys:ident, $field:ident, $type:ty, $about:expr, needs $purpose:literal) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            <$type as $crate::config::declare::Entry>::shape($crate::config::declare::Rule::Any), Needed($purpose))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, flatten $(with $given:expr)?) => {
        $keys.extend(<$type>::declared($($given)?))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, section $(with $given:expr)?) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            $crate::config::declare::Shape::Section(stringify!($type), || <$type>::declared($($given)?)), Value(serde_json::json!({})))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, kinds) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            $crate::config::declare::Shape::Kinds(stringify!($type), <$type>::declared, <$type>::USUAL),
            Value(serde_json::json!({"kind": <$type>::USUAL})))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, kinds else $wrong:expr) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            $crate::config::declare::Shape::Kinds(stringify!($type), <$type>::declared, <$type>::USUAL),
            Needed("a section with a kind"))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, boxed kinds $inner:ty) => {
        $crate::config::declare::describe!($keys, $field, $inner, $about, kinds)
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, maybe section $inner:ty) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            $crate::config::declare::Shape::Section(stringify!($inner), <$inner>::declared), Value(serde_json::Value::Null))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, list of kinds $inner:ty) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            $crate::config::declare::Shape::List(Box::new(
                $crate::config::declare::Shape::Kinds(stringify!($inner), <$inner>::declared, <$inner>::USUAL))), Value(serde_json::json!([])))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, if $condition:expr; $inner:ty = $default:expr, $rule:expr) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about,
            <$inner as $crate::config::declare::Entry>::shape($rule),
            Words(concat!(stringify!($default), ", where it applies")))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, by $read:expr; $shape:expr, needs $example:literal) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about, $shape, Needed($example))
    };
    ($keys:ident, $field:ident, $type:ty, $about:expr, by $read:expr; $shape:expr, $words:literal) => {
        $crate::config::declare::describe!(@ $keys, stringify!($field), $about, $shape, Words($words))
    };
    (@ $keys:ident, $name:expr, $about:expr, $shape:expr, $default:ident($value:expr)) => {
        $keys.push($crate::config::declare::Key {
            name: $name,
            about: $about.trim_start(),
            shape: $shape,
            default: $crate::config::declare::Absent::$default($value),
        })
    };
}

/// The kind that a section is of without being told, if there is one.
macro_rules! usual {
    () => {
        None
    };
    ($word:literal) => {
        Some($word)
    };
}

pub(crate) use {describe, keys, kinds, take, usual};
