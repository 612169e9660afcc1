//! The experiment file as a JSON Schema, draft 2020-12, for editors and validators.
//!
//! Every section is a definition of its own, named after its type, since layers contain layers. What has to be written may
//! stand in a file that this one extends or that extends this one, so nothing but the version is required, and a section
//! without a kind may have the keys of any.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::key::{Absent, Key, Kind, Rule, Shape};
use super::reference::top;

/// The version of JSON Schema.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What may stand under every key: null, which is the default, and a text with a variable.
const ELSEWHERE: &str = "elsewhere";

/// The schema of an experiment.
pub fn schema() -> Value {
    let elsewhere = json!({"anyOf": [{"type": "null"}, {"type": "string", "pattern": r"\$\{"}]});
    let mut definitions = Definitions(BTreeMap::from([(ELSEWHERE, elsewhere)]));
    let mut schema = definitions.section(&top());
    schema["$schema"] = json!(DRAFT);
    schema["title"] = json!("an experiment of signet");
    schema["required"] = json!(["version"]);
    schema["$defs"] = json!(definitions.0);
    schema
}

/// Sections by the names of their types.
struct Definitions(BTreeMap<&'static str, Value>);

impl Definitions {
    /// A map of `keys` and nothing beside them. A key that stands there twice may be either.
    fn section(&mut self, keys: &[Key]) -> Value {
        let mut properties: Map<String, Value> = Map::new();
        for key in keys {
            let own = self.key(key);
            match properties.get_mut(key.name) {
                None => drop(properties.insert(key.name.to_owned(), own)),
                Some(known) if *known == own => {}
                Some(known) => *known = json!({"anyOf": [known.clone(), own]}),
            }
        }
        json!({"type": "object", "properties": properties, "additionalProperties": false})
    }

    /// A section of one of `kinds`: the keys of all, and for each kind which of them it has.
    fn of_kind(&mut self, kinds: Vec<Kind>) -> Value {
        let mut each = Vec::new();
        let mut words = Vec::new();
        let mut all = Vec::new();
        for kind in kinds {
            let names = kind.keys.iter().map(|key| key.name);
            let names: Vec<&str> = names.chain(["kind"]).collect();
            let own = self.section(&kind.keys);
            each.push(json!({
                "if": {"properties": {"kind": {"const": kind.word}}, "required": ["kind"]},
                "then": {"properties": own["properties"], "propertyNames": {"enum": names}},
            }));
            words.push((kind.word, kind.about));
            all.extend(kind.keys);
        }
        let mut section = self.section(&all);
        section["properties"]["kind"] = json!({"enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>(), "description": listed(&words)});
        // What is the same for every kind that has it stands above.
        for kind in &mut each {
            if let Some(own) = kind["then"]["properties"].as_object_mut() {
                own.retain(|name, value| section["properties"][name] != *value);
            }
        }
        section["allOf"] = json!(each);
        section
    }

    fn key(&mut self, key: &Key) -> Value {
        let mut about = key.about.to_owned();
        if let Shape::Words(words) = &key.shape {
            about = format!("{about} {}", listed(words));
        }
        let elsewhere = json!({"$ref": format!("#/$defs/{ELSEWHERE}")});
        let mut schema =
            json!({"anyOf": [self.value(&key.shape), elsewhere], "description": about});
        if let Absent::Value(default) = &key.default {
            schema["default"] = default.clone();
        }
        schema
    }

    fn value(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Truth => json!({"type": "boolean"}),
            Shape::Whole(rule) => number("integer", *rule),
            Shape::Number(rule) => number("number", *rule),
            Shape::Text | Shape::Path => json!({"type": "string"}),
            Shape::Words(words) => {
                json!({"enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>()})
            }
            Shape::Form(words, _) => json!({"type": ["string", "integer"], "description": words}),
            Shape::List(item, 0) => json!({"type": "array", "items": self.value(item)}),
            Shape::List(item, least) => {
                json!({"type": "array", "items": self.value(item), "minItems": least})
            }
            Shape::Names(value) => {
                json!({"type": "object", "additionalProperties": self.value(value)})
            }
            Shape::Either(one, other) => json!({"anyOf": [self.value(one), self.value(other)]}),
            Shape::Section(name, keys) => self.named(name, |own| own.section(&keys())),
            Shape::Kinds(kinds) => self.named(kinds.name, |own| own.of_kind((kinds.all)())),
        }
    }

    /// A reference to the definition called `name`, made where it is missing.
    fn named(&mut self, name: &'static str, make: impl FnOnce(&mut Definitions) -> Value) -> Value {
        if !self.0.contains_key(name) {
            self.0.insert(name, Value::Null); // it may contain itself
            let made = make(self);
            self.0.insert(name, made);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }
}

/// Words with their meanings, in a line.
fn listed(words: &[(&str, &str)]) -> String {
    let words = words
        .iter()
        .map(|(word, about)| format!("{word}: {}", about.trim_start()));
    words.collect::<Vec<_>>().join(" ")
}

fn number(kind: &str, rule: Rule) -> Value {
    let mut schema = json!({"type": kind});
    let mut bound = |name: &str, value: f64| {
        schema[name] = match value.fract() {
            0.0 => json!(value as i64),
            _ => json!(value),
        };
    };
    match rule {
        Rule::Any | Rule::Filled if kind == "integer" => bound("minimum", 0.0),
        Rule::Any | Rule::Filled => {}
        Rule::AtLeast(low) => bound("minimum", low),
        Rule::Within(low, high) => {
            bound("minimum", low);
            bound("maximum", high);
        }
        Rule::Below(low, high) => {
            bound("minimum", low);
            bound("exclusiveMaximum", high);
        }
        Rule::AboveZero => bound("exclusiveMinimum", 0.0),
    }
    schema
}
