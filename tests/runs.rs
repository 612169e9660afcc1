//! The promise of `signet runs`: what lies in a folder is listed as it is, laid side by side, and goes only where
//! the rules say so; and of `--until`, which leaves runs half done.

mod support;

use support::Workshop;

fn train(workshop: &Workshop, run: &str, more: &[&str]) {
    workshop.run(run).arguments(more).train();
}

#[test]
fn a_run_paused_after_an_epoch_goes_on_to_the_bits_of_one_that_never_paused() {
    let workshop = Workshop::small(30);
    train(&workshop, "straight", &[]);
    let answer = workshop
        .run("paused")
        .arguments(&["--until", "1", "--progress", "none"])
        .train();
    assert!(
        answer
            .stdout
            .starts_with("paused after epoch 1 (step 5); continue with `signet resume paused`"),
        "{}",
        answer.stdout
    );
    assert_eq!(workshop.text("paused/metrics.jsonl").lines().count(), 1);
    workshop.signet(&["resume", "paused", "--until", "2", "--progress", "none"]);
    assert_eq!(workshop.text("paused/metrics.jsonl").lines().count(), 2);
    workshop.signet(&["resume", "paused", "--progress", "none"]);
    assert_eq!(workshop.weights("paused"), workshop.weights("straight"));
    assert_eq!(
        workshop.read("paused/metrics.jsonl"),
        workshop.read("straight/metrics.jsonl")
    );
}

#[test]
fn a_folder_that_cannot_be_listed_is_an_error_and_no_empty_folder() {
    let workshop = Workshop::small(30);
    for (folder, verb) in [
        ("export", &["runs", "show", "r"][..]),
        ("tensorboard", &["resume", "r"]),
        ("checkpoints", &["resume", "r"]),
    ] {
        train(&workshop, "r", &["--until", "1"]);
        let _ = std::fs::remove_dir_all(workshop.path("r").join(folder));
        workshop.write(&format!("r/{folder}"), "a file where a folder should be");
        let words = format!("cannot list r/{folder}: Not a directory");
        workshop.call(verb).assert_failed(4, &words);
        std::fs::remove_dir_all(workshop.path("r")).unwrap();
    }
}

#[test]
fn runs_and_studies_are_listed_with_their_state_and_their_figures() {
    let workshop = Workshop::small(30);
    train(&workshop, "runs/whole", &[]);
    train(&workshop, "runs/half", &["--until", "1"]);
    train(&workshop, "runs/deeper/broken", &[]);
    for entry in std::fs::read_dir(workshop.path("runs/deeper/broken/checkpoints")).unwrap() {
        std::fs::write(entry.unwrap().path(), "no checkpoint").unwrap();
    }
    workshop.signet(&[
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "runs/study",
        "--progress",
        "none",
    ]);
    let listed = workshop.signet(&["runs", "list", "--json", "-"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let facts: Vec<(&str, &str)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let state = entry["state"].as_str().unwrap_or("study");
            (entry["path"].as_str().unwrap(), state)
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("runs/deeper/broken", "damaged"),
            ("runs/half", "unfinished"),
            ("runs/study", "study"),
            ("runs/whole", "complete")
        ]
    );
    // The metrics are those of the run's own log.
    let log = workshop.text("runs/whole/metrics.jsonl");
    let best = &listed[3]["best"];
    let record = log
        .lines()
        .nth(best["epoch"].as_u64().unwrap() as usize - 1)
        .unwrap();
    assert_eq!(
        *best,
        serde_json::from_str::<serde_json::Value>(record).unwrap()
    );
    let trial = &listed[2]["begun"][1];
    assert_eq!(
        trial["test"]["accuracy"],
        workshop.json("runs/study/summary.json")["results"][1]["accuracy"]
    );
    let csv = workshop
        .signet(&["runs", "list", "--trials", "--csv", "-"])
        .stdout;
    assert_eq!(csv.lines().count(), 1 + 4 + 2, "{csv}");
    assert!(
        csv.contains("\nruns/half,cnn,unfinished,1 of 3,1,"),
        "{csv}"
    );
    let shown = workshop.signet(&["runs", "show", "runs/half"]).stdout;
    assert!(
        shown.contains("state        unfinished, 1 of 3 epochs"),
        "{shown}"
    );
    assert!(
        shown.contains("images       36 train, 12 val, 12 test"),
        "{shown}"
    );
    workshop
        .call(&["runs", "show", "nowhere"])
        .assert_failed(4, "nowhere is no run and no study");
}

