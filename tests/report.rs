//! Promises about reports: what every run and study leaves to be looked at, and that nothing of it can spoil a training. What the
//! page does in a browser is tried in `tests/interop/pages.py`.

mod support;

use std::time::Instant;

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
fn a_run_whose_images_are_gone_is_told_of_from_its_logs() {
    let workshop = workshop();
    workshop.signet(&["train", "own.yaml", "--run", "run"]);
    std::fs::rename(workshop.path("data"), workshop.path("elsewhere")).unwrap();
    let whole = workshop.text("run/report.html");
    let answer = workshop.call(&["report", "run"]);
    answer.assert_failed(4, "run/report.html is there and may have been made with them, so it stays as it is; --out FILE writes one without them");
    answer.assert_failed(4, "the images are left out of the report: data.source.root");
    assert_eq!(workshop.text("run/report.html"), whole);
    workshop.signet(&["report", "run", "--out", "poorer.html"]);
    let page = workshop.text("poorer.html");
    assert!(page.contains("The images could not be looked at"));
    assert!(
        page.contains("accuracy, val part"),
        "samples.jsonl says what was made of the val part"
    );
    let val = workshop.json("run/best.json")["record"]["val"]["accuracy"]
        .as_f64()
        .unwrap();
    assert_eq!(
        figure(&page, "accuracy, val part"),
        format!("{:.2} %", 100.0 * val)
    );
    workshop.signet(&["report", "run", "-s", "data.source.root=elsewhere"]);
    assert!(
        workshop
            .text("run/report.html")
            .contains("accuracy, test part")
    );
}

#[test]
fn a_class_that_the_val_part_lacks_is_a_class_all_the_same() {
    let workshop = Workshop::with_folders(24);
    // Three images of another class, of which the val part gets none.
    for image in 0..3 {
        let [from, to] = [
            format!("data/0/{image:04}.png"),
            format!("data/10/{image:04}.png"),
        ];
        workshop.write(&to, workshop.read(&from));
    }
    workshop.write("own.yaml", OWN);
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "log.report=false",
    ]);
    std::fs::rename(workshop.path("data"), workshop.path("elsewhere")).unwrap();
    workshop.signet(&["report", "run"]);
    let page = workshop.text("run/report.html");
    assert!(page.contains("accuracy, val part"));
    assert!(!page.contains("area under ROC"), "that is for two classes");
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
fn what_is_odd_about_a_run_does_not_keep_it_from_being_told_of() {
    let workshop = workshop();
    let split = |val: f64, test: f64| {
        format!(
            "data.split={{kind: stratified, train: {}, val: {val}, test: {test}}}",
            1.0 - val - test
        )
    };
    let cases = [
        ("no-test", vec![split(0.25, 0.0)], "accuracy, val part"),
        ("no-val", vec![split(0.0, 0.25)], "accuracy, test part"),
        ("train-alone", vec![split(0.0, 0.0)], "accuracy, train part"),
        (
            "one-epoch",
            vec!["train.epochs=1".to_owned()],
            "1 of 1 epochs",
        ),
        (
            "no-samples",
            vec!["log.samples=none".to_owned()],
            "3 of 3 epochs",
        ),
        (
            "recurrent",
            vec!["model={kind: gru, hidden_size: 4}".to_owned()],
            "A gru with seed",
        ),
    ];
    for (run, settings, words) in cases {
        let mut arguments = vec!["train", "own.yaml", "--run", run];
        arguments.extend(settings.iter().flat_map(|setting| ["-s", setting.as_str()]));
        let answer = workshop.signet(&arguments);
        assert!(
            !answer.stderr.contains("report"),
            "{run}: {}",
            answer.stderr
        );
        assert!(
            workshop.text(&format!("{run}/report.html")).contains(words),
            "{run}"
        );
    }
    // A loss that is not finite is null in JSON.
    let mut lines: Vec<Value> = workshop
        .text("one-epoch/metrics.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines[0]["val"]["loss"] = Value::Null;
    workshop.write("one-epoch/metrics.jsonl", lines[0].to_string() + "\n");
    workshop.signet(&["report", "one-epoch"]);
    assert!(
        workshop
            .text("one-epoch/report.html")
            .contains("The loss of epoch 1 is not finite")
    );
    // Nothing has happened yet, but there is a checkpoint.
    for log in ["metrics.jsonl", "samples.jsonl", "timing.jsonl"] {
        std::fs::remove_file(workshop.path(&format!("one-epoch/{log}"))).unwrap();
    }
    workshop.signet(&["report", "one-epoch"]);
    assert!(
        workshop
            .text("one-epoch/report.html")
            .contains("No epoch has ended yet")
    );
}

#[test]
fn a_run_that_was_killed_in_mid_epoch_is_told_of_and_goes_on() {
    let workshop = workshop();
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "straight",
        "-s",
        "train.epochs=300",
        "-s",
        "log.report=false",
    ]);
    let mut child = workshop.start(&[
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "train.epochs=300",
    ]);
    while workshop.call(&["runs", "show", "run"]).code != 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    workshop.signet(&["report", "run"]);
    assert!(workshop.text("run/report.html").contains("of 300 epochs"));
    workshop.signet(&["resume", "run"]);
    assert!(workshop.read("run/metrics.jsonl") == workshop.read("straight/metrics.jsonl"));
    assert!(
        workshop
            .text("run/report.html")
            .contains("300 of 300 epochs")
    );
}

