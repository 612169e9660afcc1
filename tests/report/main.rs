//! Promises about reports: what every run and study leaves to be looked at, and that nothing of it can spoil a training. What the
//! page does in a browser is tried in `tests/interop/pages.py`.

mod odd;
mod studies;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use support::Workshop;

const OWN: &str = "\
version: 1
name: own
threads: 1
data:
  source: {kind: class_folders, root: data}
  image: {height: 16, width: 16}
model: {kind: cnn, blocks: [{filters: 4}]}
train: {epochs: 3, batch_size: 8}
";

fn workshop() -> Workshop {
    let workshop = Workshop::with_folders(24);
    workshop.write("own.yaml", OWN);
    workshop
}

/// The names of the files in a folder, sorted.
fn names(workshop: &Workshop, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(workshop.path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// `stems` as SVG and PNG, sorted.
fn both(stems: &[&str]) -> Vec<String> {
    let both = stems
        .iter()
        .flat_map(|stem| [format!("{stem}.png"), format!("{stem}.svg")]);
    let mut both: Vec<String> = both.collect();
    both.sort();
    both
}

/// The value of a figure on the page of a run.
fn figure(page: &str, name: &str) -> String {
    let at = page
        .find(&format!("<dt>{name}"))
        .unwrap_or_else(|| panic!("no {name}"));
    let value = page[at..].split("<dd>").nth(1).unwrap();
    value.split("</dd>").next().unwrap().to_owned()
}

#[test]
fn every_run_leaves_plots_and_a_page_with_the_metrics_that_eval_prints() {
    let workshop = workshop();
    workshop.signet(&["train", "own.yaml", "--run", "run"]);
    let always = [
        "accuracy",
        "confusion",
        "filters",
        "learning-rate",
        "loss",
        "precision-recall",
        "reliability",
        "roc",
        "training-images",
    ];
    let found = names(&workshop, "run/plots");
    let wrong = workshop.text("run/report.html").contains("taken for <b>");
    let expected = if wrong {
        [&always[..], &["looked-at", "wrong"]].concat()
    } else {
        always.to_vec()
    };
    assert_eq!(found, both(&expected));
    let eval = workshop.signet(&["eval", "run", "--json", "-"]);
    let eval: Value = serde_json::from_str(&eval.stdout).unwrap();
    let page = workshop.text("run/report.html");
    let percent = |value: &Value| format!("{:.2}", 100.0 * value.as_f64().unwrap());
    let [low, high] = [0, 1].map(|end| percent(&eval["accuracy_interval"][end]));
    for (name, expected) in [
        ("accuracy, test part", percent(&eval["accuracy"]) + " %"),
        ("95 % Wilson interval", format!("{low} to {high} %")),
        ("loss", format!("{:.4}", eval["loss"].as_f64().unwrap())),
        (
            "balanced accuracy",
            percent(&eval["balanced_accuracy"]) + " %",
        ),
        ("macro F1", percent(&eval["macro_f1"]) + " %"),
    ] {
        assert_eq!(figure(&page, name), expected, "{name}");
    }
    // What somebody chose is marked, with what it is otherwise; what this machine settled is not.
    let row = |key: &str, rest: &str| format!("<th scope=\"row\">{key}</th>{rest}");
    for expected in [
        row("train.epochs", "<td><mark>3</mark></td><td>40</td>"),
        row("train.optimizer.lr", "<td>0.001</td><td></td>"),
        row("device", "<td>cpu</td><td></td>"),
    ] {
        assert!(page.contains(&expected), "{expected}");
    }
    for outside in ["http://", "https://", "src=\"/", "@import"] {
        let known = page.replace("http://www.w3.org/", "");
        assert!(!known.contains(outside), "{outside}");
    }
}

#[test]
fn a_run_is_the_same_with_a_report_and_without() {
    let workshop = workshop();
    workshop.signet(&["train", "own.yaml", "--run", "with"]);
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "without",
        "-s",
        "log.report=false",
    ]);
    for file in ["metrics.jsonl", "samples.jsonl"] {
        assert!(
            workshop.read(&format!("with/{file}")) == workshop.read(&format!("without/{file}")),
            "{file}"
        );
    }
    let pointer = |run: &str| -> Value {
        serde_json::from_str(&workshop.text(&format!("{run}/best.json"))).unwrap()
    };
    assert_eq!(
        pointer("with")["weights_sha256"],
        pointer("without")["weights_sha256"]
    );
    assert!(!workshop.path("without/plots").exists());
    assert!(!workshop.path("without/report.html").exists());
}

#[test]
fn a_report_that_cannot_be_written_is_said_and_spoils_nothing() {
    let workshop = workshop();
    workshop.signet(&["train", "own.yaml", "--run", "run", "--until", "2"]);
    workshop.write("run/plots", "a file where a folder should be");
    let answer = workshop.signet(&["resume", "run"]);
    assert!(
        answer
            .stderr
            .contains("signet: the report is not written: "),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.contains("`signet report run` writes it"),
        "{}",
        answer.stderr
    );
    workshop.signet(&["eval", "run"]);
    std::fs::remove_file(workshop.path("run/plots")).unwrap();
    workshop.signet(&["resume", "run"]); // there is nothing else left to do
    assert!(workshop.path("run/report.html").exists());
}

#[test]
fn a_folder_of_plots_keeps_what_signet_did_not_draw() {
    let workshop = workshop();
    workshop.signet(&["train", "own.yaml", "--run", "run"]);
    workshop.write("run/plots/notes.txt", "mine");
    workshop.write("run/plots/mine.png", "mine, too");
    workshop.write("run/plots/findings.svg", "<svg/>");
    workshop.signet(&["report", "run"]);
    assert_eq!(workshop.text("run/plots/notes.txt"), "mine");
    assert_eq!(workshop.text("run/plots/mine.png"), "mine, too");
    assert!(
        !workshop.path("run/plots/findings.svg").exists(),
        "nothing is found now"
    );
}

#[test]
fn a_training_that_goes_on_has_no_page_that_says_it_is_complete() {
    let workshop = workshop();
    workshop.signet(&["train", "own.yaml", "--run", "run"]);
    let more = [
        "resume", "run", "--epochs", "6", "--extend", "hold", "--until", "4",
    ];
    workshop.signet(&more);
    assert!(!workshop.path("run/report.html").exists());
    workshop.signet(&["resume", "run"]);
    assert!(workshop.text("run/report.html").contains("6 of 6 epochs"));
}

#[test]
fn what_is_no_run_or_cannot_be_written_is_said_in_a_line() {
    let workshop = workshop();
    workshop.call(&["report", "nowhere"]).assert_failed(
        4,
        "nowhere is no run and no study; `signet runs list` names those there are",
    );
    workshop.call(&["report"]).assert_failed(2, "required");
    workshop
        .call(&["train", "own.yaml", "--port", "8000"])
        .assert_failed(2, "--live");
    workshop.signet(&["train", "own.yaml", "--run", "run", "-s", "train.epochs=1"]);
    std::fs::create_dir(workshop.path("folder.html")).unwrap();
    let answer = workshop.call(&["report", "run", "--out", "folder.html"]);
    answer.assert_failed(4, "folder.html");
    assert!(json!(names(&workshop, "folder.html")) == json!([]));
}