#[test]
fn studies_that_share_their_splits_are_compared_split_by_split() {
    let workshop = Workshop::small(30);
    let study = |run: &str, more: &[&str]| {
        let cv = [
            "cv",
            "own.yaml",
            "--holdout",
            "4",
            "--run",
            run,
            "--progress",
            "none",
        ];
        workshop.signet(&[&cv[..], more].concat());
    };
    study("a", &[]);
    study(
        "b",
        &["-s", "model.hidden=[]", "-s", "train.optimizer.lr=0.1"],
    );
    study("other", &["-s", "seed=7"]);
    let found = workshop
        .signet(&["runs", "compare", "a", "b", "other", "--json", "-"])
        .stdout;
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let settings: Vec<&str> = found["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| setting["key"].as_str().unwrap())
        .collect();
    assert_eq!(settings, ["model.hidden", "seed", "train.optimizer.lr"]);
    let accuracies = |run: &str| -> Vec<f64> {
        let summary = workshop.json(&format!("{run}/summary.json"));
        let results = summary["results"].as_array().unwrap().iter();
        results
            .map(|result| result["accuracy"].as_f64().unwrap())
            .collect()
    };
    let differences: Vec<f64> = accuracies("b")
        .iter()
        .zip(accuracies("a"))
        .map(|(b, a)| b - a)
        .collect();
    let mean = differences.iter().sum::<f64>() / 4.0;
    let paired = &found["figures"][1]["paired"];
    assert_eq!(paired["splits"], 4);
    assert!((paired["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    // Another seed deals other splits, so there is nothing to pair.
    assert_eq!(found["figures"][2]["paired"], serde_json::Value::Null);
    assert_eq!(found["figures"][0]["paired"], serde_json::Value::Null);
}

#[test]
fn gc_shows_what_the_rules_do_not_name_and_removes_it_only_when_told() {
    let workshop = Workshop::small(30);
    train(&workshop, "runs/own", &["-s", "checkpoint.keep_last=4"]);
    workshop.write(
        "runs/own/checkpoints/step-00000099.safetensors.damaged",
        "x",
    );
    workshop.write("runs/own/export/.unfinished-1.pt", "x");
    workshop.write("runs/own/notes.txt", "mine");
    let files = || {
        let entries = std::fs::read_dir(workshop.path("runs/own/checkpoints")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let before = files();
    let best = workshop.json("runs/own/best.json")["step"]
        .as_u64()
        .unwrap();
    let shown = workshop.signet(&["runs", "gc", "--keep-last", "1"]).stdout;
    assert!(shown.contains("add --yes to delete them"), "{shown}");
    assert_eq!(files(), before, "showing removes nothing");
    workshop.signet(&["runs", "gc", "--keep-last", "1", "--yes"]);
    let mut kept = vec![best, 15];
    kept.sort_unstable();
    kept.dedup();
    let kept: Vec<String> = kept
        .iter()
        .map(|step| format!("step-{step:08}.safetensors"))
        .collect();
    assert_eq!(files(), kept);
    assert!(!workshop.path("runs/own/export/.unfinished-1.pt").exists());
    assert_eq!(workshop.text("runs/own/notes.txt"), "mine");
    let again = workshop
        .signet(&["runs", "gc", "--keep-last", "1", "--yes"])
        .stdout;
    assert_eq!(again, "nothing to delete\n");
    workshop.signet(&["eval", "runs/own"]);
    workshop.signet(&["resume", "runs/own", "--epochs", "4", "--progress", "none"]);
}

#[test]
fn gc_leaves_a_run_in_use_alone() {
    let workshop = Workshop::small(30);
    let mut child = workshop
        .run("runs/busy")
        .set("train.epochs", 100000)
        .arguments(&["--progress", "none"])
        .start();
    while !workshop.path("runs/busy/best.json").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let answer = workshop.signet(&["runs", "gc", "--keep-last", "1", "--yes"]);
    assert!(
        answer
            .stderr
            .contains("not touched: runs/busy is in use by process"),
        "{}",
        answer.stderr
    );
    let listed = workshop.signet(&["runs", "list"]).stdout;
    assert!(listed.contains("running"), "{listed}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_folder_that_may_not_be_listed_is_named_and_not_taken_for_an_empty_one() {
    let workshop = Workshop::small(30);
    train(&workshop, "r", &["--until", "1"]);
    std::fs::create_dir(workshop.path("r/export")).unwrap();
    std::fs::create_dir(workshop.path("study")).unwrap();
    workshop.permit("", 0o755);
    let cv = ["cv", "own.yaml", "--holdout", "2", "--run", "study"];
    let cases: [(&str, u32, &[&str], i32, &str); 6] = [
        (
            "r/export",
            0o000,
            &["runs", "show", "r"],
            4,
            "cannot list r/export",
        ),
        (
            "r/export",
            0o000,
            &["runs", "list", "r"],
            0,
            "cannot list r/export",
        ),
        (
            "r/checkpoints",
            0o000,
            &["eval", "r"],
            4,
            "cannot list r/checkpoints",
        ),
        // Names can be read, and nothing else: there are checkpoints, and whoever may enter can use them.
        (
            "r/checkpoints",
            0o444,
            &["eval", "r"],
            4,
            "cannot look at r/checkpoints/step-",
        ),
        ("study", 0o000, &cv, 4, "cannot list study"),
        (
            "data",
            0o444,
            &["data", "info", "own.yaml"],
            3,
            "cannot look at data/0",
        ),
    ];
    for (folder, mode, call, code, words) in cases {
        workshop.permit(folder, mode);
        let answer = workshop.call_under_permissions(call);
        workshop.permit(folder, 0o755);
        let Some(answer) = answer else { return };
        assert!(
            answer.stderr.contains(": Permission denied"),
            "{}",
            answer.stderr
        );
        assert!(answer.stderr.contains(words), "{words}: {}", answer.stderr);
        assert_eq!(answer.code, code, "{}", answer.stderr);
    }
}
