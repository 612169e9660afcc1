//! What is said of experiments: every key, where its value comes from, and in what two of them differ.

mod misspellings;
#[path = "../support/mod.rs"]
mod support;
mod yaml;

use std::collections::BTreeSet;
use std::path::Path;

use signet::config::Experiment;
use signet::config::reference::{lines, plain};
use signet::run::changes;
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
        for key in changes::settings(&experiment).into_keys() {
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
        "  since    0.1",
        "configs/README.md#train.optimizer.lr",
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
        section.contains("  keys     csv, tensorboard, report, samples\n"),
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
            .all(|line| ["device", "name", "train.shards"]
                .iter()
                .any(|key| line.starts_with(key))),
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
