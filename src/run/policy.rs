//! What may change between two launches of one run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use crate::config::Experiment;

/// What a changed key means for a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The run goes on: what was learned so far would have been the same.
    Free,
    /// Another run branches off: what follows differs from what the run would have been.
    Branch,
    /// Nothing learned so far would mean the same.
    Refused,
}

impl Policy {
    /// What it means, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Policy::Free => "free: the run goes on",
            Policy::Branch => "branch: needs --as NAME, under which another run branches off",
            Policy::Refused => "refused: nothing learned so far would mean the same",
        }
    }

    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Free => "free",
            Policy::Branch => "branch",
            Policy::Refused => "refused",
        }
    }
}

/// The policy of every key: that of its longest prefix here.
const POLICIES: [(&str, Policy); 22] = [
    ("version", Policy::Refused),
    ("name", Policy::Free),
    ("seed", Policy::Refused),
    ("device", Policy::Branch),
    ("threads", Policy::Branch),
    ("data", Policy::Refused),
    // Where images lie may change; that they are the same is checked by their fingerprint.
    ("data.source.root", Policy::Free),
    ("data.source.images", Policy::Free),
    ("data.source.labels", Policy::Free),
    ("data.split.file", Policy::Free),
    ("data.augment", Policy::Branch),
    ("model", Policy::Refused),
    ("model.dropout", Policy::Branch),
    ("train", Policy::Branch),
    ("train.epochs", Policy::Free),
    ("train.early_stopping", Policy::Free),
    ("train.optimizer.kind", Policy::Refused),
    ("train.init_from", Policy::Refused),
    ("checkpoint", Policy::Free),
    ("log", Policy::Free),
    ("run", Policy::Free),
    ("export", Policy::Free),
];

/// Whether `key` says where data lies, and nothing else. That it is the same data is checked by its fingerprint.
pub fn says_where_data_lies(key: &str) -> bool {
    [
        "data.source.root",
        "data.source.images",
        "data.source.labels",
    ]
    .contains(&key)
}

/// A key whose value is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Dotted path of the key, such as `train.epochs`.
    pub key: String,
    /// What it was; empty if it was not there.
    pub old: String,
    /// What it is; empty if it is gone.
    pub new: String,
    /// What that means.
    pub policy: Policy,
}

/// The policy of `key`.
pub fn policy_of(key: &str) -> Policy {
    let covers = |prefix: &str| {
        key.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let known = POLICIES.iter().filter(|(prefix, _)| covers(prefix));
    known
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(Policy::Refused, |(_, policy)| *policy)
}

/// Every setting of `experiment` by its dotted key, on one line each.
pub fn settings(experiment: &Experiment) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let value = serde_yaml::to_value(experiment).expect("an experiment is plain YAML");
    flatten(&value, String::new(), &mut flat);
    flat
}

/// Every key in which `new` differs from `old`.
pub fn changes(old: &Experiment, new: &Experiment) -> Vec<Change> {
    let [old, new] = [old, new].map(settings);
    let keys = old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)));
    let pairs = keys.map(|key| (key, old.get(key), new.get(key)));
    let word = |value: Option<&String>| value.cloned().unwrap_or_default();
    pairs
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| Change {
            key: key.clone(),
            old: word(old),
            new: word(new),
            policy: policy_of(key),
        })
        .collect()
}

fn flatten(value: &Value, path: String, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            for (key, value) in map {
                let key = key.as_str().unwrap_or_default();
                let path = match path.as_str() {
                    "" => key.to_owned(),
                    path => format!("{path}.{key}"),
                };
                flatten(value, path, flat);
            }
        }
        Value::Null => {}
        value => {
            // JSON, because it puts a list on one line.
            let text = serde_json::to_string(value).expect("YAML values are JSON values");
            flat.insert(path, text.trim_matches('"').to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let cases = [
            ("train.epochs", Policy::Free),
            ("train.early_stopping.patience", Policy::Free),
            ("train.optimizer.lr", Policy::Branch),
            ("train.optimizer.kind", Policy::Refused),
            ("train.batch_size", Policy::Branch),
            ("train.schedule.kind", Policy::Branch),
            ("data.augment", Policy::Branch),
            ("data.source.root", Policy::Free),
            ("data.source.kind", Policy::Refused),
            ("data.classes", Policy::Refused),
            ("data.split.test", Policy::Refused),
            ("model.hidden", Policy::Refused),
            ("model.dropout", Policy::Branch),
            ("checkpoint.keep_last", Policy::Free),
            ("threads", Policy::Branch),
            ("something.new", Policy::Refused),
        ];
        for (key, expected) in cases {
            assert_eq!(policy_of(key), expected, "{key}");
        }
    }
}
