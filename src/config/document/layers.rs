//! The files that an experiment is laid together from: it names those that it is laid over with `extends`.
//!
//! Maps are merged, lists and plain values replaced; so is a section of another `kind`, whose keys would mean nothing, and
//! `null` takes the default. Of several bases the later ones lie above the earlier. Each file keeps its text, so that a key
//! is pointed at where it was written.

use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::place::{self, Stop};
use super::variables::{Filling, fill_in};
use super::{Problem, Problems, key_text, text};
use crate::config::VERSION;
use crate::config::setting::describe;

/// The key that names the files below one.
pub(super) const EXTENDS: &str = "extends";

/// Files above each other, at most.
const HIGHEST: usize = 16;

/// A file as its author wrote it.
#[derive(Debug)]
pub(super) struct Layer {
    /// As messages call it.
    pub name: String,
    /// What it holds, without the mark that some editors put before UTF-8.
    pub text: String,
    /// What files above it replaced.
    replaced: Vec<Vec<String>>,
}

impl Layer {
    /// `file:line:column` of what `path` leads to, if this file says anything there that counts.
    pub fn place(&self, path: &[String], stop: Stop) -> Option<String> {
        if self.replaced.iter().any(|gone| path.starts_with(gone)) {
            return None;
        }
        let (line, column) = place::find(&self.text, path, stop)?;
        Some(format!("{}:{line}:{column}", self.name))
    }

    fn problem(&self, path: &[String], message: String) -> Problems {
        let place = self.place(path, Stop::AtValue);
        Problems(vec![Problem {
            place: place.unwrap_or_else(|| self.name.clone()),
            key: path.join("."),
            message,
        }])
    }
}

/// Files on the way from one to those it extends.
#[derive(Default)]
struct Chain(Vec<(String, PathBuf)>);

impl Chain {
    /// Their names, and `name` at the end.
    fn to(&self, name: &str) -> String {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names.chain([name]).collect::<Vec<_>>().join(" extends ")
    }
}

/// The file and what it extends, nearest first, and what they say together.
///
/// # Errors
/// A file that cannot be read or is no YAML; one that extends itself, or is of another version.
pub(super) fn open(file: &Path) -> Result<(Vec<Layer>, Mapping), Problems> {
    let name = file.display().to_string();
    let text = text::read(file).map_err(|message| Problems::one(name.clone(), message))?;
    let mut layers = Vec::new();
    let root = lay_together(file, name, text, &mut Chain::default(), &mut layers)?;
    Ok((layers, root))
}

/// The same for a text that is in no file, and so has nothing beside it to extend.
///
/// # Errors
/// Text that is no YAML.
pub(super) fn parse(name: String, text: String) -> Result<(Layer, Mapping), Problems> {
    // The mark that some editors put before UTF-8.
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    let mut root = text::parse(&text).map_err(|misread| {
        let at = text::second(&text, &misread).or(misread.at);
        let place = match at {
            Some((line, column)) => format!("{name}:{line}:{column}"),
            None => name.clone(),
        };
        Problems::one(place, misread.message)
    })?;
    root.apply_merge()
        .map_err(|error| Problems::one(name.clone(), error.to_string()))?;
    let root = match root {
        Value::Mapping(root) => root,
        Value::Null => Mapping::new(),
        _ => {
            let message = "expected `key: value` lines, as in configs/quickstart.yaml";
            return Err(Problems::one(name, message.to_owned()));
        }
    };
    let replaced = Vec::new();
    Ok((
        Layer {
            name,
            text,
            replaced,
        },
        root,
    ))
}