#[test]
fn a_thousand_classes_have_a_page_that_a_browser_can_hold() {
    let workshop = Workshop::new();
    let classes = 1000;
    let mut table = "path,label\n".to_owned();
    for class in 0..classes {
        for image in 0..4u32 {
            let pixel = image::Luma([(class * 31 + image as usize * 7) as u8]);
            let picture = image::GrayImage::from_fn(8, 8, |x, y| {
                if (x + y + image) % 3 == 0 {
                    pixel
                } else {
                    image::Luma([(class % 256) as u8])
                }
            });
            let name = format!("images/{class}-{image}.png");
            std::fs::create_dir_all(workshop.path("images")).unwrap();
            picture.save(workshop.path(&name)).unwrap();
            table += &format!("{name},class {class}\n");
        }
    }
    workshop.write("list.csv", table);
    workshop.write(
        "own.yaml",
        "version: 1\ndata:\n  source: {kind: table, file: list.csv}\n  image: {height: 8, width: 8}\n  split: {kind: stratified, train: 0.5, val: 0.25, test: 0.25}\nmodel: {kind: ann}\ntrain: {epochs: 1, batch_size: 64}\n",
    );
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "log.report=false",
    ]);
    let began = Instant::now();
    workshop.signet(&["report", "run"]);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    let page = workshop.text("run/report.html");
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
    assert!(page.contains("1000 classes are too many for a table of cells"));
}

#[test]
fn studies_have_a_page_and_their_trials_have_one_when_they_are_asked_for() {
    let workshop = workshop();
    workshop.signet(&["cv", "own.yaml", "--folds", "3", "--run", "cv"]);
    let found = names(&workshop, "cv/plots");
    for plot in both(&[
        "accuracy-by-trial",
        "accuracy-distribution",
        "val-accuracy",
        "val-loss",
    ]) {
        assert!(found.contains(&plot), "{plot}");
    }
    let summary: Value = serde_json::from_str(&workshop.text("cv/summary.json")).unwrap();
    let mean = format!("{:.2}", 100.0 * summary["mean"].as_f64().unwrap());
    assert!(figure(&workshop.text("cv/report.html"), "test accuracy, 3 trials").starts_with(&mean));
    assert!(!workshop.path("cv/fold-00/report.html").exists());
    workshop.signet(&["report", "cv/fold-00"]);
    assert!(workshop.path("cv/fold-00/report.html").exists());

    workshop.write("lr.yaml", "version: 1\nbase: own.yaml\nover: {train.optimizer.lr: [0.001, 0.01, 0.1], model.hidden: [[4], [8]]}\n");
    workshop.signet(&["sweep", "lr.yaml", "--run", "sweep"]);
    let found = names(&workshop, "sweep/plots");
    for plot in both(&[
        "val-accuracy-by-train-optimizer-lr",
        "val-accuracy-by-model-hidden",
    ]) {
        assert!(found.contains(&plot), "{plot} of {found:?}");
    }
}

#[test]
fn runs_side_by_side_have_the_comparison_that_runs_compare_prints() {
    let workshop = workshop();
    for (run, lr) in [("a", "0.001"), ("b", "0.01")] {
        let lr = format!("train.optimizer.lr={lr}");
        workshop.signet(&["cv", "own.yaml", "--folds", "3", "--run", run, "-s", &lr]);
    }
    workshop.signet(&["report", "a", "b", "--out", "both.html"]);
    let page = workshop.text("both.html");
    let printed = workshop.signet(&["runs", "compare", "a", "b"]).stdout;
    let sentence = printed
        .lines()
        .find(|line| line.starts_with("b minus a"))
        .unwrap();
    assert!(page.contains(sentence), "{sentence}");
    assert!(page.contains("train.optimizer.lr"));
}

#[test]
fn a_run_of_an_earlier_version_is_told_of() {
    let workshop = Workshop::new();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/run-0.2");
    let copied = std::process::Command::new("cp")
        .args(["-r", reference])
        .arg(workshop.path("old"))
        .status();
    assert!(copied.unwrap().success());
    workshop.signet(&["report", "old/run"]);
    assert!(workshop.text("old/run/report.html").contains("epochs"));
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
