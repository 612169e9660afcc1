//! The promise of resuming: stop anywhere, by whatever means, go on, and end with the same bits.

mod changes;
mod damage;
mod interruptions;
mod proofs;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use signet::run::checkpoint::Checkpoint;
use support::Workshop;

/// Everything that could make a resumed run differ is on: dropout, batch norm, augmentation, AdamW, a
/// schedule that depends on the length, a short last batch, early stopping that waits, checkpoints in
/// mid-epoch.
const DEMANDING: &str = "\
version: 1
name: demanding
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 20}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}, {kind: rotate}, {kind: trivial_augment}, {kind: noise}, {kind: mixup}, {kind: cutmix}]
model: {kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true, dropout: 0.3}
train:
  epochs: 12
  batch_size: 6
  schedule: {kind: cosine, warmup_epochs: 2}
  clip_grad_norm: 1.0
  early_stopping: {metric: val.loss, patience: 50}
checkpoint: {every: 3 steps}
";

fn demanding() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", DEMANDING);
    workshop
}

/// The same experiment, never interrupted, in `straight`.
fn straight(workshop: &Workshop) {
    workshop.run("straight").train();
}

fn assert_same_end(workshop: &Workshop, run: &str) {
    for log in ["metrics.jsonl", "metrics.csv"] {
        assert_eq!(
            workshop.text(&format!("{run}/{log}")),
            workshop.text(&format!("straight/{log}")),
            "{run}/{log}"
        );
    }
    assert_eq!(workshop.weights(run), workshop.weights("straight"), "{run}");
    let best = |run: &str| workshop.json(&format!("{run}/best.json"))["weights_sha256"].clone();
    assert_eq!(best(run), best("straight"), "{run}: best");
}

/// The checkpoints of a run, oldest first.
fn checkpoints(workshop: &Workshop, run: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workshop.path(run).join("checkpoints")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "safetensors"));
    files.sort();
    files
}

/// Stops a run of `own.yaml` after some epochs, as a user would with Ctrl-C.
fn interrupted(workshop: &Workshop, run: &str) {
    let mut child = workshop
        .run(run)
        .set("train.epochs", 2000)
        .set("train.schedule.kind", "constant")
        .set("train.early_stopping.patience", 100000)
        .start();
    let log = workshop.path(run).join("metrics.jsonl");
    wait_until(|| std::fs::metadata(&log).is_ok_and(|found| found.len() > 0));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// A run of `own.yaml` as it would be when killed after `epoch`: made from a whole one.
fn interrupted_at(workshop: &Workshop, run: &str, epoch: usize) {
    workshop.run(run).set("checkpoint.keep_last", 1000).train();
    for file in checkpoints(workshop, run) {
        if Checkpoint::load(&file).unwrap().document.progress.epoch > epoch + 1 {
            std::fs::remove_file(file).unwrap();
        }
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}
