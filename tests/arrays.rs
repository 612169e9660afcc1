//! The promise of `--array K/N`: shares of a study, trained in any order, at the same time and by processes that know nothing
//! of each other, come to the study run at once.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use signet::run::checkpoints;
use support::{Answer, Workshop};

const SMALL: &str = "\
version: 1
name: small
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 20}
  image: {height: 16, width: 16}
model: {kind: ann, hidden: [8], dropout: 0.2}
train: {epochs: 2, batch_size: 8}
log: {report: false}
";

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", SMALL);
    workshop
}

/// `command`, split at blanks, in the folder `run`.
fn study<'c>(command: &'c str, run: &'c str) -> Vec<&'c str> {
    let more = ["--run", run, "--progress", "none"];
    command.split(' ').chain(more).collect()
}

fn share<'c>(command: &'c str, run: &'c str, share: &'c str) -> Vec<&'c str> {
    [study(command, run), vec!["--array", share]].concat()
}

/// Two studies found the same, by trials that ended with the same bits.
#[track_caller]
fn assert_equal(workshop: &Workshop, one: &str, other: &str) {
    for file in ["study.json", "summary.json", "summary.csv"] {
        let text = |study: &str| workshop.text(&format!("{study}/{file}"));
        assert_eq!(text(one), text(other), "{file}");
    }
    let study = workshop.json(&format!("{one}/study.json"));
    for trial in study["trials"].as_array().unwrap() {
        let trial = trial["name"].as_str().unwrap();
        let log = |study: &str| workshop.read(&format!("{study}/{trial}/metrics.jsonl"));
        assert_eq!(log(one), log(other), "{trial}");
        let newest = |study: &str| {
            let found = checkpoints::newest(&workshop.path(study).join(trial)).unwrap();
            found.checkpoint.tensors
        };
        let (one, other) = (newest(one), newest(other));
        assert!(one.keys().eq(other.keys()), "{trial}");
        for (name, tensor) in &one {
            assert!(tensor.equal(&other[name]), "{trial}: {name}");
        }
    }
}

/// What the logs of all trials of a study say, which grow with everything that is trained.
fn logs(workshop: &Workshop, study: &str) -> Vec<Vec<u8>> {
    let trials = workshop.json(&format!("{study}/study.json"))["trials"].clone();
    let trials = trials.as_array().unwrap().iter();
    let log = |trial: &serde_json::Value| {
        workshop.read(&format!("{study}/{}.log", trial["name"].as_str().unwrap()))
    };
    trials.map(log).collect()
}

#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!(answer.code, 0, "{}: {}", answer.call, answer.stderr);
}

const CV: &str = "cv own.yaml --folds 4";

#[test]
fn shares_in_any_order_train_their_trials_alone_and_the_same_command_without_them_collects() {
    let workshop = workshop();
    workshop.write("own.yaml", SMALL.replace("report: false", "report: true"));
    workshop.signet(&study(CV, "straight"));
    let begun = || -> Vec<bool> {
        let begun = |fold| workshop.path(&format!("shared/fold-0{fold}")).exists();
        (0..4).map(begun).collect()
    };
    workshop.signet(&share(CV, "shared", "2/3"));
    assert_eq!(begun(), [false, true, false, false]);
    let loud = format!("{CV} --run shared --array 1/3 -j 2");
    let answer = workshop.signet(&loud.split(' ').collect::<Vec<&str>>());
    assert_eq!(
        answer.stdout,
        "share 1/3 is done\nthe study has the results of 3 of its 4 trials; \
         when it has all, the same command without --array collects them\n"
    );
    let progress = "(2 of 2, mean accuracy";
    assert!(answer.stderr.contains(progress), "{}", answer.stderr);
    assert_eq!(begun(), [true, true, false, true]);
    // Again: nothing is left to do in it.
    let before = workshop.read("shared/fold-01.log");
    workshop.signet(&share(CV, "shared", "2/3"));
    assert_eq!(workshop.read("shared/fold-01.log"), before);
    let answer = workshop.signet(&share(CV, "shared", "3/3"));
    assert_eq!(
        answer.stdout,
        "share 3/3 is done\nthe study has all its results; \
         collect them with `signet cv own.yaml --folds 4 --run shared --progress none`\n"
    );
    for file in ["summary.json", "summary.csv", "report.html"] {
        assert!(!workshop.path(&format!("shared/{file}")).exists(), "{file}");
    }
    let trained = logs(&workshop, "shared");
    let answer = workshop.signet(&study(CV, "shared"));
    let summary = "4 trials: test accuracy ";
    assert!(answer.stdout.contains(summary), "{}", answer.stdout);
    assert_eq!(logs(&workshop, "shared"), trained);
    assert!(workshop.path("shared/report.html").exists());
    assert_equal(&workshop, "shared", "straight");
}

