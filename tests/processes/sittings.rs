//! A run goes on, on another number of processes.

use crate::together::{ends, start, train};
use crate::{assert_same, demanding};

#[test]
fn sittings_on_two_four_and_one_process_end_with_the_bits_of_one_sitting() {
    let workshop = demanding();
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "straight",
        "-s",
        "train.epochs=4",
    ]);
    let first = [
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "train.epochs=4",
        "--until",
        "1",
    ];
    train(&workshop, 2, &first);
    let said = train(&workshop, 4, &["resume", "run", "--until", "3"]);
    let row = said.lines().find(|line| line.contains("processes"));
    let row = row.unwrap_or_else(|| panic!("{said}"));
    assert!(
        row.contains("2") && row.contains("4") && row.contains("keeps the bits"),
        "{row}"
    );
    let said = workshop.signet(&["resume", "run"]).stderr;
    assert!(
        said.contains("keeps the bits") && !said.contains("may differ"),
        "{said}"
    );
    assert_same(&workshop, "run", "straight");
}

#[test]
fn flat_sums_on_another_number_of_processes_are_said_to_give_other_bits() {
    let workshop = demanding();
    let flat = [
        "-s",
        "train.reduction=flat",
        "-s",
        "train.shards=auto",
        "--until",
        "1",
    ];
    let first = [&["train", "own.yaml", "--run", "run"][..], &flat].concat();
    train(&workshop, 2, &first);
    let said = workshop.signet(&["resume", "run"]).stderr;
    assert!(said.contains("gives other bits"), "{said}");
    assert!(said.contains("from here on the bits differ"), "{said}");
    let refused = workshop.call(&["resume", "run", "--prove"]);
    assert_eq!(
        refused.code, 0,
        "all of the newest pair was trained by one: {}",
        refused.stderr
    );
}

#[test]
fn one_process_proves_what_several_have_trained() {
    let workshop = demanding();
    train(&workshop, 4, &["train", "own.yaml", "--run", "run"]);
    let said = workshop.signet(&["resume", "run", "--prove"]).stdout;
    assert!(said.contains("equal") || said.contains("same"), "{said}");
    let flat = ["-s", "train.reduction=flat", "-s", "train.shards=auto"];
    let first = [&["train", "own.yaml", "--run", "flat"][..], &flat].concat();
    train(&workshop, 2, &first);
    let refused = workshop.call(&["resume", "flat", "--prove"]);
    refused.assert_failed(4, "trained on 2 processes with train.reduction: flat");
    let launched = [
        ("WORLD_SIZE", "2"),
        ("RANK", "1"),
        ("MASTER_ADDR", "127.0.0.1"),
    ];
    let refused = workshop.call_under(&launched, &["resume", "run", "--prove"]);
    refused.assert_failed(4, "start it without a launcher");
}

#[test]
fn a_complete_run_is_complete_for_all_processes() {
    let workshop = demanding();
    train(&workshop, 2, &["train", "own.yaml", "--run", "run"]);
    let before = workshop.text("run/metrics.jsonl");
    train(&workshop, 4, &["resume", "run"]);
    assert_eq!(workshop.text("run/metrics.jsonl"), before);
}

#[test]
fn a_signal_to_any_process_pauses_all_and_the_run_goes_on_to_the_same_bits() {
    let workshop = demanding();
    let long = ["-s", "train.epochs=40"];
    workshop.signet(&[&["train", "own.yaml", "--run", "straight"][..], &long].concat());
    for (signal, code, to) in [("TERM", 143, 1), ("INT", 130, 0), ("USR1", 143, 1)] {
        let run = format!("run-{signal}");
        let arguments = [&["train", "own.yaml", "--run", &run][..], &long].concat();
        let ranks = start(&workshop, 2, &arguments);
        crate::faults::wait_for_epoch(&workshop, &run, 2);
        ranks[to].signal(signal);
        for end in ends(ranks) {
            assert_eq!(end.code, Some(code), "{signal}: {}", end.stderr);
            assert_eq!(
                end.stderr.matches("stopped by SIG").count(),
                1,
                "{}",
                end.stderr
            );
        }
        workshop.signet(&["resume", &run]);
        assert_same(&workshop, &run, "straight");
    }
}
