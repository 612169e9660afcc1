//! YAML that every reader takes for the same.
//!
//! YAML 1.1, which PyYAML and many others read, takes `no`, `y`, `1:30`, `1_000`, `012`, `=` and dates for something
//! else than text, and `1e-8` for text; YAML 1.2 does not. Here a text is bare only where both take it for text, and a
//! number has the form that both take for that number. The layout is serde_yaml's.

use serde_yaml::Value;

/// Words that are no text in YAML 1.1, in any case (<https://yaml.org/type/bool.html>, `null.html`).
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// `value` as a document of its own.
pub fn write(value: &Value) -> String {
    node(value, 0)
}

/// Lines that begin `indent` characters in.
fn node(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            let entries = map.iter().map(|(key, value)| {
                let key = scalar(key);
                match value {
                    Value::Mapping(map) if !map.is_empty() => {
                        format!("{pad}{key}:\n{}", node(value, indent + 2))
                    }
                    Value::Sequence(items) if !items.is_empty() => {
                        format!("{pad}{key}:\n{}", node(value, indent))
                    }
                    value => format!("{pad}{key}: {}\n", scalar(value)),
                }
            });
            entries.collect()
        }
        Value::Sequence(items) if !items.is_empty() => {
            let items = items.iter().map(|item| {
                let lines = node(item, indent + 2);
                format!("{pad}- {}", &lines[indent + 2..]) // the dash stands where the first line is indented
            });
            items.collect()
        }
        value => format!("{pad}{}\n", scalar(value)),
    }
}

/// What stands on one line.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => decimal(float),
            _ => number.to_string(),
        },
        Value::String(text) => quote(text),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Mapping(_) => "{}".to_owned(),
        Value::Tagged(_) => unreachable!("an experiment has no tags"),
    }
}

/// With a point, and with a sign before the exponent: YAML 1.1 wants both.
fn decimal(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once('e') {
        None if number.is_nan() => ".nan".to_owned(),
        None if number.is_infinite() => text.replace("inf", ".inf"),
        None => text,
        Some((digits, exponent)) => {
            let point = if digits.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{digits}{point}e{sign}{exponent}")
        }
    }
}

/// `text` bare, in single quotes, or with escapes in double ones.
fn quote(text: &str) -> String {
    let may_be_bare = |c: char| c.is_ascii_alphanumeric() || "_-./+:".contains(c);
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(may_be_bare)
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if bare {
        return text.to_owned();
    }
    // Line breaks of YAML 1.1, and what its readers refuse.
    let escapes = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            )
    };
    if !text.contains(escapes) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let inside = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if escapes(c) => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    });
    format!("\"{}\"", inside.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_1_1_takes_for_something_else_is_quoted() {
        let texts = [
            "no",
            "Yes",
            "ON",
            "off",
            "y",
            "N",
            "~",
            "null",
            "True",
            "1:30",
            "1_000",
            "0x1F",
            "0o7",
            "012",
            "1e3",
            ".5",
            "2024-01-01",
            "=",
            "<<",
            "",
            " a",
            "a ",
            "- a",
            "a: b",
            "a #b",
            "a:",
            "@a",
            "%a",
            "*a",
            "&a",
            "!a",
            "[a",
            "it's",
        ];
        for text in texts {
            let written = quote(text);
            assert_eq!(written, format!("'{}'", text.replace('\'', "''")));
        }
        for text in [
            "adamw",
            "val.accuracy",
            "cuda:0",
            "/data/x-1/Dataset",
            "nose",
            "a_b",
        ] {
            assert_eq!(quote(text), text);
        }
    }

    #[test]
    fn every_value_reads_back_as_itself() {
        let texts = [
            "",
            "a\nb",
            "\u{85}\u{2028}\"\\\t",
            "é日😀",
            "no",
            "x: [1]",
            "\u{feff}",
        ];
        let numbers = [
            "1.0e-8",
            "1.0",
            "-2.5e+300",
            "18446744073709551615",
            "-3",
            ".inf",
            "0.00001",
        ];
        let numbers: Vec<Value> = numbers
            .iter()
            .map(|text| serde_yaml::from_str(text).unwrap())
            .collect();
        for (number, text) in numbers.iter().zip(["1.0e-8", "1.0", "-2.5e+300"]) {
            assert_eq!(scalar(number), text);
        }
        let texts: Vec<Value> = texts.into_iter().map(Value::from).collect();
        let keyed: serde_yaml::Mapping = texts
            .iter()
            .map(|text| (text.clone(), Value::Null))
            .collect();
        let all = Value::Sequence(vec![
            Value::Sequence(vec![Value::Sequence(numbers), Value::from(true)]),
            Value::Mapping(
                [(Value::from("a"), Value::Mapping(keyed))]
                    .into_iter()
                    .collect(),
            ),
            Value::Mapping(
                [
                    (Value::from("b"), Value::Sequence(texts)),
                    (Value::from("c"), Value::Sequence(vec![])),
                ]
                .into_iter()
                .collect(),
            ),
            Value::Mapping(serde_yaml::Mapping::new()),
        ]);
        let written = write(&all);
        assert_eq!(
            serde_yaml::from_str::<Value>(&written).unwrap(),
            all,
            "{written}"
        );
    }
}