fn lay_together(
    file: &Path,
    name: String,
    text: String,
    chain: &mut Chain,
    layers: &mut Vec<Layer>,
) -> Result<Mapping, Problems> {
    let (layer, mut root) = parse(name.clone(), text)?;
    // Whoever reads the whole looks at the version of the first file.
    let version = root.get("version").filter(|_| !chain.0.is_empty());
    if let Some(other) = version.filter(|version| version.as_u64() != Some(VERSION)) {
        let message = format!(
            "{} is of version {}, and this signet reads version {VERSION}",
            chain.to(&name),
            describe(other)
        );
        return Err(layer.problem(&["version".to_owned()], message));
    }
    let bases = bases(&layer, root.remove(EXTENDS))?;
    let here = layers.len();
    layers.push(layer);
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    chain.0.push((name, canonical(file)));
    for (steps, base) in bases.into_iter().rev() {
        let path = file.parent().unwrap_or(Path::new("")).join(&base);
        let name = path.display().to_string();
        let refuse = |message| layers[here].problem(&steps, message);
        if chain.0.iter().any(|(_, known)| *known == canonical(&path)) {
            return Err(refuse(format!(
                "{}, which goes in a circle",
                chain.to(&name)
            )));
        }
        if chain.0.len() == HIGHEST {
            return Err(refuse(format!(
                "more than {HIGHEST} files above each other"
            )));
        }
        if path.is_dir() {
            return Err(refuse(format!(
                "{}, which is a folder; name a file in it",
                chain.to(&name)
            )));
        }
        if !path.exists() {
            return Err(refuse(format!(
                "{}, which does not exist; a relative path is taken from the folder of the file that names it",
                chain.to(&name)
            )));
        }
        let text = text::read(&path)
            .map_err(|message| refuse(format!("{}: {message}", chain.to(&name))))?;
        let below = layers.len();
        let base = lay_together(&path, name, text, chain, layers)?;
        let mut replaced = Vec::new();
        underlay(&mut root, base, &mut Vec::new(), &mut replaced);
        for layer in &mut layers[below..] {
            layer.replaced.extend_from_slice(&replaced);
        }
    }
    chain.0.pop();
    Ok(root)
}

/// The bases that `extends` names, each with the key that it stands at.
fn bases(layer: &Layer, extends: Option<Value>) -> Result<Vec<(Vec<String>, PathBuf)>, Problems> {
    let mut extends = extends.unwrap_or_default();
    let mut fillings = Vec::new();
    fill_in(&mut extends, &mut vec![EXTENDS.to_owned()], &mut fillings);
    for filling in fillings {
        if let Filling::Missing { path, message } = filling {
            return Err(layer.problem(&path, message));
        }
    }
    let items = match extends {
        Value::Null => Vec::new(),
        Value::Sequence(items) => items.into_iter().enumerate().collect(),
        one => vec![(usize::MAX, one)],
    };
    let named = |(index, item): (usize, Value)| {
        let mut steps = vec![EXTENDS.to_owned()];
        if index != usize::MAX {
            steps.push(index.to_string());
        }
        match item.as_str().filter(|text| !text.is_empty()) {
            Some(text) => Ok((steps, PathBuf::from(text))),
            None => {
                let found = describe(&item);
                let message =
                    format!("expected the path of a file, or a list of paths, found {found}");
                Err(layer.problem(&steps, message))
            }
        }
    };
    items.into_iter().map(named).collect()
}

/// Puts under `top` what `base` says and `top` does not; notes the keys of `base` that count no longer.
fn underlay(
    top: &mut Mapping,
    base: Mapping,
    path: &mut Vec<String>,
    replaced: &mut Vec<Vec<String>>,
) {
    for (key, below) in base {
        path.push(key_text(&key));
        let known = top
            .keys()
            .find(|known| key_text(known) == path[path.len() - 1])
            .cloned();
        match (known.and_then(|known| top.get_mut(&known)), below) {
            (None, below) => {
                top.insert(key, below);
            }
            (Some(Value::Mapping(above)), Value::Mapping(below)) if same_kind(above, &below) => {
                underlay(above, below, path, replaced);
            }
            (Some(_), _) => replaced.push(path.clone()),
        }
        path.pop();
    }
}

