//! What is said of experiments: every key, where its value comes from, and in what two of them differ.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::Value;
use signet::config::Experiment;
use signet::config::document::Document;
use signet::config::reference::{Line, lines, plain};
use signet::run::policy;
use support::Workshop;

#[test]
fn the_page_of_all_keys_and_the_schema_are_those_that_signet_prints() {
    let workshop = Workshop::new();
    for (verb, file) in [
        ("reference", "configs/README.md"),
        ("schema", "configs/schema.json"),
    ] {
        let printed = workshop.signet(&["config", verb]).stdout;
        let committed = std::fs::read_to_string(file).unwrap();
        assert!(
            printed == committed,
            "{file} is not what `signet config {verb}` prints; write it anew"
        );
    }
}

#[test]
fn every_key_of_a_resolved_experiment_is_a_declared_one() {
    let all = lines();
    let declared: BTreeSet<&str> = all.iter().map(|line| line.key.as_str()).collect();
    let mut overrides: Vec<Vec<String>> = Vec::new();
    let kinds = |key: &str| -> Vec<String> {
        let all = lines();
        let line = all
            .iter()
            .find(|line| line.key == format!("{key}.kind"))
            .unwrap();
        line.words
            .iter()
            .map(|(word, _)| (*word).to_owned())
            .collect()
    };
    for kind in kinds("model").into_iter().filter(|kind| kind != "layers") {
        overrides.push(vec![format!("model={{kind: {kind}}}")]);
    }
    for key in ["train.optimizer", "train.schedule"] {
        overrides.extend(
            kinds(key)
                .into_iter()
                .map(|kind| vec![format!("{key}={{kind: {kind}}}")]),
        );
    }
    for kind in ["stratified", "folds", "inner_folds", "sklearn"] {
        overrides.push(vec![format!("data.split={{kind: {kind}}}")]);
    }
    overrides.push(vec![
        "model={kind: rnn, sequence: patches}".to_owned(),
        "train.early_stopping={}".to_owned(),
    ]);
    overrides.push(vec![
        "train.init_from=runs/x".to_owned(),
        "data.source={kind: class_folders, root: x}".to_owned(),
    ]);
    assert!(overrides.len() > 20);
    for set in overrides {
        let experiment = Experiment::load(Path::new("configs/quickstart.yaml"), &set, &[])
            .unwrap_or_else(|problems| panic!("{problems}"));
        for key in policy::settings(&experiment).into_keys() {
            assert!(
                declared.contains(&plain(&key, &all)[..]),
                "{key} of {set:?} is declared nowhere"
            );
        }
    }
}

#[test]
fn a_key_is_explained_and_what_is_none_gets_the_nearest() {
    let workshop = Workshop::new();
    let explained = workshop
        .signet(&["config", "explain", "train.optimizer.lr"])
        .stdout;
    for words in [
        "train.optimizer.lr (kind sgd, rmsprop): Learning rate, above 0; the schedule varies it from step to step.",
        "train.optimizer.lr (kind adam, adamw):",
        "  takes    a number above 0",
        "  default  0.001",
        "  resume   branch: needs --as NAME",
        "  example  -s train.optimizer.lr=0.01",
        "configs/README.md#train",
    ] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }
    let item = workshop
        .signet(&["config", "explain", "model.blocks.0.filters"])
        .stdout;
    assert!(
        item.starts_with("model.blocks.filters: Channels that come out.\n"),
        "{item}"
    );
    let nested = workshop
        .signet(&["config", "explain", "data.split.outer.random_state"])
        .stdout;
    assert!(
        nested.starts_with("data.split.random_state (kind sklearn): numpy's seed.\n"),
        "{nested}"
    );
    let section = workshop.signet(&["config", "explain", "log"]).stdout;
    assert!(
        section.contains("  keys     csv, tensorboard, samples\n"),
        "{section}"
    );
    for (key, words) in [
        (
            "train.optimizer.rl",
            "there is no key train.optimizer.rl; did you mean train.optimizer.lr?",
        ),
        (
            "adamw",
            "adamw is a value of train.optimizer.kind, and no key; `signet config explain train.optimizer.kind` tells of it",
        ),
        (
            "zzz",
            "there is no key zzz; `signet config explain` lists all",
        ),
    ] {
        workshop
            .call(&["config", "explain", key])
            .assert_failed(2, words);
    }
    let all = workshop.signet(&["config", "explain"]).stdout;
    assert!(all.lines().count() > 100, "{all}");
}

