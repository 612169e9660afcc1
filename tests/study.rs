//! The promise of studies: many splits, metrics with how much they vary, and the same metrics however often
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
    // Two at a time give the same metrics, one thread each.
    workshop.signet(&[&study("double")[..], &["-j", "2"]].concat());
    assert_eq!(
        workshop.text("double/summary.json"),
        workshop.text("straight/summary.json")
    );
    // All folds together test every image once.
    let summary = workshop.json("straight/summary.json");
    let tested: u64 = summary["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["images"].as_u64().unwrap())
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
            "21 folds need 21 images of each class, but \"0\" has 20",
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
        workshop.call(arguments).assert_failed(code, words);
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

#[test]
fn inner_folds_choose_by_every_image_but_those_of_the_test_part() {
    let workshop = workshop();
    let answer = workshop.signet(&[
        "cv",
        "own.yaml",
        "--folds",
        "3",
        "--inner",
        "--run",
        "inner",
        "--progress",
        "none",
    ]);
    assert!(
        answer.stdout.contains("3 trials: val accuracy "),
        "{}",
        answer.stdout
    );
    let mut chosen_by = Vec::new();
    let mut tests = Vec::new();
    for fold in 0..3 {
        let split = workshop.json(&format!("inner/fold-0{fold}/split.json"));
        let names = |part: &str| -> Vec<String> {
            let names = split[part].as_array().unwrap().iter();
            names
                .map(|name| name.as_str().unwrap().to_owned())
                .collect()
        };
        chosen_by.extend(names("val"));
        tests.push(names("test"));
    }
    assert!(
        tests
            .iter()
            .all(|test| *test == tests[0] && test.len() == 6)
    );
    chosen_by.sort();
    chosen_by.dedup();
    assert_eq!(chosen_by.len(), 34);
    assert!(chosen_by.iter().all(|name| !tests[0].contains(name)));
}

const SWEEP: &str = "\
version: 1
base: own.yaml
over:
  train.optimizer.lr: [1.0e-5, 1.0e-2, 3.0e-2]
  model.hidden: [[4], [16]]
trials: {kind: seeds, seeds: [1, 2]}
halving: {factor: 3, min_epochs: 4}
";

#[test]
fn a_sweep_killed_again_and_again_ranks_its_points_as_one_left_alone_does() {
    let workshop = workshop();
    workshop.write("sweep.yaml", SWEEP);
    let sweep = |run| ["sweep", "sweep.yaml", "--run", run, "--progress", "none"];
    let answer = workshop.signet(&sweep("straight"));
    let summary = workshop.json("straight/summary.json");
    let points = summary["points"].as_array().unwrap();
    // Of six points two go on after epoch 4, and one of those after 12 and 36.
    let epochs: Vec<u64> = points
        .iter()
        .map(|point| point["epochs"].as_u64().unwrap())
        .collect();
    assert_eq!(epochs, [40, 12, 4, 4, 4, 4]);
    for point in points {
        let trials = point["trials"].as_array().unwrap();
        assert_eq!(trials.len(), 2);
        let values = trials.iter().map(|trial| {
            assert_eq!(trial["value"], trial["best"]["val"]["accuracy"]);
            trial["value"].as_f64().unwrap()
        });
        assert!(
            (values.sum::<f64>() / 2.0 - point["value"]["mean"].as_f64().unwrap()).abs() < 1e-12
        );
    }
    // The winner is the run it would have been anyway, and can be had by the line that is printed.
    let winner = &points[0];
    let trial = winner["trials"][0]["trial"].as_str().unwrap();
    let line = answer.stdout.split("signet train ").nth(1).unwrap();
    let line = line.lines().next().unwrap().replace('\'', "");
    let mut again: Vec<&str> = std::iter::once("train").chain(line.split(' ')).collect();
    again.extend(["-s", "seed=1", "--run", "again", "--progress", "none"]);
    workshop.signet(&again);
    assert_eq!(
        workshop.weights("again"),
        workshop.weights(&format!("straight/{trial}"))
    );
    assert_eq!(
        workshop.read("again/metrics.jsonl"),
        workshop.read(&format!("straight/{trial}/metrics.jsonl"))
    );

    for wait in [300, 600, 900, 1200, 1500, 1800] {
        let mut child = workshop.start(&sweep("killed"));
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    workshop.signet(&sweep("killed"));
    for file in ["summary.json", "summary.csv"] {
        assert_eq!(
            workshop.text(&format!("killed/{file}")),
            workshop.text(&format!("straight/{file}"))
        );
    }
}

#[test]
fn everything_wrong_with_a_sweep_is_found_before_its_first_point_starts() {
    let workshop = workshop();
    let cases = [
        (
            "version: 1\nbase: own.yaml\nover:\n  train.optimizer.lr: [0.1, -1]\n  model.hiden: [[4]]\n",
            2,
            vec![
                "sweep.yaml:4:23: over.train.optimizer.lr: point-01: expected a number above 0, found -1",
                "sweep.yaml:5:16: over.model.hiden: point-00: not a key of kind ann; did you mean hidden?",
            ],
        ),
        (
            "version: 1\nbase: own.yaml\nover: {train.batch_size: [8, 500]}\n",
            2,
            vec!["point-01: train.batch_size: 500 is larger than the training part of 28 images"],
        ),
        (
            "version: 1\nbase: other.yaml\nover: {seed: [1]}\n",
            2,
            vec!["other.yaml: cannot read this experiment"],
        ),
        (
            "version: 1\nbase: own.yaml\nover: {train.epochs: {low: 1, high: 9}}\n",
            2,
            vec![
                "train.epochs is a range, which is sampled; set points: {kind: random, count: 20}",
            ],
        ),
        (
            "version: 1\nbase: own.yaml\nover: {seed: [1]}\ntrials: {kind: folds, folds: 30}\n",
            3,
            vec![
                "point-00-fold-00: data.split.folds: 30 folds need 30 images of each class, but \"0\" has 17",
            ],
        ),
    ];
    for (text, code, expected) in cases {
        workshop.write("sweep.yaml", text);
        let answer = workshop.call(&["sweep", "sweep.yaml", "--run", "new"]);
        assert_eq!(answer.code, code, "{text}: {}", answer.stderr);
        for words in expected {
            assert!(answer.stderr.contains(words), "{words}\n{}", answer.stderr);
        }
        assert!(!workshop.path("new").exists());
    }
}

#[test]
fn a_point_that_diverges_is_ranked_last_and_named() {
    let workshop = workshop();
    workshop.write(
        "sweep.yaml",
        "version: 1\nbase: own.yaml\nover:\n  train.optimizer: [{kind: sgd, lr: 1.0e+30}, {kind: sgd, lr: 0.1}]\n  train.epochs: [2]\n",
    );
    let sweep = ["sweep", "sweep.yaml", "--run", "swept"];
    let answer = workshop.signet(&sweep);
    assert!(answer.stdout.contains("diverged"), "{}", answer.stdout);
    let summary = workshop.json("swept/summary.json");
    assert_eq!(summary["points"][0]["name"], "point-01");
    assert_ne!(summary["points"][0]["value"], serde_json::Value::Null);
    assert_eq!(summary["points"][1]["value"], serde_json::Value::Null);
    // It would only diverge again, so it is not trained again.
    let log = workshop.read("swept/point-00.log");
    workshop.signet(&sweep);
    assert_eq!(workshop.read("swept/point-00.log"), log);
    assert_eq!(workshop.json("swept/summary.json"), summary);
}

#[test]
fn a_trial_killed_from_outside_is_named_and_the_same_command_ends_the_study() {
    let workshop = workshop();
    let study = |run| {
        [
            "cv",
            "own.yaml",
            "--holdout",
            "2",
            "--run",
            run,
            "--progress",
            "none",
            "-s",
            "train.epochs=400",
        ]
    };
    workshop.signet(&study("straight"));
    let child = workshop.start(&study("killed"));
    // The lock of a trial names its process.
    let lock = workshop.path("killed/split-00/lock");
    let holder = loop {
        let text = std::fs::read_to_string(&lock).unwrap_or_default();
        match text.split_whitespace().nth(1) {
            Some(process) if workshop.path("killed/split-00/metrics.jsonl").exists() => {
                break process.to_owned();
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let killed = std::process::Command::new("kill")
        .args(["-9", &holder])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    workshop.signet(&study("killed"));
    assert_eq!(
        workshop.text("killed/summary.json"),
        workshop.text("straight/summary.json")
    );
}

#[test]
fn a_study_that_is_terminated_has_its_trials_write_checkpoints_and_says_how_to_go_on() {
    let workshop = workshop();
    let study = [
        "cv",
        "own.yaml",
        "--holdout",
        "1",
        "--run",
        "study",
        "--progress",
        "none",
        "-s",
        "train.epochs=100000",
        "-s",
        "checkpoint.every=100000 epochs",
    ];
    let child = workshop.start(&study);
    let trial = workshop.path("study/split-00/metrics.jsonl");
    while std::fs::read(&trial).unwrap_or_default().len() < 2000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(asked.success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    // Nothing that was trained is lost: the newest checkpoint stands where the log ends.
    let log = workshop.text("study/split-00/metrics.jsonl");
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert!(workshop.json("study/split-00/last.json")["step"].as_u64() >= last["step"].as_u64());
}

#[test]
fn figures_of_a_trial_that_was_trained_on_are_taken_again() {
    let workshop = workshop();
    let study = [
        "cv",
        "own.yaml",
        "--folds",
        "3",
        "--run",
        "study",
        "-s",
        "checkpoint.metric=train.loss",
    ];
    workshop.signet(&study);
    let before = workshop.json("study/summary.json");
    workshop.signet(&["resume", "study/fold-01", "--epochs", "60"]);
    let listed = workshop
        .signet(&["runs", "list", "study/fold-01", "--json", "-"])
        .stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["test"], serde_json::Value::Null, "{listed}");
    workshop.signet(&study);
    let after = workshop.json("study/summary.json");
    let eval = workshop
        .signet(&["eval", "study/fold-01", "--json", "-"])
        .stdout;
    let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
    for fold in [0, 2] {
        assert_eq!(after["results"][fold], before["results"][fold]);
    }
    assert_eq!(after["results"][1]["loss"], eval["loss"]);
    assert_ne!(after["results"][1]["loss"], before["results"][1]["loss"]);
}
