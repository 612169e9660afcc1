//! Keys, each declared once: `keys!` and `kinds!` make of a declaration the struct or enum, its reader, and its description.
//!
//! ```text
//! keys! {
//!     /// What the section is for.
//!     Example {
//!         /// What the key means.
//!         patience: usize [= 10, at_least(1)] unit "epochs" resume Free since "0.3",
//!     }
//! }
//! ```
//!
//! The type is any [`Entry`](super::entry::Entry): a plain value, a section, an `Option` or `Vec` of one. Behind it stands
//! what the key is without being written, and which numbers it takes:
//!
//! - `[= DEFAULT, RULE]`; a default that depends on keys above it is described in words, `[= DEFAULT; "WORDS"]`
//! - `[needs "PURPOSE", RULE]`: it has to be written; `[needs "PURPOSE" else VALUE]` has what to go on with if it is not
//! - `[section]`: a section whose keys have defaults
//! - `[flatten]`: the keys of another declaration, here
//! - `[if CONDITION: = DEFAULT, RULE]`: a key only under a condition, and nothing otherwise
//! - `[by READER; SHAPE, "DEFAULT"]`: read in its own way
//!
//! `[section with VALUE]` and `[flatten with VALUE]` give a declaration its parameter. Behind all that may stand `unit
//! "UNIT"`, `resume POLICY` (what a change of it means for a run that goes on) and `since "VERSION"`. A section hands the
//! latter two on to the keys in it. `resume` behind the name of [`kinds!`] says what another kind means, and `since` behind
//! a kind which version knew it first.

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
            pub(crate) fn declared($($param: $param_type)?) -> Vec<$crate::config::key::Key> {
                use $crate::config::{declare::*, entry::Entry, key::*};
                let mut keys = Vec::new();
                $(
                    let first = keys.len();
                    describe!(keys, $field, $type, concat!($($doc),*), $($spec)*);
                    facts!(keys, first, $(unit $unit)? $(resume $resume)? $(since $since)?);
                )*
                keys
            }

            /// Reads the keys.
            pub(crate) fn of(
                section: &mut $crate::config::section::Section
                $(, $param: $param_type)?
            ) -> $name {
                use $crate::config::{declare::*, entry::Entry, key::*};
                $( let $field: $type = take!(section, $field, $type, $($spec)*); )*
                let read = $name { $($field),* };
                $( { let ($this, $section) = (&read, &mut *section); $check } )?
                read
            }
        }

        $crate::config::declare::entry!($name $($param)?);
    };
}