#[test]
fn two_experiments_are_compared_as_they_are_resolved() {
    let workshop = Workshop::small(20);
    workshop.write(
        "other.yaml",
        "version: 1\nextends: own.yaml\nname: other\ntrain: {epochs: 2, batch_size: 8}\n",
    );
    let shown = workshop
        .signet(&["config", "diff", "own.yaml", "other.yaml"])
        .stdout;
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let expected = [
        vec!["key", "old", "new", "policy"],
        vec!["name", "small", "other", "free"],
        vec!["train.epochs", "3", "2", "free"],
    ];
    assert_eq!(rows, expected);
    let origins = workshop
        .signet(&["config", "show", "other.yaml", "--origin", "-s", "seed=7"])
        .stdout;
    for row in [
        vec!["train.batch_size", "other.yaml:4:32", "8"],
        vec!["model.dropout", "own.yaml:8:84", "0.2"],
        vec!["seed", "-s", "seed=7", "7"],
        vec!["train.precision", "default", "f32"],
    ] {
        assert!(
            origins
                .lines()
                .any(|line| line.split_whitespace().eq(row.iter().copied())),
            "{row:?}: {origins}"
        );
    }
    // A run is what it was trained as, and its config.yaml does not need the file it extends.
    workshop.signet(&["train", "other.yaml", "--run", "r"]);
    let threads = workshop
        .signet(&["config", "diff", "r", "r/config.yaml"])
        .stdout;
    assert!(
        threads
            .lines()
            .skip(1)
            .all(|line| ["device", "name"].iter().any(|key| line.starts_with(key))),
        "{threads}"
    );
}

#[test]
fn a_first_experiment_runs_as_it_is_and_means_what_its_keys_do_by_default() {
    let workshop = Workshop::new();
    for kind in ["ann", "dnn", "cnn", "rnn", "lstm", "gru", "layers"] {
        let model = match kind {
            "layers" => "{kind: layers, layers: [{kind: flatten}, {kind: linear}]}".to_owned(),
            kind => format!("{{kind: {kind}}}"),
        };
        workshop.write(
            "least.yaml",
            format!("version: 1\nname: x\ndata: {{source: {{kind: generated}}}}\nmodel: {model}\n"),
        );
        for (file, full) in [("short.yaml", None), ("full.yaml", Some("--full"))] {
            let words = ["config", "init", kind, "--out", file]
                .into_iter()
                .chain(full);
            workshop.signet(&words.collect::<Vec<_>>());
            let differences = workshop
                .signet(&["config", "diff", "least.yaml", file])
                .stdout;
            let lines: Vec<&str> = differences.lines().collect();
            assert_eq!(lines.len(), 2, "{kind} {file}: {differences}"); // the name alone
            workshop.signet(&["train", file, "--dry-run"]);
            if full.is_some() {
                let text = workshop.text(file);
                assert!(
                    text.contains("\n  # Passes over the training part, at most."),
                    "{text}"
                );
                assert!(
                    text.lines().all(|line| line.chars().count() <= 100),
                    "{text}"
                );
            }
            workshop
                .call(&["config", "init", kind, "--out", file])
                .assert_failed(2, "already exists; name another file with --out");
            std::fs::remove_file(workshop.path(file)).unwrap();
        }
    }
    workshop.write("file", "");
    workshop
        .call(&["config", "init", "--out", "file/x.yaml"])
        .assert_failed(4, "cannot make file");
    workshop.call(&["config", "init", "cn"]).assert_failed(
        2,
        "cn is not one of ann, dnn, cnn, rnn, lstm, gru, layers; did you mean cnn?",
    );
}

