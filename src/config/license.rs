//! The licence of a model.

use serde::Serialize;
use serde_yaml::Value;

use super::key::{Rule, Shape};
use super::setting::{Setting, describe};

/// Under what terms a model may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct License(String);

/// Begins the text of a licence that SPDX does not know.
const OTHER: &str = "other";

impl License {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is an SPDX expression, and not a text of its author's.
    pub fn is_spdx(&self) -> bool {
        spdx::Expression::parse(&self.0).is_ok()
    }
}

/// Whether `text` is the word `other`, alone or with a text behind it.
fn is_other(text: &str) -> bool {
    let behind = text.strip_prefix(OTHER);
    behind.is_some_and(|behind| !behind.starts_with(char::is_alphanumeric))
}

impl Setting for License {
    fn shape(_: Rule) -> Shape {
        Shape::Form(
            "an SPDX expression such as Apache-2.0, or `other` with a text behind it",
            &["Apache-2.0", "MIT", "CC-BY-4.0", OTHER],
        )
    }

    fn read(value: &Value) -> Result<License, String> {
        let license = License(value.as_str().unwrap_or_default().trim().to_owned());
        if license.is_spdx() || is_other(&license.0) {
            return Ok(license);
        }
        // What people write for it, such as `apache 2`, if that is all that is wrong.
        let meant = spdx::Expression::canonicalize(&license.0).ok().flatten();
        let meant = meant.filter(|meant| spdx::Expression::parse(meant).is_ok());
        let meant = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
        Err(format!(
            "expected an SPDX expression such as Apache-2.0 (spdx.org/licenses), or `other` with a text behind it, found {}{meant}",
            describe(value)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_an_spdx_expression_or_a_text_that_says_that_it_is_none() {
        let read = |text: &str| License::read(&Value::from(text));
        for text in ["MIT", "MIT OR Apache-2.0", "LicenseRef-ours"] {
            assert!(read(text).unwrap().is_spdx(), "{text}");
        }
        for text in ["other", "other, as in LICENSE.txt", "other: ask us"] {
            assert!(!read(text).unwrap().is_spdx(), "{text}");
        }
        for (text, words) in [
            ("apache2", "found \"apache2\"; did you mean Apache-2.0?"),
            ("mit/gplv3", "did you mean MIT OR GPL-3.0-only?"),
            ("otherwise", "found \"otherwise\""),
            ("all rights reserved", "found \"all rights reserved\""),
            ("", "found \"\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