#[test]
fn shares_that_start_at_the_same_moment_begin_one_study_and_what_no_share_trains_the_last_call_does()
 {
    let workshop = workshop();
    let cv = "cv own.yaml --folds 3";
    workshop.signet(&study(cv, "straight"));
    for (run, shares) in [
        ("missing", &["1/3", "3/3"][..]),
        ("more", &["1/5", "2/5", "3/5", "4/5", "5/5"]),
    ] {
        let calls: Vec<Vec<&str>> = shares.iter().map(|number| share(cv, run, number)).collect();
        let answers = workshop.at_once(&calls);
        answers.iter().for_each(assert_done);
        for (number, answer) in shares.iter().zip(&answers).skip(3) {
            let empty = format!("share {number} is empty: the study has 3 trial(s)\n");
            assert!(answer.stdout.starts_with(&empty), "{}", answer.stdout);
        }
        workshop.signet(&study(cv, run));
        assert_equal(&workshop, run, "straight");
    }
}

#[test]
fn a_share_that_is_killed_or_terminated_goes_on_by_the_same_command() {
    let workshop = workshop();
    let cv = "cv own.yaml --folds 3 -s train.epochs=100";
    workshop.signet(&study(cv, "straight"));
    for wait in [300, 900] {
        let mut child = workshop.start(&share(cv, "shared", "1/2"));
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let started = workshop.start_heard(&share(cv, "shared", "2/2"));
    let begun = workshop.path("shared/fold-01/metrics.jsonl");
    while std::fs::read(&begun).unwrap_or_default().len() < 2000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    ask_to_stop(started.id());
    let Output { status, stderr, .. } = started.wait_with_output().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
    assert_eq!(
        String::from_utf8_lossy(&stderr),
        "signet: share 2/2 was stopped by SIGTERM; run the same command again to continue\n"
    );
    let again = ["2/2", "1/2"].map(|number| share(cv, "shared", number));
    workshop.at_once(&again).iter().for_each(assert_done);
    workshop.signet(&study(cv, "shared"));
    assert_equal(&workshop, "shared", "straight");
}

fn ask_to_stop(process: u32) {
    let asked = Command::new("kill")
        .args(["-TERM", &process.to_string()])
        .status();
    assert!(asked.unwrap().success());
}

const SWEEP: &str = "sweep sweep.yaml";

/// Eight trials, of which four go on after epoch 1, and two of those after epoch 2; the first point diverges.
fn halving() -> Workshop {
    let workshop = workshop();
    workshop.write("own.yaml", SMALL.replace("epochs: 2", "epochs: 4"));
    workshop.write(
        "sweep.yaml",
        "version: 1\nbase: own.yaml\nover:\n  train.optimizer:\n  - {kind: sgd, lr: 1.0e+30}\n  \
         - {kind: sgd, lr: 1.0e-1}\n  - {kind: adamw, lr: 1.0e-5}\n  - {kind: adamw, lr: 1.0e-2}\n\
         trials: {kind: seeds, seeds: [1, 2]}\nhalving: {factor: 2, min_epochs: 1}\n",
    );
    workshop
}

#[test]
fn shares_of_a_sweep_go_from_rung_to_rung_as_far_as_all_trials_are_there() {
    let workshop = halving();
    workshop.signet(&study(SWEEP, "straight"));
    let steps = [
        (
            "2/2",
            "rung 1 of 3 (to epoch 1) has the results of 4 of its 8 trials; when it has all, the same command goes on",
        ),
        (
            "1/2",
            "rung 2 of 3 (to epoch 2) has the results of 2 of its 4 trials; when it has all, the same command goes on",
        ),
        (
            "1/2",
            "rung 2 of 3 (to epoch 2) has the results of 2 of its 4 trials; when it has all, the same command goes on",
        ),
        (
            "2/2",
            "rung 3 of 3 (to epoch 4) has the results of 1 of its 2 trials; when it has all, the same command without --array collects them",
        ),
        (
            "1/2",
            "the study has all its results; collect them with `signet sweep sweep.yaml --run shared --progress none`",
        ),
        (
            "2/2",
            "the study has all its results; collect them with `signet sweep sweep.yaml --run shared --progress none`",
        ),
    ];
    for (number, expected) in steps {
        let answer = workshop.signet(&share(SWEEP, "shared", number));
        assert_eq!(
            answer.stdout,
            format!("share {number} is done\n{expected}\n")
        );
    }
    assert!(!workshop.path("shared/summary.json").exists());
    let trained = logs(&workshop, "shared");
    workshop.signet(&study(SWEEP, "shared"));
    assert_eq!(logs(&workshop, "shared"), trained);
    assert_equal(&workshop, "shared", "straight");
    let summary = workshop.json("shared/summary.json");
    assert_eq!(summary["points"][3]["value"], serde_json::Value::Null);
}

#[test]
fn shares_of_a_sweep_at_the_same_time_rank_its_points_as_one_call_does() {
    let workshop = halving();
    workshop.signet(&study(SWEEP, "straight"));
    let calls = ["1/3", "2/3", "3/3"].map(|number| share(SWEEP, "shared", number));
    let mut launches = 0;
    loop {
        let answers = workshop.at_once(&calls);
        answers.iter().for_each(assert_done);
        launches += 1;
        if answers
            .iter()
            .any(|answer| answer.stdout.contains("the study has all"))
        {
            break;
        }
        assert!(launches < 9, "it comes to no end: {}", answers[0].stdout);
    }
    workshop.signet(&study(SWEEP, "shared"));
    assert_equal(&workshop, "shared", "straight");
}

#[test]
fn shares_of_a_sweep_without_halving_are_those_of_one_rung() {
    let workshop = workshop();
    workshop.write(
        "sweep.yaml",
        "version: 1\nbase: own.yaml\nover:\n  model.hidden: [[4], [8], [16]]\n",
    );
    workshop.signet(&study(SWEEP, "straight"));
    let answer = workshop.signet(&share(SWEEP, "shared", "2/2"));
    let so_far = "the study has the results of 1 of its 3 trials; ";
    assert!(answer.stdout.contains(so_far), "{}", answer.stdout);
    workshop.signet(&share(SWEEP, "shared", "1/2"));
    workshop.signet(&study(SWEEP, "shared"));
    assert_equal(&workshop, "shared", "straight");
}

#[test]
fn what_is_no_share_is_refused_with_what_is_expected() {
    let workshop = workshop();
    let from_one = "K counts from 1 to N, here 1/4 to 4/4 (as in sbatch --array=1-4)";
    let shape = "expected the number of a share and how many there are, such as 1/4";
    for (word, expected) in [
        ("0/4", from_one),
        ("5/4", from_one),
        ("x", shape),
        ("3", shape),
        ("1/0", shape),
        ("-1/4", shape),
    ] {
        let array = format!("--array={word}");
        let answer = workshop.call(&[&study(CV, "new")[..], &[&array]].concat());
        answer.assert_failed(2, expected);
        answer.assert_failed(2, &format!("invalid value '{word}' for '--array <K/N>'"));
    }
    assert!(!workshop.path("new").exists());
}

#[test]
fn a_call_for_the_whole_study_and_shares_of_it_refuse_each_other_and_shares_do_not() {
    let workshop = workshop();
    let long = "cv own.yaml --holdout 1 -s train.epochs=100000";
    let begun = |run: &str| {
        let log = workshop.path(&format!("{run}/split-00/metrics.jsonl"));
        while std::fs::read(&log).unwrap_or_default().len() < 2000 {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let mut child = workshop.start(&share(long, "shared", "1/2"));
    begun("shared");
    workshop.call(&study(long, "shared")).assert_failed(
        4,
        "signet: shared is in use by an array of calls (--array K/N), which a call without --array cannot join; \
         wait for it, or stop it first",
    );
    let listed = workshop.signet(&["runs", "list", "shared"]).stdout;
    assert!(listed.contains("running, 0 of 1 trials"), "{listed}");
    // Another share comes and goes meanwhile, and waits for nobody.
    let answer = workshop.signet(&share(long, "shared", "2/2"));
    let so_far = "share 2/2 is empty: the study has 1 trial(s)\nthe study has the results of 0 of its 1 trials; ";
    assert!(answer.stdout.starts_with(so_far), "{}", answer.stdout);
    assert!(child.try_wait().unwrap().is_none());
    ask_to_stop(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(143));

    let mut child = workshop.start(&study(long, "whole"));
    begun("whole");
    workshop.call(&share(long, "whole", "2/2")).assert_failed(
        4,
        &format!(
            "signet: only calls with --array share a study: whole is in use by process {} (signet cv own.yaml ",
            child.id()
        ),
    );
    ask_to_stop(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_share_of_another_study_is_refused_and_changes_nothing() {
    let workshop = workshop();
    workshop.signet(&study("cv own.yaml --holdout 2", "known"));
    workshop.write("folder/notes.txt", "no study");
    let before = workshop.read("known/experiment.yaml");
    for (command, run, expected) in [
        (
            "cv own.yaml --holdout 2 -s train.epochs=3",
            "known",
            "known is a study of another experiment: train.epochs is 2 there, but 3 here",
        ),
        (
            "cv own.yaml --holdout 3",
            "known",
            "known is a study of other trials (2 of them)",
        ),
        (
            "cv own.yaml --holdout 2",
            "folder",
            "folder exists and is not a study",
        ),
    ] {
        workshop
            .call(&share(command, run, "1/2"))
            .assert_failed(4, expected);
    }
    assert_eq!(workshop.read("known/experiment.yaml"), before);
    // It is free for its own.
    workshop.signet(&study("cv own.yaml --holdout 2", "known"));
}

#[test]
fn a_share_with_a_trial_that_fails_says_so_and_the_others_count_it_as_missing() {
    let workshop = workshop();
    let failing = r#"cv own.yaml --holdout 3 -s train.optimizer={"kind":"sgd","lr":1.0e+30} --on-fail continue"#;
    let answer = workshop.call(&share(failing, "shared", "1/2"));
    answer.assert_failed(
        4,
        "signet: 2 trial(s) failed: split-00 ended with exit code 6: ",
    );
    assert_eq!(
        answer.stdout,
        "share 1/2 has trials that failed\nthe study has the results of 0 of its 3 trials; \
         when it has all, the same command without --array collects them\n"
    );
}

#[test]
fn each_share_reads_the_data_where_its_own_machine_has_it() {
    let workshop = Workshop::small(20);
    workshop.signet(&["data", "generate", "copy", "--images", "20", "--side", "24"]);
    let cv = "cv own.yaml --holdout 2 -s train.epochs=1";
    workshop.signet(&study(cv, "straight"));
    let copied = [
        share(cv, "shared", "2/2"),
        vec!["-s", "data.source.root=copy"],
    ]
    .concat();
    workshop
        .at_once(&[share(cv, "shared", "1/2"), copied])
        .iter()
        .for_each(assert_done);
    workshop.signet(&study(cv, "shared"));
    assert_equal(&workshop, "shared", "straight");
}

#[test]
fn the_script_for_slurm_trains_the_share_of_its_task() {
    let workshop = workshop();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/array.sbatch");
    let valid = Command::new("bash")
        .arg("-n")
        .arg(&script)
        .status()
        .unwrap();
    assert!(valid.success());
    let task = |variables: &[(&str, &str)]| -> (Option<i32>, String) {
        let output = Command::new("bash")
            .current_dir(workshop.path(""))
            .env("SIGNET", env!("CARGO_BIN_EXE_signet"))
            .envs(variables.iter().copied())
            .arg(&script)
            .args(study("cv own.yaml --folds 3", "shared"))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let id = "SLURM_ARRAY_TASK_ID";
    for (variables, code, expected) in [
        (
            &[(id, "2"), ("SLURM_ARRAY_TASK_MAX", "2")][..],
            0,
            "share 2/2 is done",
        ),
        (
            &[(id, "1"), ("SLURM_ARRAY_TASK_MAX", "1"), ("SHARES", "2")],
            0,
            "the study has all its results",
        ),
        (
            &[(id, "0"), ("SLURM_ARRAY_TASK_MAX", "3")],
            2,
            "K counts from 1 to N",
        ),
        (
            &[],
            1,
            "SLURM_ARRAY_TASK_ID: is not set; submit this with sbatch",
        ),
    ] {
        let (ended, said) = task(variables);
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    workshop.signet(&study("cv own.yaml --folds 3", "shared"));
}
