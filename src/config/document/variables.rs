//! `${VAR}` and `${VAR:-default}` in the values of an experiment; `$${` is a `${` that stays.

use serde_yaml::Value;
use serde_yaml::value::{Tag, TaggedValue};

use super::key_text;
use crate::config::setting::{cut, describe};

/// A text with variables.
pub(super) enum Filling {
    /// They were filled in.
    Done {
        /// Where.
        path: Vec<String>,
        /// What was written there.
        text: String,
    },
    /// One has no value.
    Missing {
        /// Where.
        path: Vec<String>,
        /// What to do.
        message: String,
    },
}

/// Replaces `${VAR}` and `${VAR:-default}` in every text below `value`, which `path` leads to.
pub(super) fn fill_in(value: &mut Value, path: &mut Vec<String>, fillings: &mut Vec<Filling>) {
    match value {
        Value::String(text) if text.contains("${") => match expand(text, 0) {
            Ok(filled) => {
                fillings.push(Filling::Done {
                    path: path.clone(),
                    text: text.clone(),
                });
                let plain = serde_yaml::from_str(&filled).ok();
                *value = match plain {
                    Some(Value::Number(_) | Value::Bool(_) | Value::Null) if !filled.is_empty() => {
                        let (tag, value) = (Tag::new(FILLED), Value::String(filled));
                        Value::Tagged(Box::new(TaggedValue { tag, value }))
                    }
                    _ => Value::String(filled),
                };
            }
            Err(message) => fillings.push(Filling::Missing {
                path: path.clone(),
                message,
            }),
        },
        Value::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                fill_in(item, path, fillings);
                path.pop();
            }
        }
        Value::Mapping(map) => {
            for (key, item) in map.iter_mut() {
                path.push(key_text(key));
                fill_in(item, path, fillings);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The tag of a text that was filled in and looks like a number, a truth value or null: it counts as either, as the
/// key wants it, so that `epochs: ${EPOCHS:-40}` works and a folder called 2024 or 0x10 keeps its name.
const FILLED: &str = "filled";

/// What a value may stand for, in the order in which a key should try them.
pub fn readings(value: &Value) -> Vec<Value> {
    match value {
        Value::Tagged(tagged) if tagged.tag == FILLED => {
            let text = tagged.value.as_str().unwrap_or_default();
            let plain = serde_yaml::from_str(text).unwrap_or(Value::Null);
            vec![tagged.value.clone(), plain]
        }
        value => vec![value.clone()],
    }
}

/// Variables in defaults of variables, at most.
const DEEPEST: usize = 8;

fn expand(text: &str, depth: usize) -> Result<String, String> {
    if depth > DEEPEST {
        return Err(format!(
            "variables in defaults of variables more than {DEEPEST} deep"
        ));
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            filled = filled + before + "${";
            rest = after;
            continue;
        }
        let end = closing(after)
            .ok_or_else(|| format!("`${{` without `}}` in {}", describe(&Value::from(text))))?;
        let inside = &after[..end];
        let (variable, default) = match inside.split_once(":-") {
            Some((variable, default)) => (variable, Some(default)),
            None => (inside, None),
        };
        let value = std::env::var(variable)
            .ok()
            .filter(|value| !value.is_empty());
        let value = match (value, default) {
            (Some(value), _) => value,
            (None, Some(default)) => expand(default, depth + 1)?,
            (None, None) => {
                let (variable, rest) = cut(variable);
                return Err(format!(
                    "the environment variable {variable}{rest} is not set; set it, or write ${{{variable}:-default}}"
                ));
            }
        };
        filled = filled + before + &value;
        rest = &after[end + 1..];
    }
    Ok(filled + rest)
}

/// Where the `}` stands that ends what began before `text`; a default may hold variables of its own.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Writes `$${` for every `${` below `value`, so that reading it again leaves it as it is.
pub(in crate::config) fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${"),
        Value::Sequence(items) => items.iter_mut().for_each(escape),
        Value::Mapping(map) => map.iter_mut().for_each(|(_, item)| escape(item)),
        _ => {}
    }
}