#[test]
fn yaml_as_people_write_it_means_what_they_mean_or_says_how_to_write_it() {
    let base = "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: cnn}\n";
    let read = |text: &str| -> Result<Experiment, String> {
        let document = Document::parse("x.yaml".into(), text.to_owned(), &[]);
        let read = document
            .and_then(|document| Experiment::from_document(&document, Path::new("x.yaml"), &[]));
        read.map_err(|problems| problems.to_string())
    };
    let shown = |key: &str, set: &str| -> Result<String, String> {
        let set = [set.to_owned()];
        let experiment = Experiment::load(Path::new("configs/quickstart.yaml"), &set, &[])
            .map_err(|problems| problems.to_string())?;
        Ok(policy::settings(&experiment)
            .remove(key)
            .unwrap_or_default())
    };
    // What is written, and what it means.
    for (key, written, meant) in [
        ("train.optimizer.lr", "1e-3", "0.001"),
        ("train.optimizer.lr", "1E-3", "0.001"),
        ("train.optimizer.lr", ".5", "0.5"),
        ("train.optimizer.lr", "1", "1.0"),
        ("train.epochs", "1e3", "1000"),
        ("train.epochs", "10.0", "10"),
        ("train.epochs", "+5", "5"),
        ("log.csv", "FALSE", "false"),
        ("name", "no", "no"),
        ("name", "007", "007"),
        ("data.classes", "[0, 007]", "[\"0\",\"007\"]"),
        ("train.epochs", "train=&t {epochs: 3, loss: {}}", "3"),
        (
            "train.optimizer.kind",
            "train.optimizer={<<: {kind: sgd}, lr: 1}",
            "sgd",
        ),
    ] {
        let set = if written.contains('=') {
            written.to_owned()
        } else {
            format!("{key}={written}")
        };
        assert_eq!(shown(key, &set).as_deref(), Ok(meant), "{set}");
    }
    // What is no such thing, and how to write it.
    for (key, value, said) in [
        (
            "train.optimizer.lr",
            "1_000",
            "expected a number, found \"1_000\"; write 1000",
        ),
        (
            "train.optimizer.lr",
            "'0.1'",
            "expected a number, found \"0.1\"; write 0.1",
        ),
        (
            "train.optimizer.lr",
            "1/2",
            "expected a number, found \"1/2\"",
        ),
        (
            "train.epochs",
            "007",
            "expected a whole number of 0 or more, found \"007\"; write 7",
        ),
        (
            "train.epochs",
            "'5'",
            "expected a whole number of 0 or more, found \"5\"; write 5",
        ),
        (
            "train.epochs",
            "5.5",
            "expected a whole number of 0 or more, found 5.5",
        ),
        (
            "log.csv",
            "no",
            "expected true or false, found \"no\"; write false",
        ),
        (
            "log.csv",
            "On",
            "expected true or false, found \"On\"; write true",
        ),
        (
            "name",
            "1e3",
            "expected text, found 1000.0; put it in quotes",
        ),
        (
            "train.epochs",
            "*a",
            "the value is not valid YAML: unknown anchor",
        ),
    ] {
        let set = format!("{key}={value}");
        let expected = if said.starts_with("the value") {
            format!("-s {set}: {said}")
        } else {
            format!("-s {set}: {key}: {said}")
        };
        assert_eq!(shown(key, &set), Err(expected));
    }
    // Whole files that mean the same.
    for (text, same) in [
        (format!("\u{feff}{base}"), base.to_owned()),
        (base.replace('\n', "\r\n"), base.to_owned()),
        (
            format!(
                "{base}train: {{schedule: &s {{kind: step, gamma: 0.5}}, optimizer: {{kind: sgd}}}}\n"
            ),
            format!(
                "{base}train: {{schedule: {{kind: step, gamma: 0.5}}, optimizer: {{kind: sgd}}}}\n"
            ),
        ),
        (
            format!(
                "{base}train:\n  schedule: {{<<: &s {{kind: step, gamma: 0.5}}, every_epochs: 3}}\n"
            ),
            format!("{base}train:\n  schedule: {{kind: step, gamma: 0.5, every_epochs: 3}}\n"),
        ),
    ] {
        assert_eq!(read(&text).unwrap(), read(&same).unwrap(), "{text}");
    }
    // And those that are none.
    for (text, said) in [
        (
            format!("{base}log:\n\tcsv: true\n"),
            "x.yaml:5:1: not valid YAML: tabs cannot indent YAML; use spaces",
        ),
        (
            format!("{base}seed: 1\nlog: {{}}\nseed: 2\n"),
            "x.yaml:6:1: not valid YAML: duplicate entry with key \"seed\"",
        ),
        (
            format!("{base}train:\n  epochs: 1\n  loss: {{}}\n  epochs: 2\n"),
            "x.yaml:7:3: not valid YAML: train: duplicate entry with key \"epochs\"",
        ),
        (
            format!("{base}---\nseed: 2\n"),
            "x.yaml: not valid YAML: the file holds more than one document; remove all lines --- but the first",
        ),
    ] {
        assert_eq!(read(&text).unwrap_err(), said);
    }
}

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
    let usual = |line: &&Line| line.key != "extends" && !line.key.ends_with("patch_px");
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
        if line.takes.starts_with("a list of") {
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
