//! The promise of studies: many splits, figures that say how much they vary, and the same figures however often
//! the study was stopped.

mod support;

use std::time::Duration;

use support::Workshop;

const SMALL: &str = "\
version: 1
name: small
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 20}
  image: {height: 16, width: 16}
model: {kind: ann, hidden: [8], dropout: 0.2}
train: {epochs: 40, batch_size: 8}
";

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", SMALL);
    workshop
}

#[test]
fn a_study_killed_again_and_again_ends_with_the_summary_of_one_left_alone() {
    let workshop = workshop();
    let study = |run| {
        [
            "cv",
            "own.yaml",
            "--folds",
            "4",
            "--run",
            run,
            "--progress",
            "none",
        ]
    };
    let answer = workshop.signet(&study("straight"));
    assert!(
        answer.stdout.contains("4 trials: test accuracy "),
        "{}",
        answer.stdout
    );
    for wait in [400, 700, 1000, 1300] {
        let mut child = workshop.start(&study("killed"));
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    workshop.signet(&study("killed"));
    for file in ["summary.json", "summary.csv"] {
        assert_eq!(
            workshop.text(&format!("killed/{file}")),
            workshop.text(&format!("straight/{file}"))
        );
    }
    // Two at a time give the same figures, one thread each.
    workshop.signet(&[&study("double")[..], &["-j", "2"]].concat());
    assert_eq!(
        workshop.text("double/summary.json"),
        workshop.text("straight/summary.json")
    );
    // All folds together test every picture once.
    let summary = workshop.json("straight/summary.json");
    let tested: u64 = summary["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["pictures"].as_u64().unwrap())
        .sum();
    assert_eq!(tested, 40);
}

#[test]
fn what_cannot_be_a_study_is_refused_before_anything_starts() {
    let workshop = workshop();
    workshop.signet(&[
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "known",
        "-s",
        "train.epochs=1",
    ]);
    let cases: [(&[&str], i32, &str); 6] = [
        (
            &["cv", "own.yaml", "--folds", "21", "--run", "new"],
            3,
            "21 folds need 21 pictures of each class, but \"0\" has 20",
        ),
        (&["cv", "own.yaml", "--run", "new"], 2, "--folds"),
        (
            &["cv", "own.yaml", "--holdout", "2", "--run", "known"],
            4,
            "known is a study of another experiment: train.epochs is 1 there, but 40 here",
        ),
        (
            &[
                "cv",
                "own.yaml",
                "--holdout",
                "3",
                "--run",
                "known",
                "-s",
                "train.epochs=1",
            ],
            4,
            "known is a study of other trials (2 of them)",
        ),
        (
            &[
                "cv",
                "own.yaml",
                "--holdout",
                "2",
                "--run",
                "new",
                "-s",
                "train.epoch=1",
            ],
            2,
            "did you mean epochs?",
        ),
        (
            &[
                "cv",
                "own.yaml",
                "--holdout",
                "2",
                "--run",
                "new",
                "-s",
                "data.split={kind: folds}",
            ],
            2,
            "use --folds",
        ),
    ];
    for (arguments, code, words) in cases {
        let answer = workshop.call(arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(words),
            "{arguments:?}: {}",
            answer.stderr
        );
    }
    assert!(!workshop.path("new").exists());
}

#[test]
fn a_trial_that_fails_is_named_with_its_log_and_stops_the_others_or_not() {
    let workshop = workshop();
    let failing = [
        "cv",
        "own.yaml",
        "--holdout",
        "3",
        "-s",
        "train.optimizer={kind: sgd, lr: 1.0e+30}",
        "--progress",
        "none",
    ];
    for (on_fail, failed) in [("stop", 1), ("continue", 3)] {
        let answer =
            workshop.call(&[&failing[..], &["--run", on_fail, "--on-fail", on_fail]].concat());
        assert_eq!(answer.code, 4, "{}", answer.stderr);
        assert!(answer.stderr.starts_with(&format!("signet: {failed} trial(s) failed: split-00 ended with exit code 6: training diverged")), "{}", answer.stderr);
        assert!(
            answer
                .stderr
                .contains(&format!("its log is {on_fail}/split-00.log")),
            "{}",
            answer.stderr
        );
    }
}