/// Makes a section without a parameter one that can stand under any key.
macro_rules! entry {
    ($name:ident) => {
        impl $crate::config::entry::Entry for $name {
            fn shape(_: $crate::config::key::Rule) -> $crate::config::key::Shape {
                $crate::config::key::Shape::Section(stringify!($name), $name::declared)
            }

            fn read(
                slot: $crate::config::section::Slot,
                _: $crate::config::key::Rule,
            ) -> Option<$name> {
                Some($name::of(&mut slot.section()))
            }
        }
    };
    ($name:ident $param:ident) => {};
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
            pub(crate) const KINDS: $crate::config::key::Kinds = {
                use $crate::config::{declare::*, entry::Entry, key::*};
                Kinds {
                    name: stringify!($name),
                    all: $name::declared,
                    usual: optional!($($usual)?),
                    resume: optional!($($crate::config::policy::Policy::$kind_resume)?),
                }
            };

            /// The kinds with their keys.
            pub(crate) fn declared() -> Vec<$crate::config::key::Kind> {
                use $crate::config::{declare::*, entry::Entry, key::*};
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
            pub(crate) fn of(section: &mut $crate::config::section::Section) -> Option<$name> {
                use $crate::config::{declare::*, entry::Entry, key::*};
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

        impl $crate::config::entry::Entry for $name {
            fn shape(_: $crate::config::key::Rule) -> $crate::config::key::Shape {
                $crate::config::key::Shape::Kinds($name::KINDS)
            }

            fn read(slot: $crate::config::section::Slot, _: $crate::config::key::Rule) -> Option<$name> {
                $name::of(&mut slot.section())
            }
        }
    };
}

/// Reads the key of a field.
macro_rules! take {
    ($section:ident, $field:ident, $type:ty, $(as $key:literal)? = $default:expr $(; $words:literal)?) => {
        take!($section, $field, $type, $(as $key)? = $default, Rule::Any)
    };
    ($section:ident, $field:ident, $type:ty, $(as $key:literal)? = $default:expr, $rule:expr) => {
        <$type as Entry>::read($section.slot(name!($field $(as $key)?)), $rule).unwrap_or_else(|| $default)
    };
    ($section:ident, $field:ident, $type:ty, needs $purpose:literal $(, $rule:expr)?) => {
        $section.needed(stringify!($field), $purpose, last!(Rule::Any $(, $rule)?)).unwrap_or_default()
    };
    ($section:ident, $field:ident, $type:ty, needs $purpose:literal else $other:expr) => {
        $section.needed(stringify!($field), $purpose, Rule::Any).unwrap_or_else(|| $other)
    };
    ($section:ident, $field:ident, $type:ty, section $(needs $purpose:literal)?) => {
        $section.get::<$type>(stringify!($field)).expect("its keys have defaults")
    };
    ($section:ident, $field:ident, $type:ty, section with $given:expr) => {
        <$type>::of(&mut $section.slot(stringify!($field)).section(), $given)
    };
    ($section:ident, $field:ident, $type:ty, flatten $(with $given:expr)?) => {
        <$type>::of($section $(, $given)?)
    };
    ($section:ident, $field:ident, $type:ty, if $condition:expr; = $default:expr, $rule:expr) => {
        ($condition).then(|| take!($section, $field, _, = $default, $rule))
    };
    ($section:ident, $field:ident, $type:ty, by $read:expr; $($rest:tt)*) => {
        ($read)(&mut *$section)
    };
}

/// Adds the description of a field to `keys`.
macro_rules! describe {
    ($keys:tt, $field:ident, $type:ty, $about:expr, $(as $key:literal)? = $default:expr $(, $rule:expr)?) => {{
        let default: $type = $default;
        describe!(@ $keys, name!($field $(as $key)?), $about, <$type as Entry>::shape(last!(Rule::Any $(, $rule)?)), Absent::value(&default))
    }};
    ($keys:tt, $field:ident, $type:ty, $about:expr, = $default:expr; $words:literal) => {
        describe!(@ $keys, name!($field), $about, <$type as Entry>::shape(Rule::Any), Absent::Words($words))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, $(section)? needs $purpose:literal $(else $other:expr)? $(, $rule:expr)?) => {
        describe!(@ $keys, name!($field), $about, <$type as Entry>::shape(last!(Rule::Any $(, $rule)?)), Absent::Needed($purpose))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, section) => {{
        let shape = <$type as Entry>::shape(Rule::Any);
        let absent = Absent::section(&shape);
        describe!(@ $keys, name!($field), $about, shape, absent)
    }};
    ($keys:tt, $field:ident, $type:ty, $about:expr, section with $given:expr) => {{
        let shape = Shape::Section(stringify!($type), || <$type>::declared(Default::default()));
        let absent = Absent::section(&shape);
        describe!(@ $keys, name!($field), $about, shape, absent)
    }};
    ($keys:tt, $field:ident, $type:ty, $about:expr, flatten $(with $given:expr)?) => {
        $keys.extend(<$type>::declared($($given)?))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, if $condition:expr; = $default:expr, $rule:expr) => {
        describe!(@ $keys, name!($field), $about, <$type as Entry>::shape($rule), Absent::Words(concat!(stringify!($default), ", where it applies")))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, by $read:expr; $shape:expr, needs $purpose:expr) => {
        describe!(@ $keys, name!($field), $about, $shape, Absent::Needed($purpose))
    };
    ($keys:tt, $field:ident, $type:ty, $about:expr, by $read:expr; $shape:expr, $words:literal) => {
        describe!(@ $keys, name!($field), $about, $shape, Absent::Words($words))
    };
    (@ $keys:tt, $name:expr, $about:expr, $shape:expr, $absent:expr) => {
        $keys.push(Key::new($name, $about, $shape, $absent))
    };
}

/// The name of the key of a field.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident as $key:literal) => {
        $key
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

pub(crate) use {describe, entry, facts, keys, kinds, last, name, optional, take};
