//! What documents say is taken for what signet writes, or refused.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::{Change, contents, first_trial, forge, workshop};

#[test]
fn logs_that_a_sealed_checkpoint_names_are_only_those_that_signet_writes() {
    for resume in [
        &["resume", "r", "-q"][..],
        &[
            "resume",
            "r",
            "--as",
            "b",
            "-s",
            "train.optimizer.lr=0.01",
            "-q",
        ],
    ] {
        let workshop = workshop();
        let victim = workshop.path("victim/file").display().to_string();
        for (name, length) in [
            (victim.as_str(), 5u64),
            ("../victim/file", 0),
            ("../victim/file", 1u64 << 40),
        ] {
            forge(&workshop.path("r"), |document| {
                document["logs"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|log, _| !log.contains("victim"));
                document["logs"][name] = length.into();
            });
            let before = contents(&workshop.path("victim"));
            workshop
                .call(resume)
                .assert_failed(4, "which signet does not write");
            assert_eq!(contents(&workshop.path("victim")), before);
        }
    }
}

#[test]
fn trials_of_a_study_lie_in_the_study() {
    let workshop = workshop();
    workshop.signet(&[
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "st",
        "-s",
        "train.epochs=1",
        "-q",
    ]);
    workshop
        .run("other")
        .set("checkpoint.keep_last", 9)
        .arguments(&["-q"])
        .train();
    let study = workshop.text("st/study.json");
    let before = contents(&workshop.path("other"));
    let trial = first_trial(&workshop);
    workshop.write(
        "st/study.json",
        study.replace(&format!("\"{trial}\""), "\"../other\""),
    );
    let gc = ["runs", "gc", "st", "--keep-last", "1", "--yes"];
    let answer = workshop.call(&gc);
    assert!(
        answer
            .stderr
            .contains("which is no folder of its own there"),
        "{}",
        answer.stderr
    );
    assert_eq!(contents(&workshop.path("other")), before);
    // The same by a link.
    workshop.write("st/study.json", study);
    std::fs::remove_dir_all(workshop.path("st").join(&trial)).unwrap();
    symlink(workshop.path("other"), workshop.path("st").join(&trial)).unwrap();
    workshop.call(&gc);
    workshop.call(&[
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "st",
        "-s",
        "train.epochs=1",
        "-q",
    ]);
    assert_eq!(contents(&workshop.path("other")), before);
}

#[test]
fn one_odd_run_is_a_row_with_its_reason() {
    let workshop = workshop();
    let odd: [(&str, Change); 4] = [
        ("epoch", |document| document["progress"]["epoch"] = 0.into()),
        ("step", |document| {
            document["progress"]["step"] = (1u64 << 60).into()
        }),
        ("mean", |document| {
            document["normalization"]["mean"] = serde_json::json!([])
        }),
        ("classes", |document| {
            document["classes"] = serde_json::json!([])
        }),
    ];
    for (name, change) in odd {
        let copied = Command::new("cp")
            .args(["-r", "r", name])
            .current_dir(workshop.path(""))
            .status();
        assert!(copied.unwrap().success());
        forge(&workshop.path(name), change);
        let answer = workshop.call(&["eval", name]);
        assert_eq!(answer.code, 4, "{name}: {}", answer.stderr);
        assert_eq!(
            answer.stderr.lines().count(),
            1,
            "{name}: {}",
            answer.stderr
        );
    }
    let listed = workshop.signet(&["runs", "list", "."]).stdout;
    for name in ["./r", "./epoch", "./step", "./mean", "./classes"] {
        assert!(
            listed
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name)),
            "{name}: {listed}"
        );
    }
    assert_eq!(listed.matches("damaged").count(), 4, "{listed}");
}

#[test]
fn a_checkpoint_that_is_further_in_its_epoch_than_the_epoch_is_long_is_refused() {
    let workshop = workshop();
    forge(&workshop.path("r"), |document| {
        document["progress"]["images"] = 1_000_000.into()
    });
    workshop
        .call(&["resume", "r"])
        .assert_failed(4, "says 1000000 images of an epoch of ");
}
