//! All keys of an experiment with what they were declared as, for `signet config explain`, the reference page, the schema,
//! completion, and what may change when a run goes on.

use std::path::Path;

use super::Experiment;
use super::key::{Absent, Key, Kinds, Rule, Shape};
use super::policy::Policy;
use super::setting::nearest;

/// The version that knew a key whose declaration names none.
const FIRST: &str = "0.1";

/// The keys at the top of an experiment, among them the one that is gone once files are laid over each other.
pub(super) fn top() -> Vec<Key> {
    let mut keys = Experiment::declared(Path::new(""));
    let paths = || Box::new(Shape::Path);
    let extends = Key::new(
        "extends",
        "Files that this one is laid over, from the folder it lies in; later ones above earlier ones. Not under -s.",
        Shape::Either(paths(), Box::new(Shape::List(paths(), 0))),
        Absent::value(&()),
    );
    let behind_version = 1;
    keys.insert(
        behind_version,
        Key {
            resume: Some(Policy::Free),
            since: Some("0.3"),
            ..extends
        },
    );
    keys
}

/// A key wherever it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Dotted, without the numbers of items in lists: `model.blocks.filters`.
    pub key: String,
    /// The kinds of its section that have it; empty where that has no kinds.
    pub kinds: Vec<&'static str>,
    /// What it means, with its unit.
    pub about: &'static str,
    /// What may stand there, in words, with its unit.
    pub takes: String,
    /// The same for programs: each form that it takes.
    pub holds: Vec<Holds>,
    /// The words it takes, each with its meaning.
    pub words: Vec<(&'static str, &'static str)>,
    /// What it is without being written, on a line; what it is needed for where it has to be.
    pub default: Result<String, &'static str>,
    /// What a change of it means for a run that goes on.
    pub resume: Policy,
    /// The version that knew it first.
    pub since: &'static str,
    /// The key above whose section it holds again, as layers hold layers.
    pub same_as: Option<String>,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A section, whose keys are lines of their own.
    Section,
    /// A list of such.
    Sections,
    /// A path.
    Path,
    /// Some words, beside which numbers may be taken.
    Choices(Vec<&'static str>),
    /// Anything else.
    Open,
}

impl Holds {
    fn of(shape: &Shape) -> Vec<Holds> {
        vec![match shape {
            Shape::Either(one, other) => return [Holds::of(one), Holds::of(other)].concat(),
            Shape::Section(..) | Shape::Kinds(_) => Holds::Section,
            Shape::List(item, _) if Holds::of(item) == [Holds::Section] => Holds::Sections,
            Shape::Truth => Holds::Choices(vec!["true", "false"]),
            Shape::Words(words) => Holds::Choices(words.iter().map(|(word, _)| *word).collect()),
            Shape::Form(_, usual) => Holds::Choices(usual.to_vec()),
            Shape::Path => Holds::Path,
            Shape::List(..) | Shape::Whole(_) | Shape::Number(_) => Holds::Open,
            Shape::Text | Shape::Names(_) => Holds::Open,
        }]
    }
}

/// Every key, in the order of the declarations: sections before what they hold.
pub fn lines() -> Vec<Line> {
    let mut walk = Walk::default();
    for key in top() {
        walk.add(&key, "", None, (Policy::Refused, FIRST));
    }
    walk.lines
}

/// What a change of `key` means for a run that goes on: as declared, or as with the section it stands in.
pub fn policy_of(key: &str) -> Policy {
    let all = lines();
    let plain = plain(key, &all);
    let mut around = Some(plain.as_str());
    while let Some(key) = around {
        if let Some(line) = all.iter().find(|line| line.key == key) {
            return line.resume;
        }
        around = key.rsplit_once('.').map(|(section, _)| section);
    }
    Policy::Refused // of another version, so that nobody knows
}

