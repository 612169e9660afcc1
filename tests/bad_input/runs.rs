//! Folders that are taken, and models that are none.

use crate::refused;
use crate::support::{SMALL, Workshop};

#[test]
fn a_run_directory_that_exists_is_left_alone() {
    let workshop = Workshop::with_folders(10);
    workshop.write("taken/mine.txt", "mine");
    workshop.write("own.yaml", SMALL);
    workshop
        .call(&["train", "own.yaml", "--run", "taken"])
        .assert_failed(4, "taken already exists");
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
        workshop.call(&["eval", target]).assert_failed(4, words);
    }
}

#[test]
fn an_error_of_libtorch_is_one_sentence_without_frames() {
    let workshop = Workshop::with_folders(10);
    let header = r#"{"a":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    workshop.write("x.safetensors", file);
    let begin = "train.init_from={path: x.safetensors}";
    refused(
        &workshop,
        &[begin],
        4,
        &["train.init_from: x.safetensors: "],
    );
}
