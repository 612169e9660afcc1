//! A first experiment: keys with their defaults and what they mean, from what they were declared as.

use serde_json::Value;

use super::key::{Absent, Key, Shape};
use super::model::ModelKind;
use super::reference::{takes, top};
use super::setting::one_of;

/// Keys of a short experiment, with all that they hold.
const SHORT: [&str; 6] = [
    "data.source",
    "model",
    "train.epochs",
    "train.batch_size",
    "train.optimizer.lr",
    "train.schedule.kind",
];

/// Longest line, in characters.
const LINE: usize = 100;

/// An experiment of the model `kind` that runs as it is, on drawn images: the keys that are set most, or every one if it is
/// to be `full`.
///
/// # Errors
/// No such kind.
pub fn starter(kind: &str, full: bool) -> Result<String, String> {
    if !ModelKind::WORDS.contains(&kind) {
        return Err(one_of(kind, ModelKind::WORDS));
    }
    let mut text = format!(
        "# A first experiment, by `signet config init {kind}`:\n#\n#     signet train FILE\n#\n"
    );
    text += "# To train on images of yours, one folder for each class, write\n#\n";
    text += "#     data:\n#       source: {kind: class_folders, root: FOLDER}\n";
    if !full {
        text += "#\n# `signet config init --full` writes every key, and `signet config explain KEY` tells of one.\n";
    }
    let mut starter = Starter { kind, full, text };
    starter.keys(&top(), "", "");
    Ok(starter.text)
}

struct Starter<'k> {
    kind: &'k str,
    full: bool,
    text: String,
}

impl Starter<'_> {
    /// Whether the key at `path` belongs to a short experiment, or something in it does.
    fn is_wanted(&self, path: &str) -> bool {
        let near = |short: &&str| path.starts_with(short) || short.starts_with(path);
        path == "version" || self.full || SHORT.iter().any(near)
    }

    fn keys(&mut self, keys: &[Key], path: &str, indent: &str) {
        for key in keys {
            let full = match path {
                "" => key.name.to_owned(),
                path => format!("{path}.{}", key.name),
            };
            if key.name != "extends" && self.is_wanted(&full) {
                self.key(key, &full, indent);
            }
        }
    }

    fn key(&mut self, key: &Key, path: &str, indent: &str) {
        let name = key.name;
        if indent.is_empty() {
            self.text += "\n";
        }
        match key.shape {
            Shape::Section(..) | Shape::Kinds(..) => self.comment(key.about, indent),
            _ => self.comment(&format!("{} ({})", key.about, takes(&key.shape)), indent),
        }
        match (&key.shape, &key.default) {
            // A section that is null by default stays so.
            (Shape::Section(_, keys), default)
                if !matches!(default, Absent::Value(Value::Null)) =>
            {
                self.text += &format!("{indent}{name}:\n");
                self.keys(&keys(), path, &format!("{indent}  "));
            }
            (Shape::Kinds(kinds), _) => {
                let kind = match path {
                    "model" => self.kind,
                    "data.source" => "generated",
                    _ => kinds.usual.unwrap_or_default(),
                };
                self.text += &format!("{indent}{name}:\n{indent}  kind: {kind}\n");
                for own in (kinds.all)().iter().filter(|known| known.word == kind) {
                    self.comment(own.about, &format!("{indent}  "));
                    self.keys(&own.keys, path, &format!("{indent}  "));
                }
            }
            (_, Absent::Value(value)) => {
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                self.text += &format!("{indent}{name}: {value}\n");
            }
            (_, Absent::Words(words)) => self.text += &format!("{indent}# {name}: {words}\n"),
            (_, Absent::Needed(_)) if name == "version" => {
                self.text += &format!("{indent}{name}: 1\n")
            }
            (_, Absent::Needed(purpose)) => {
                let example = purpose.rsplit("such as ").next().unwrap_or_default();
                self.text += &format!("{indent}{name}: {example}\n");
            }
        }
    }

    /// Lines of words, none of which is too long.
    fn comment(&mut self, words: &str, indent: &str) {
        let mut line = format!("{indent}#");
        for word in words.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > LINE {
                self.text += &format!("{line}\n");
                line = format!("{indent}#");
            }
            line += &format!(" {word}");
        }
        self.text += &format!("{line}\n");
    }
}
