//! Reports of studies, and of several runs side by side.

use serde_json::Value;

use super::{both, figure, names, workshop};

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
