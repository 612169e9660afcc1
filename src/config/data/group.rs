//! `data.group`: images that stay in one part, since they show the same thing.

use regex_lite::Regex;
use serde::Serialize;

use super::source::Source;
use crate::config::declare::keys;
use crate::config::entry::Entry;
use crate::config::key::{Rule, Shape};
use crate::config::section::Section;
use crate::config::setting::words;

/// By what images belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Group {
    /// By a rule without settings.
    Named(NamedGroup),
    /// By what is written of them.
    By(GroupBy),
}

words! {
    /// Rules without settings.
    NamedGroup {
        /// Each image for itself.
        None = "none",
        /// The images of a folder.
        Folder = "folder",
    }
}

keys! {
    /// What is equal in images that belong together; one of the two.
    GroupBy {
        /// A column of the table.
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<String> [= None],
        /// A regular expression on the name of the file: what its groups match, or all of it where it has none. It has to match
        /// each name.
        #[serde(skip_serializing_if = "Option::is_none")]
        pattern: Option<String> [= None],
    }
    check(by, section) {
        if by.column.is_some() == by.pattern.is_some() {
            let found = if by.column.is_some() { "both" } else { "neither" };
            section.wrong("column", format!("needs either column or pattern to tell images apart, found {found}"));
        }
        if let Some(Err(error)) = by.pattern.as_deref().map(Regex::new) {
            section.wrong("pattern", format!("not a regular expression: {error}"));
        }
    }
}

impl Group {
    /// Each image for itself.
    pub const NONE: Group = Group::Named(NamedGroup::None);

    /// The column that is taken without being named.
    const USUAL_COLUMN: &str = "group";

    pub(super) fn shape() -> Shape {
        Shape::Either(
            Box::new(<NamedGroup as Entry>::shape(Rule::Any)),
            Box::new(<GroupBy as Entry>::shape(Rule::Any)),
        )
    }

    /// As written; without a word by the usual column, if `source` is a table that has it.
    pub(super) fn read(section: &mut Section, source: &Source) -> Group {
        let slot = section.slot("group");
        if slot.holds_section() {
            return GroupBy::read(slot, Rule::Any).map_or(Group::NONE, Group::By);
        }
        if !slot.holds() && source.has_column(Group::USUAL_COLUMN) {
            return Group::By(GroupBy {
                column: Some(Group::USUAL_COLUMN.to_owned()),
                pattern: None,
            });
        }
        Entry::read(slot, Rule::Any).map_or(Group::NONE, Group::Named)
    }

    /// The column of the table that it needs.
    pub fn column(&self) -> Option<&str> {
        match self {
            Group::By(by) => by.column.as_deref(),
            Group::Named(_) => None,
        }
    }
}
