//! What the command line promises: exit codes, one clear line per problem, nothing half-made.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn signet(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the binary was built beside this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("signet prints UTF-8")
}

fn experiment(folder: &Path, yaml: &str) -> PathBuf {
    let file = folder.join("own.yaml");
    std::fs::write(&file, yaml).expect("the test's folder is writable");
    file
}

#[test]
fn a_wrong_experiment_exits_with_2_and_names_every_problem_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    experiment(
        folder.path(),
        "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: cnn, hiden: [8]}\ntrain: {epochs: many}\n",
    );
    let output = signet(folder.path(), &["config", "check", "own.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "signet: own.yaml:3:20: model.hiden: not a key of kind cnn; did you mean hidden?\n\
         own.yaml:4:17: train.epochs: expected a whole number of 0 or more, found \"many\"\n"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn what_config_show_prints_is_an_experiment_that_shows_the_same() {
    let folder = tempfile::tempdir().unwrap();
    experiment(
        folder.path(),
        "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: gru}\n",
    );
    let shown = signet(
        folder.path(),
        &["config", "show", "own.yaml", "-s", "train.epochs=7"],
    );
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("epochs: 7\n"));
    experiment(folder.path(), &text(&shown.stdout));
    let again = signet(folder.path(), &["config", "show", "own.yaml"]);
    assert_eq!(text(&again.stdout), text(&shown.stdout));
}

#[test]
fn a_missing_experiment_is_one_line_that_says_where_to_find_others() {
    let folder = tempfile::tempdir().unwrap();
    let output = signet(folder.path(), &["config", "show", "none.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.starts_with("signet: none.yaml: cannot read this experiment"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn generated_pictures_depend_on_the_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in [("a", "5"), ("b", "5"), ("c", "6")] {
        let arguments = [
            "data",
            "generate",
            name,
            "--pictures",
            "2",
            "--seed",
            seed,
            "--side",
            "32",
        ];
        assert_eq!(signet(folder.path(), &arguments).status.code(), Some(0));
    }
    let read = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    for picture in ["0/0000.png", "0/0001.png", "1/0000.png", "1/0001.png"] {
        assert_eq!(read(&format!("a/{picture}")), read(&format!("b/{picture}")));
        assert_ne!(read(&format!("a/{picture}")), read(&format!("c/{picture}")));
    }
}

#[test]
fn generating_into_an_existing_folder_is_refused_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let output = signet(folder.path(), &["data", "generate", "mine"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "signet: mine exists already; name a folder that does not\n"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(
        std::fs::read_dir(folder.path().join("mine"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn the_script_that_the_readme_shows_is_the_one_that_is_tested() {
    let script = std::fs::read_to_string("scripts/predict.py").unwrap();
    let shown: String = script
        .lines()
        .map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("    {line}\n"),
        })
        .collect();
    let readme = std::fs::read_to_string("README.md").unwrap();
    assert!(
        readme.contains(&shown),
        "README.md shows another scripts/predict.py"
    );
}
