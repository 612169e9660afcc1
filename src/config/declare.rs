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
//! declaration, `[if CONDITION: T = DEFAULT, RULE]` is a key only under a condition, and `[by READER; SHAPE, "DEFAULT"]` one
//! that is read in its own way.
//!
//! Behind that may stand `unit "UNIT"`, `resume POLICY` (what a change of it means for a run that goes on) and
//! `since "VERSION"`. A section hands the latter two on to the keys in it. `resume` behind the name of [`kinds!`] says what
//! another kind means, and `since` behind a kind which version knew it first.

use serde::Serialize;
use serde_json::{Value, json};

use super::policy::Policy;
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
    /// What its number counts.
    pub unit: Option<&'static str>,
    /// What a change of it means for a run that goes on; nothing where that is as with its section.
    pub resume: Option<Policy>,
    /// The version that knew it first; nothing where that is as with its section.
    pub since: Option<&'static str>,
}

impl Key {
    /// One with its section's policy and version.
    pub(super) fn new(
        name: &'static str,
        about: &'static str,
        shape: Shape,
        default: Absent,
    ) -> Key {
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
    /// Nothing.
    pub(super) fn null() -> Absent {
        Absent::Value(Value::Null)
    }

    /// A section with all its defaults, of the usual kind if it has kinds.
    pub(super) fn section(usual: Option<&'static str>) -> Absent {
        Absent::Value(usual.map_or_else(|| json!({}), |kind| json!({"kind": kind})))
    }

    /// An empty list.
    pub(super) fn list() -> Absent {
        Absent::Value(json!([]))
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
    /// A list.
    List(Box<Shape>),
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
            $(
                $(#[doc = $doc:literal])* $(#[serde $serde:tt])? $field:ident: $type:ty [$($spec:tt)*]
                $(unit $unit:literal)? $(resume $resume:ident)? $(since $since:literal)?
            ),* $(,)?
        }
        $( check($this:ident, $section:ident) $check:block )?
    ) => {
        $(#[doc = $about])*
        $(#[derive $derive])?
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $name { $( $(#[doc = $doc])* $(#[serde $serde])? pub $field: $type ),* }

        #[allow(unused_imports)]
        impl $name {
            /// The keys, in order.
            #[allow(unused_variables)]
            pub(in crate::config) fn declared($($param: $param_type)?) -> Vec<$crate::config::declare::Key> {
                use $crate::config::declare::*;
                let mut keys = Vec::new();
                $(
                    let first = keys.len();
                    describe!(keys, $field, $type, concat!($($doc),*), $($spec)*);
                    facts!(keys, first, $(unit $unit)? $(resume $resume)? $(since $since)?);
                )*
                keys
            }

            /// Reads the keys.
            pub(in crate::config) fn of(
                section: &mut $crate::config::section::Section
                $(, $param: $param_type)?
            ) -> $name {
                use $crate::config::declare::*;
                $( let $field: $type = take!(section, $field, $type, $($spec)*); )*
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
        $name:ident $(or $usual:literal)? $(resume $kind_resume:ident)? {
            $(
                $(#[doc = $kind_about:literal])*
                $word:literal $variant:ident $(($inner:ty $(; $given:expr)?))? $({
                    $(
                        $(#[doc = $doc:literal])* $(#[serde $serde:tt])? $field:ident: $type:ty [$($spec:tt)*]
                        $(unit $unit:literal)? $(resume $resume:ident)? $(since $since:literal)?
                    ),* $(,)?
                })? $(since $kind_since:literal)?
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

        #[allow(unused_imports)]
        impl $name {
            /// The words of all kinds.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The kinds, and which is usual.
            pub(in crate::config) const KINDS: $crate::config::declare::Kinds = {
                use $crate::config::declare::*;
                Kinds {
                    name: stringify!($name),
                    all: $name::declared,
                    usual: optional!($($usual)?),
                    resume: optional!($($crate::config::policy::Policy::$kind_resume)?),
                }
            };

            /// The kinds with their keys.
            pub(in crate::config) fn declared() -> Vec<$crate::config::declare::Kind> {
                use $crate::config::declare::*;
                vec![$( {
                    #[allow(unused_mut)]
                    let mut kind = Kind {
                        word: $word,
                        about: concat!($($kind_about),*).trim_start(),
                        since: optional!($($kind_since)?),
                        keys: Vec::new(),
                    };
                    $( kind.keys.extend(<$inner>::declared($($given)?)); )?
                    $($(
                        let first = kind.keys.len();
                        describe!((kind.keys), $field, $type, concat!($($doc),*), $($spec)*);
                        facts!((kind.keys), first, $(unit $unit)? $(resume $resume)? $(since $since)?);
                    )*)?
                    kind
                } ),+]
            }

            /// Reads a section; nothing where its kind is none, which is noted.
            pub(in crate::config) fn of(section: &mut $crate::config::section::Section) -> Option<$name> {
                use $crate::config::declare::*;
                let usual = $name::KINDS.usual;
                let read = match section.kind($name::WORDS, usual).or(usual)? {
                    $( $word => {
                        $($( let $field: $type = take!(section, $field, $type, $($spec)*); )*)?
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
        <$type as Entry>::read($section, $key, $rule).unwrap_or_else(|| $default)
    };
    ($section:ident, $field:ident, $type:ty, = $default:expr $(; $words:literal)?) => {
        take!($section, $field, $type, = $default, Rule::Any)
    };
    ($section:ident, $field:ident, $type:ty, = $default:expr, $rule:expr) => {
        <$type as Entry>::read($section, stringify!($field), $rule).unwrap_or_else(|| $default)
    };
    ($section:ident, $field:ident, $type:ty, maybe $inner:ty $(, $rule:expr)?) => {
        <$inner as Entry>::read($section, stringify!($field), last!(Rule::Any $(, $rule)?))
    };
    ($section:ident, $field:ident, $type:ty, list $inner:ty = $default:expr $(, $rule:expr)?) => {
        <$inner as Entry>::read_list($section, stringify!($field), last!(Rule::Any $(, $rule)?)).unwrap_or_else(|| $default)
    };
    ($section:ident, $field:ident, $type:ty, needs $purpose:literal) => {
        $section.required(stringify!($field), $purpose).unwrap_or_default()
    };
    ($section:ident, $field:ident, $type:ty, flatten $(with $given:expr)?) => {
        <$type>::of($section $(, $given)?)
    };
    ($section:ident, $field:ident, $type:ty, section $(needs $purpose:literal)? $(with $given:expr)?) => {
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
        ($condition).then(|| <$inner as Entry>::read($section, stringify!($field), $rule).unwrap_or_else(|| $default))
    };
    ($section:ident, $field:ident, $type:ty, by $read:expr; $($rest:tt)*) => {
        ($read)(&mut *$section)
    };
}

/// Adds the description of a field to `keys`.
macro_rules! describe {
    ($keys:tt, $field:ident, $type:ty, $about:expr, as $key:literal = $default:expr, $rule:expr) => {
        $keys.push(Key::new($key, $about, <$type as Entry>::shape($rule), Absent::Value(plain(&$default))))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, = $default:expr) => {
        describe!($keys, $field, $type, $about, = $default, Rule::Any)
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, = $default:expr; $words:literal) => {
        describe!(@ $keys, $field, $about, <$type as Entry>::shape(Rule::Any), Absent::Words($words))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, = $default:expr, $rule:expr) => {{
        let default: $type = $default;
        describe!(@ $keys, $field, $about, <$type as Entry>::shape($rule), Absent::Value(plain(&default)))
    }};
    ($keys:tt, $field:ident, $type:ty, $about:expr, maybe $inner:ty $(, $rule:expr)?) => {
        describe!(@ $keys, $field, $about, <$inner as Entry>::shape(last!(Rule::Any $(, $rule)?)), Absent::null())
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, list $inner:ty = $default:expr $(, $rule:expr)?) => {{
        let default: $type = $default;
        let item = <$inner as Entry>::shape(last!(Rule::Any $(, $rule)?));
        describe!(@ $keys, $field, $about, Shape::List(Box::new(item)), Absent::Value(plain(&default)))
    }};
    ($keys:tt, $field:ident, $type:ty, $about:expr, needs $purpose:literal) => {
        describe!(@ $keys, $field, $about, <$type as Entry>::shape(Rule::Any), Absent::Needed($purpose))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, flatten $(with $given:expr)?) => {
        $keys.extend(<$type>::declared($($given)?))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, section) => {
        describe!(@ $keys, $field, $about, Shape::Section(stringify!($type), <$type>::declared), Absent::section(None))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, section with $given:expr) => {
        describe!(@ $keys, $field, $about,
            Shape::Section(stringify!($type), || <$type>::declared(Default::default())), Absent::section(None))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, section needs $purpose:literal) => {
        describe!(@ $keys, $field, $about, Shape::Section(stringify!($type), <$type>::declared), Absent::Needed($purpose))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, kinds) => {
        describe!(@ $keys, $field, $about, Shape::Kinds(<$type>::KINDS), Absent::section(<$type>::KINDS.usual))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, kinds else $wrong:expr) => {
        describe!(@ $keys, $field, $about, Shape::Kinds(<$type>::KINDS), Absent::Needed("a section with a kind"))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, boxed kinds $inner:ty) => {
        describe!($keys, $field, $inner, $about, kinds)
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, maybe section $inner:ty) => {
        describe!(@ $keys, $field, $about, Shape::Section(stringify!($inner), <$inner>::declared), Absent::null())
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, list of kinds $inner:ty) => {
        describe!(@ $keys, $field, $about, Shape::List(Box::new(Shape::Kinds(<$inner>::KINDS))), Absent::list())
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, if $condition:expr; $inner:ty = $default:expr, $rule:expr) => {
        describe!(@ $keys, $field, $about, <$inner as Entry>::shape($rule), Absent::Words(concat!(stringify!($default), ", where it applies")))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, by $read:expr; $shape:expr, needs $example:expr) => {
        describe!(@ $keys, $field, $about, $shape, Absent::Needed($example))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, by $read:expr; $shape:expr, $words:literal) => {
        describe!(@ $keys, $field, $about, $shape, Absent::Words($words))
    };
    (@ $keys:tt, $field:ident, $about:expr, $shape:expr, $absent:expr) => {
        $keys.push(Key::new(stringify!($field), $about, $shape, $absent))
    };
}

/// Adds facts to the keys from number `first` on, which one field has described.
macro_rules! facts {
    ($keys:tt, $first:ident,) => {
        let _ = $first;
    };
    ($keys:tt, $first:ident, $(unit $unit:literal)? $(resume $resume:ident)? $(since $since:literal)?) => {
        for key in &mut $keys[$first..] {
            $( key.unit = Some($unit); )?
            $( key.resume = Some($crate::config::policy::Policy::$resume); )?
            $( key.since = Some($since); )?
        }
    };
}

/// What may have been written.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// The last of some values.
macro_rules! last {
    ($last:expr) => {
        $last
    };
    ($first:expr, $last:expr) => {
        $last
    };
}

pub(crate) use {describe, facts, keys, kinds, last, optional, take};
