//! Promises about classes of different sizes: weights, balanced epochs, focal loss, and metrics that count classes alike.
//! Their numbers are held against PyTorch in `src/train/loss.rs` and against scikit-learn in `tests/interop/imbalance.py`.

mod support;

use support::Workshop;

/// Class 0 has 24 images, class 1 six, and all that is chance is on.
const UNEVEN: &str = "\
version: 1
name: uneven
threads: 1
data:
  source: {kind: class_folders, root: data}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}, {kind: noise}]
  split: {kind: stratified, train: 0.5, val: 0.25, test: 0.25}
model: {kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true, dropout: 0.2}
train:
  epochs: 4
  batch_size: 4
  sampling: balanced
  loss: {kind: focal, gamma: 1.5, class_weights: {\"1\": 2.5}}
  early_stopping: {metric: val.balanced_accuracy, patience: 10}
checkpoint: {every: 1 step, metric: val.macro_f1, keep_last: 1000}
export: {on_finish: false}
";

fn uneven() -> Workshop {
    let workshop = Workshop::with_folders(24);
    for image in 6..24 {
        std::fs::remove_file(workshop.path(&format!("data/1/{image:04}.png"))).unwrap();
    }
    workshop.write("own.yaml", UNEVEN);
    workshop
}

#[test]
fn a_run_of_balanced_epochs_resumes_exactly_from_the_middle_of_any_of_them() {
    let workshop = uneven();
    workshop.run("straight").train();
    let steps = |run: &str| -> Vec<String> {
        let entries = std::fs::read_dir(workshop.path(&format!("{run}/checkpoints"))).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("step-")).collect();
        names.sort();
        names
    };
    let all = steps("straight");
    // The start, and four steps of 4, 4, 4 and 3 images in each of four epochs.
    assert_eq!(all.len(), 17);
    for kept in [1, 5, 10, 15] {
        let run = format!("killed-{kept}");
        workshop.run(&run).train();
        for name in &all[kept..] {
            std::fs::remove_file(workshop.path(&format!("{run}/checkpoints/{name}"))).unwrap();
        }
        workshop.signet(&["resume", &run]);
        for file in [
            "metrics.jsonl",
            "metrics.csv",
            "samples.jsonl",
            "last.json",
            "best.json",
        ] {
            let of = |run: &str| workshop.text(&format!("{run}/{file}"));
            assert_eq!(of(&run), of("straight"), "killed after step {kept}: {file}");
        }
    }
}

#[test]
fn the_best_epoch_and_early_stopping_go_by_the_metric_that_was_asked_for() {
    let workshop = uneven();
    let said = workshop
        .run("run")
        .arguments(&["--progress", "plain"])
        .train();
    let records: Vec<serde_json::Value> = workshop
        .text("run/metrics.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let value = |record: &serde_json::Value, name: &str| record["val"][name].as_f64().unwrap();
    let best = workshop.json("run/best.json")["record"].clone();
    for record in &records {
        let [own, other] = [&best, record].map(|record| value(record, "macro_f1"));
        assert!(own >= other, "{best} is not above {record}");
        let shown = format!(" macro F1 {:6.2} %", 100.0 * value(record, "macro_f1"));
        assert!(said.stderr.contains(&shown), "{shown} in {}", said.stderr);
    }
    let columns = said.stdout.lines().next().unwrap().to_owned();
    assert!(columns.ends_with("val macro F1 %"), "{}", said.stdout);
    let header = workshop.text("run/metrics.csv");
    assert!(header.starts_with("epoch,step,lr,train_loss,train_accuracy,val_loss,val_accuracy,val_macro_f1,val_balanced_accuracy\n"));

    // With a learning rate of nothing no epoch is better than the first.
    let still = workshop
        .run("still")
        .set("train.optimizer", "{kind: sgd, lr: 1.0e-30}");
    still
        .set("train.early_stopping.patience", 2)
        .set("train.epochs", 9)
        .train();
    assert_eq!(workshop.text("still/metrics.jsonl").lines().count(), 3);
}

#[test]
fn settings_for_uneven_classes_that_cannot_be_are_refused_by_key() {
    let workshop = uneven();
    let cases = [
        (
            "train.loss={kind: cross_entropy, class_weights: {\"7\": 2}}",
            "train.loss.class_weights: \"7\" is not a class; there are 0, 1",
        ),
        (
            "train.loss={kind: cross_entropy, class_weights: {\"1\": 0}}",
            "train.loss.class_weights.1: expected a number above 0, found 0",
        ),
        (
            "train.loss={kind: cross_entropy, class_weights: even}",
            "train.loss.class_weights: even is not one of none, balanced",
        ),
        (
            "train.loss={kind: cross_entropy, class_weights: balanced}",
            "train.loss.class_weights: balanced weighs rare classes more, and so does train.sampling: balanced; use one of them",
        ),
        (
            "train.loss={kind: focal, label_smoothing: 0.1}",
            "train.loss.label_smoothing: not a key of kind focal",
        ),
        (
            "train.loss={kind: focal, gamma: -1}",
            "train.loss.gamma: expected a number from 0 to 10, found -1",
        ),
        (
            "train.sampling=even",
            "train.sampling: even is not one of natural, balanced",
        ),
        (
            "data.split={kind: stratified, train: 0.7, val: 0.0, test: 0.3}",
            "checkpoint.metric: val.macro_f1 needs a validation part",
        ),
    ];
    for (set, words) in cases {
        let call = ["train", "own.yaml", "--run", "refused", "-s", set];
        workshop.call(&call).assert_failed(2, words);
        assert!(!workshop.path("refused").exists(), "{set}");
    }
}

#[test]
fn a_run_goes_on_in_the_columns_that_an_earlier_version_gave_its_table() {
    let workshop = uneven();
    workshop.run("run").arguments(&["--until", "2"]).train();
    let table = workshop.text("run/metrics.csv");
    let narrow: Vec<String> = table
        .lines()
        .map(|line| line.split(',').take(7).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    // As long as the checkpoints say, so that nothing is cut off or missed.
    let padding = table.len() - narrow.concat().len();
    let last = narrow.last().unwrap().trim_end().to_owned() + &" ".repeat(padding) + "\n";
    workshop.write("run/metrics.csv", narrow[..2].concat() + &last);
    workshop.signet(&["resume", "run"]);
    let table = workshop.text("run/metrics.csv");
    assert_eq!(table.lines().count(), 5);
    for line in table.lines() {
        assert_eq!(line.split(',').count(), 7, "{line}");
    }
}
