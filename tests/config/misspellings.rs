//! Keys with one wrong letter.

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::Value;
use signet::config::Experiment;
use signet::config::document::Document;
use signet::config::reference::{Holds, Line, lines};

/// `key` with a letter dropped, doubled, swapped with the next or replaced, at every place; what is a key of the same section
/// is no misspelling.
fn misspellings(key: &str) -> BTreeSet<String> {
    let letters: Vec<char> = key.chars().collect();
    let mut found = BTreeSet::new();
    for at in 0..letters.len() {
        let mut add = |change: &dyn Fn(&mut Vec<char>)| {
            let mut changed = letters.clone();
            change(&mut changed);
            found.insert(changed.into_iter().collect::<String>());
        };
        add(&|it| {
            it.remove(at);
        });
        add(&|it| it.insert(at, letters[at]));
        add(&|it| it[at] = if letters[at] == 'x' { 'w' } else { 'x' });
        if at + 1 < letters.len() {
            add(&|it| it.swap(at, at + 1));
        }
    }
    found.remove(key);
    found.remove("");
    found
}

#[test]
fn a_key_with_one_wrong_letter_gets_the_right_suggestion_at_its_place() {
    let all = lines();
    let section_of = |key: &str| {
        key.rsplit_once('.')
            .map_or("", |(section, _)| section)
            .to_owned()
    };
    let (mut cases, mut ambiguous) = (0, Vec::new());
    // A key that exists under a condition is none without it.
    let usual = |line: &&Line| !line.key.ends_with("patch_px");
    for line in all.iter().filter(usual) {
        let kinds: Vec<Option<&str>> = match line.kinds.len() {
            0 => vec![None],
            _ => line.kinds.iter().map(|kind| Some(*kind)).collect(),
        };
        for kind in kinds {
            let (section, name) = (section_of(&line.key), line.key.rsplit('.').next().unwrap());
            for wrong in misspellings(name) {
                let written = experiment_with(&all, &section, kind, &wrong);
                let at = written.lines().enumerate().find_map(|(number, text)| {
                    let column = text.find(&format!("{wrong}: wrong"))?;
                    Some(format!("x.yaml:{}:{}", number + 1, column + 1))
                });
                let document = Document::parse("x.yaml".into(), written.clone(), &[]).unwrap();
                let problems = Experiment::from_document(&document, Path::new("x.yaml"), &[])
                    .map(|_| ())
                    .unwrap_err();
                let problem = problems
                    .0
                    .iter()
                    .find(|problem| problem.key.rsplit('.').next() == Some(&wrong));
                let Some(problem) =
                    problem.filter(|problem| problem.message.starts_with("not a key of"))
                else {
                    // Another key, whose value is wrong instead.
                    let other = all.iter().any(|other| {
                        other.key == format!("{section}.{wrong}") || other.key == wrong
                    });
                    assert!(
                        other,
                        "{wrong} for {} is not noticed: {written}\n{problems}",
                        line.key
                    );
                    continue;
                };
                cases += 1;
                assert_eq!(Some(&problem.place), at.as_ref(), "{written}");
                if !problem.message.ends_with(&format!("did you mean {name}?")) {
                    ambiguous.push(format!("{} {wrong}: {}", line.key, problem.message));
                }
            }
        }
    }
    assert!(cases > 5000, "{cases}");
    // Keys of a letter or two are as near to others.
    assert!(
        ambiguous.len() * 200 < cases,
        "{} of {cases}:\n{}",
        ambiguous.len(),
        ambiguous.join("\n")
    );
    println!(
        "{cases} misspellings, {} with another suggestion:\n{}",
        ambiguous.len(),
        ambiguous.join("\n")
    );
}

/// An experiment whose `section`, of a `kind`, has the key `wrong`.
fn experiment_with(all: &[Line], section: &str, kind: Option<&str>, wrong: &str) -> String {
    let map = |entries: Vec<(&str, Value)>| -> Value {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Value::from(key), value));
        Value::Mapping(entries.collect())
    };
    let of_kind = |kind: Option<&str>, (key, value): (&str, Value)| {
        let kind = kind.map(|kind| ("kind", Value::from(kind)));
        map(kind.into_iter().chain([(key, value)]).collect())
    };
    let mut value = of_kind(kind, (wrong, Value::from("wrong")));
    let mut path = section;
    while !path.is_empty() {
        let line = all.iter().find(|line| line.key == path).unwrap();
        if line.holds == [Holds::Sections] {
            value = Value::Sequence(vec![value]);
        }
        let (above, step) = path.rsplit_once('.').unwrap_or(("", path));
        value = of_kind(line.kinds.first().copied(), (step, value));
        path = above;
    }
    let mut text = serde_yaml::to_string(&value).unwrap() + "version: 1\n";
    for (name, usual) in [
        ("data", "{source: {kind: generated}}"),
        ("model", "{kind: cnn}"),
    ] {
        if !section.starts_with(name) {
            text += &format!("{name}: {usual}\n");
        }
    }
    text
}
