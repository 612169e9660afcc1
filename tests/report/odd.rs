//! Runs that lack something, and are told of all the same.

use std::time::Instant;

use serde_json::Value;

use super::support::Workshop;
use super::{OWN, figure, workshop};

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
fn a_run_of_an_earlier_version_is_told_of() {
    let workshop = Workshop::new();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/run-0.2");
    let copied = std::process::Command::new("cp")
        .args(["-r", reference])
        .arg(workshop.path("old"))
        .status();
    assert!(copied.unwrap().success());
    workshop.signet(&["report", "old/run"]);
    let best = workshop.json("old/run/best.json")["record"].clone();
    let page = workshop.text("old/run/report.html");
    let loss = format!("{:.4}", best["train"]["loss"].as_f64().unwrap());
    let row = format!(
        "<th scope=\"row\">best</th><td>{}</td><td>{loss}</td>",
        best["epoch"]
    );
    assert!(page.contains(&row), "{row}");
}