/// What a section hands on to its keys: what a change means for a run that goes on, and the version that knew it first.
type Facts = (Policy, &'static str);

/// A way through all sections.
#[derive(Default)]
struct Walk {
    lines: Vec<Line>,
    /// The sections around the place reached, by type and key.
    within: Vec<(&'static str, String)>,
}

impl Walk {
    /// Adds `key` of the section at `path`, if that is of a `kind` of that, and what it holds; `around` are policy and
    /// version of the section.
    fn add(&mut self, key: &Key, path: &str, kind: Option<&'static str>, around: Facts) {
        let own = (
            key.resume.unwrap_or(around.0),
            key.since.unwrap_or(around.1),
        );
        let full = match path {
            "" => key.name.to_owned(),
            path => format!("{path}.{}", key.name),
        };
        let line = Line {
            key: full.clone(),
            kinds: Vec::new(),
            about: key.about,
            takes: match key.unit {
                Some(unit) => format!("{}, in {unit}", takes(&key.shape)),
                None => takes(&key.shape),
            },
            holds: Holds::of(&key.shape),
            words: words(&key.shape),
            default: match &key.default {
                Absent::Value(value) => Ok(value.to_string().trim_matches('"').to_owned()),
                Absent::Words(words) => Ok((*words).to_owned()),
                Absent::Needed(what) => Err(what),
            },
            resume: own.0,
            since: own.1,
            same_as: self.again(&key.shape),
        };
        self.put(line, kind);
        self.enter(&key.shape, &full, own);
    }

    /// Adds `line`, which is one of a `kind`; the same in several kinds is one line.
    fn put(&mut self, line: Line, kind: Option<&'static str>) {
        let same = |known: &Line| {
            Line {
                kinds: Vec::new(),
                ..known.clone()
            } == line
        };
        let at = self.lines.iter().position(same).unwrap_or(self.lines.len());
        if at == self.lines.len() {
            self.lines.push(line);
        }
        self.lines[at].kinds.extend(kind);
    }

    /// The key of the section around this place that `shape` is again.
    fn again(&self, shape: &Shape) -> Option<String> {
        match shape {
            Shape::List(item, _) => self.again(item),
            Shape::Section(name, _) | Shape::Kinds(Kinds { name, .. }) => {
                let around = self.within.iter().find(|(known, _)| known == name);
                around.map(|(_, key)| key.clone())
            }
            _ => None,
        }
    }

    /// Adds the keys of the sections that `shape` is.
    fn enter(&mut self, shape: &Shape, path: &str, around: Facts) {
        match shape {
            Shape::List(item, _) => self.enter(item, path, around),
            Shape::Either(one, other) => {
                self.enter(one, path, around);
                self.enter(other, path, around);
            }
            Shape::Section(..) | Shape::Kinds(..) if self.again(shape).is_some() => {}
            Shape::Section(name, keys) => {
                self.within.push((name, path.to_owned()));
                for key in keys() {
                    self.add(&key, path, None, around);
                }
                self.within.pop();
            }
            Shape::Kinds(kinds) => {
                self.within.push((kinds.name, path.to_owned()));
                self.put(kind_line(path, kinds, around), None);
                for kind in (kinds.all)() {
                    let around = (around.0, kind.since.unwrap_or(around.1));
                    for key in &kind.keys {
                        self.add(key, path, Some(kind.word), around);
                    }
                }
                self.within.pop();
            }
            Shape::Truth | Shape::Whole(_) | Shape::Number(_) | Shape::Text | Shape::Path => {}
            Shape::Words(_) | Shape::Form(..) | Shape::Names(_) => {}
        }
    }
}

/// `key` as [`lines`] has it: without the numbers of items in lists, and in the section that another holds again.
pub fn plain(key: &str, lines: &[Line]) -> String {
    let mut plain = String::new();
    let mut steps = key
        .split('.')
        .filter(|step| step.parse::<usize>().is_err())
        .peekable();
    while let Some(step) = steps.next() {
        if !plain.is_empty() {
            plain.push('.');
        }
        plain += step;
        let line = lines.iter().find(|line| line.key == plain);
        let again = line.and_then(|line| line.same_as.clone());
        if steps.peek().is_some() {
            plain = again.unwrap_or(plain);
        }
    }
    plain
}

fn kind_line(path: &str, kinds: &Kinds, around: Facts) -> Line {
    let words: Vec<_> = (kinds.all)()
        .iter()
        .map(|kind| (kind.word, kind.about))
        .collect();
    Line {
        key: format!("{path}.kind"),
        kinds: Vec::new(),
        about: "What it is, on which its other keys depend.",
        takes: one_of(&words),
        holds: vec![Holds::Choices(
            words.iter().map(|(word, _)| *word).collect(),
        )],
        words,
        default: kinds.usual.map(str::to_owned).ok_or("one of these"),
        resume: kinds.resume.unwrap_or(around.0),
        since: around.1,
        same_as: None,
    }
}

fn one_of(words: &[(&'static str, &'static str)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    words.join(" | ")
}

pub(super) fn takes(shape: &Shape) -> String {
    match shape {
        Shape::Truth => "true | false".to_owned(),
        Shape::Whole(Rule::Within(low, high)) if low == high => low.to_string(),
        Shape::Whole(Rule::Any) => "a whole number".to_owned(),
        Shape::Whole(rule @ (Rule::Within(..) | Rule::AtLeast(_))) => {
            format!("a whole number, {}", rule.words(true))
        }
        Shape::Whole(rule) => rule.words(true),
        Shape::Number(rule @ Rule::AtLeast(_)) => format!("a number, {}", rule.words(false)),
        Shape::Number(rule) => rule.words(false),
        Shape::Text => "text".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::Words(_) => one_of(&words(shape)),
        Shape::Form(words, _) => (*words).to_owned(),
        Shape::List(item, _) => format!("a list of: {}", takes(item)),
        Shape::Section(..) | Shape::Kinds(..) => "a section".to_owned(),
        Shape::Names(value) => format!("a section of names, each with {}", takes(value)),
        Shape::Either(one, other) => format!("{}, or {}", takes(one), takes(other)),
    }
}

fn words(shape: &Shape) -> Vec<(&'static str, &'static str)> {
    match shape {
        Shape::Words(words) => words
            .iter()
            .map(|(word, about)| (*word, about.trim_start()))
            .collect(),
        Shape::List(item, _) => words(item),
        Shape::Either(one, other) => [words(one), words(other)].concat(),
        _ => Vec::new(),
    }
}

/// The key closest to `key`, if any is close enough to be what was meant.
pub fn nearest_key(key: &str) -> Option<String> {
    let lines = lines();
    let keys: Vec<&str> = lines.iter().map(|line| line.key.as_str()).collect();
    nearest(key, &keys).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_change_means_is_declared_with_a_key_or_with_the_section_around_it() {
        let cases = [
            ("train.epochs", Policy::Free),
            ("train.early_stopping.patience", Policy::Free),
            ("train.optimizer.lr", Policy::Branch),
            ("train.optimizer.kind", Policy::Refused),
            ("train.batch_size", Policy::Branch),
            ("train.schedule.kind", Policy::Branch),
            ("train.init_from.strict", Policy::Refused),
            ("data.augment", Policy::Branch),
            ("data.source.root", Policy::Free),
            ("data.source.labels", Policy::Free),
            ("data.source.label_map.one", Policy::Refused),
            ("data.source.kind", Policy::Refused),
            ("data.classes", Policy::Refused),
            ("data.split.test", Policy::Refused),
            ("data.split.outer.file", Policy::Free),
            ("model.hidden", Policy::Refused),
            ("model.dropout", Policy::Branch),
            ("model.layers.3.body.0.p", Policy::Refused),
            ("checkpoint.keep_last", Policy::Free),
            ("log.jsonl", Policy::Free), // of 0.2
            ("threads", Policy::Branch),
            ("something.new", Policy::Refused),
        ];
        for (key, expected) in cases {
            assert_eq!(policy_of(key), expected, "{key}");
        }
    }

    #[test]
    fn a_key_has_the_version_and_the_unit_of_its_declaration() {
        let all = lines();
        let line = |key: &str| all.iter().find(|line| line.key == key).unwrap();
        for (key, since) in [
            ("train.shards", "0.3"),
            ("train.epochs", "0.1"),
            ("model.layers.body", "0.3"), // as its kind
            ("model.layers.units", "0.1"),
            ("extends", "0.3"),
        ] {
            assert_eq!(line(key).since, since, "{key}");
        }
        assert_eq!(
            line("data.augment.max_px").takes,
            "a number, 0 or more, in px"
        );
        assert_eq!(
            line("train.epochs").takes,
            "a whole number, 1 to 1000000000, in epochs"
        );
    }
}