/// Whether the keys of `below` mean something in `above`, too.
fn same_kind(above: &Mapping, below: &Mapping) -> bool {
    match (above.get("kind"), below.get("kind")) {
        (Some(above), Some(below)) => above == below,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_yaml::Value;

    use crate::config::document::Document;

    /// The document of `top.yaml` among `files`, or what is wrong with it, without the folder they lie in.
    fn open(files: &[(&str, &str)]) -> Result<Document, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let here = format!("{}/", folder.path().display());
        let opened = Document::open(&folder.path().join("top.yaml"), &[]);
        opened.map_err(|problems| problems.to_string().replace(&here, ""))
    }

    fn yaml(text: &str) -> Value {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn maps_are_merged_and_lists_plain_values_and_other_kinds_replaced() {
        let document = open(&[
            (
                "top.yaml",
                "extends: [low.yaml, sub/middle.yaml]\nseed: 3\ntrain: {epochs: 9, optimizer: {lr: 2.0}, clip_grad_norm: null}\n\
                 model: {kind: lstm}\nclasses: [a]\n",
            ),
            (
                "low.yaml",
                "seed: 1\nname: low\nextra: [1]\ntrain: {epochs: 1, batch_size: 5, clip_grad_norm: 1}\nclasses: [x, y, z]\n",
            ),
            (
                "sub/middle.yaml",
                "extends: ../base.yaml\nname: middle\ntrain: {epochs: 2, optimizer: {kind: sgd, lr: 1.0}}\n",
            ),
            ("base.yaml", "model: {kind: cnn, blocks: []}\nname: base\nfrom: base\nextra: [2]\n"),
        ])
        .unwrap();
        let expected = yaml(
            "{seed: 3, name: middle, from: base, classes: [a], extra: [2], model: {kind: lstm}, train: {epochs: 9, \
             batch_size: 5, optimizer: {kind: sgd, lr: 2.0}, clip_grad_norm: null}}",
        );
        assert_eq!(Value::Mapping(document.root().clone()), expected);
        assert_eq!(yaml(document.written()), expected);
    }

    #[test]
    fn a_value_is_pointed_at_in_the_file_that_says_it() {
        let files = [
            (
                "top.yaml",
                "extends: base.yaml\ntrain:\n  epochs: 3\nlist: [{a: 1}]\n",
            ),
            (
                "base.yaml",
                "train:\n  epochs: 1\n  lr: ${SIGNET_SURELY_UNSET:-7}\nlist: [{a: 1}, {a: 2}]\n",
            ),
        ];
        let document = open(&files).unwrap();
        let origin = |key| {
            document
                .origin(key)
                .map(|origin| origin.rsplit('/').next().unwrap().to_owned())
        };
        for (key, expected) in [
            ("train.epochs", Some("top.yaml:3:11")),
            ("train.lr", Some("base.yaml:3:7: ${SIGNET_SURELY_UNSET:-7}")),
            ("list", Some("top.yaml:4:7")),
            ("train.batch_size", None),
        ] {
            assert_eq!(origin(key).as_deref(), expected, "{key}");
        }
        let path = ["list".to_owned(), "1".to_owned(), "a".to_owned()];
        // The second item of the base counts no longer.
        let place = document.in_files(&path, super::Stop::AtValue);
        assert_eq!(place, None);
    }

    #[test]
    fn what_cannot_be_extended_is_said_with_the_way_there() {
        let base = "extends: base.yaml\n";
        let cases: [(&[(&str, &str)], &str); 9] = [
            (
                &[("top.yaml", "extends: top.yaml\n")],
                "top.yaml:1:10: extends: top.yaml extends top.yaml, which goes in a circle",
            ),
            (
                &[("top.yaml", base), ("base.yaml", "extends: [./top.yaml]\n")],
                "base.yaml:1:11: extends.0: top.yaml extends base.yaml extends ./top.yaml, which goes in a circle",
            ),
            (
                &[("top.yaml", base), ("base.yaml", "a: 1\nversion: 2\n")],
                "base.yaml:2:10: version: top.yaml extends base.yaml is of version 2, and this signet reads version 1",
            ),
            (
                &[("top.yaml", "extends: sub\n"), ("sub/x", "")],
                "top.yaml:1:10: extends: top.yaml extends sub, which is a folder; name a file in it",
            ),
            (
                &[("top.yaml", base)],
                "top.yaml:1:10: extends: top.yaml extends base.yaml, which does not exist; a relative path is taken from the folder of the file that names it",
            ),
            (
                &[("top.yaml", base), ("base.yaml", "extends: gone.yaml\n")],
                "base.yaml:1:10: extends: top.yaml extends base.yaml extends gone.yaml, which does not exist; a relative path is taken from the folder of the file that names it",
            ),
            (
                &[("top.yaml", "extends: {a: 1}\n")],
                "top.yaml:1:10: extends: expected the path of a file, or a list of paths, found a section",
            ),
            (
                &[("top.yaml", base), ("base.yaml", "a: [\n")],
                "base.yaml:2:1: not valid YAML: did not find expected node content",
            ),
            (
                &[("top.yaml", "extends: ${SIGNET_SURELY_UNSET}\n")],
                "top.yaml:1:10: extends: the environment variable SIGNET_SURELY_UNSET is not set; set it, or write \
                 ${SIGNET_SURELY_UNSET:-default}",
            ),
        ];
        for (files, expected) in cases {
            assert_eq!(open(files).err().as_deref(), Some(expected));
        }
        let error = Document::open(
            Path::new("configs/quickstart.yaml"),
            &["extends=x.yaml".to_owned()],
        );
        let problems = error.unwrap().verdict().unwrap_err().to_string();
        assert_eq!(
            problems,
            "-s extends=x.yaml: a file extends others, and an override does not; write it in the file"
        );
    }
}
