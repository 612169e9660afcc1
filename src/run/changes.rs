//! In which keys two experiments differ, and what that means for a run that goes on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use crate::config::Experiment;
use crate::config::policy::Policy;
use crate::config::reference::policy_of;

/// Whether `key` says where data lies, and nothing else. That it is the same data is checked by its fingerprint.
pub fn says_where_data_lies(key: &str) -> bool {
    key.starts_with("data.source.") && policy_of(key) == Policy::Free
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

/// Every setting of `experiment` by its dotted key, on one line each.
pub fn settings(experiment: &Experiment) -> BTreeMap<String, String> {
    let on_one_line = |(key, value): (String, Value)| {
        // JSON, because it puts a list on one line.
        let text = serde_json::to_string(&value).expect("YAML values are JSON values");
        (key, text.trim_matches('"').to_owned())
    };
    values(experiment).into_iter().map(on_one_line).collect()
}

/// Every setting of `experiment` by its dotted key: a number, a text, true or false, or a list.
pub fn values(experiment: &Experiment) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let value = serde_yaml::to_value(experiment).expect("an experiment is plain YAML");
    flatten(&value, String::new(), &mut flat);
    flat
}

/// Every key in which `new` differs from `old`.
pub fn between(old: &Experiment, new: &Experiment) -> Vec<Change> {
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

fn flatten(value: &Value, path: String, flat: &mut BTreeMap<String, Value>) {
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
            flat.insert(path, value.clone());
        }
    }
}
