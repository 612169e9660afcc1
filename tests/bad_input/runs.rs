//! Folders that are taken, and models that are none.

use crate::support::{SMALL, Workshop};

#[test]
fn a_run_directory_that_exists_is_left_alone() {
    let workshop = Workshop::with_folders(10);
    workshop.write("taken/mine.txt", "mine");
    workshop.write("own.yaml", SMALL);
    let answer = workshop.call(&["train", "own.yaml", "--run", "taken"]);
    assert_eq!(answer.code, 4);
    assert!(
        answer.stderr.contains("taken exists already"),
        "{}",
        answer.stderr
    );
    assert_eq!(
        std::fs::read_dir(workshop.path("taken")).unwrap().count(),
        1
    );
}

#[test]
fn evaluating_what_is_no_model_says_what_is_one() {
    let workshop = Workshop::new();
    workshop.write("folder/own.yaml", "version: 1\n");
    let cases = [
        (
            "nothing",
            "nothing does not exist; a run directory, a checkpoint",
        ),
        (
            "folder/own.yaml",
            "folder/own.yaml is no model; a run directory, a checkpoint",
        ),
        (
            "folder",
            "folder is no run: it has no resolved.yaml; start one with `signet train CONFIG`",
        ),
    ];
    for (target, words) in cases {
        let answer = workshop.call(&["eval", target]);
        assert_eq!(answer.code, 4, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
}
