//! The promise of training on many processes: the bits of a run do not depend on how many there are.

mod bad_input;
mod faults;
mod sittings;
#[path = "../support/mod.rs"]
mod support;
mod together;

use signet::run::checkpoint::Checkpoint;
use signet::run::checkpoints;
use support::Workshop;
use together::train;

/// Everything that could tell one number of processes from another is on: dropout, augmentation that mixes images, weights of
/// classes, a short last batch, the train part evaluated, checkpoints in mid-epoch.
const DEMANDING: &str = "\
version: 1
name: demanding
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 120}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}, {kind: noise}, {kind: mixup}]
model: {kind: cnn, blocks: [{filters: 4, pool: 2}], hidden: [8], batch_norm: true, dropout: 0.3}
train:
  epochs: 2
  batch_size: 44
  shards: 8
  schedule: {kind: cosine, warmup_epochs: 1}
  loss: {kind: cross_entropy, label_smoothing: 0.1, class_weights: balanced}
  clip_grad_norm: 1.0
checkpoint: {every: 3 steps, keep_last: 2}
log: {samples: all, report: false}
";

/// Every kind with settings of its own, and with one of the optimisers.
const KINDS: [(&str, &str, &str); 6] = [
    (
        "ann",
        "model={kind: ann, hidden: [12], dropout: 0.2}",
        "train.optimizer={kind: sgd, lr: 0.05}",
    ),
    (
        "dnn",
        "model={kind: dnn, hidden: [12, 8], batch_norm: true, dropout: 0.2}",
        "train.optimizer={kind: adam, lr: 0.01}",
    ),
    (
        "cnn",
        "model={kind: cnn, blocks: [{filters: 4, pool: 2}], hidden: [8], batch_norm: true, dropout: 0.3}",
        "train.optimizer={kind: adamw, lr: 0.01}",
    ),
    (
        "rnn",
        "model={kind: rnn, hidden_size: 6, num_layers: 2, dropout: 0.2}",
        "train.optimizer={kind: rmsprop, lr: 0.01, momentum: 0.5}",
    ),
    (
        "lstm",
        "model={kind: lstm, hidden_size: 6, num_layers: 2, dropout: 0.2}",
        "train.optimizer={kind: sgd, lr: 0.05, momentum: 0.9, nesterov: true}",
    ),
    (
        "gru",
        "model={kind: gru, hidden_size: 6, bidirectional: true, dropout: 0.2}",
        "train.optimizer={kind: adamw, lr: 0.01, weight_decay: 0.1}",
    ),
];

fn demanding() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", DEMANDING);
    workshop
}

/// The tensors of the newest checkpoint: weights, statistics and moments.
fn newest(workshop: &Workshop, run: &str) -> Checkpoint {
    let found = checkpoints::newest(&workshop.path(run)).unwrap();
    found.checkpoint
}

/// Both runs have told the same, and ended with the same bits.
#[track_caller]
fn assert_same(workshop: &Workshop, run: &str, other: &str) {
    for log in ["metrics.jsonl", "metrics.csv", "samples.jsonl"] {
        let [one, two] = [run, other].map(|run| workshop.text(&format!("{run}/{log}")));
        assert!(one == two, "{log} of {run} and {other}: {one} {two}");
    }
    let [one, two] = [run, other].map(|run| newest(workshop, run));
    assert_eq!(one.document.progress, two.document.progress);
    assert_eq!(
        one.tensors.keys().collect::<Vec<_>>(),
        two.tensors.keys().collect::<Vec<_>>()
    );
    for (name, tensor) in &one.tensors {
        let other = &two.tensors[name];
        assert!(tensor.equal(other), "{name} of {run}: {tensor:?} {other:?}");
    }
}

#[test]
fn every_kind_ends_with_the_same_bits_on_1_2_4_and_8_processes() {
    let workshop = demanding();
    for (kind, model, optimizer) in KINDS {
        let on = |world: usize| {
            let run = format!("{kind}-{world}");
            let set = ["-s", model, "-s", optimizer, "--run", &run];
            train(
                &workshop,
                world,
                &[&["train", "own.yaml"][..], &set].concat(),
            );
            run
        };
        let one = on(1);
        for world in [2, 4, 8] {
            assert_same(&workshop, &on(world), &one);
        }
    }
}

#[test]
fn any_number_of_processes_that_divides_the_shards_gives_the_same_bits() {
    let workshop = demanding();
    let set = [
        "-s",
        "train.shards=6",
        "-s",
        "train.accumulate=2",
        "-s",
        "train.batch_size=21",
    ];
    for world in ["1", "2", "3", "6"] {
        let arguments = [&["train", "own.yaml", "--run", world][..], &set].concat();
        train(&workshop, world.parse().unwrap(), &arguments);
        assert_same(&workshop, world, "1");
    }
}

#[test]
fn a_run_without_shards_is_cut_for_its_first_processes_and_later_gone_on_with_by_one() {
    let workshop = demanding();
    let set = ["-s", "train.shards=auto", "--run"];
    let arguments = |run| [&["train", "own.yaml"][..], &set, &[run]].concat();
    train(&workshop, 2, &arguments("two"));
    assert!(workshop.text("two/resolved.yaml").contains("shards: 2"));
    let one = ["train", "own.yaml", "-s", "train.shards=2", "--run", "one"];
    workshop.signet(&one);
    assert_same(&workshop, "two", "one");
    workshop.signet(&arguments("alone"));
    assert!(workshop.text("alone/resolved.yaml").contains("shards: 1"));
    assert_ne!(
        workshop.text("alone/metrics.jsonl"),
        workshop.text("one/metrics.jsonl")
    );
}

/// A launcher that starts one process is none.
#[test]
fn one_process_under_a_launcher_is_one_without() {
    let workshop = demanding();
    train(&workshop, 1, &["train", "own.yaml", "--run", "launched"]);
    workshop.signet(&["train", "own.yaml", "--run", "alone"]);
    assert_same(&workshop, "launched", "alone");
}

/// Sums of one number of processes are repeated; those of another are near, and not the same.
#[test]
fn flat_sums_are_the_same_for_the_same_number_of_processes() {
    let workshop = demanding();
    let set = ["-s", "train.reduction=flat", "-s", "train.shards=auto"];
    let on = |world: usize, run: &str| {
        let arguments = [&["train", "own.yaml", "--run", run][..], &set].concat();
        train(&workshop, world, &arguments);
    };
    on(4, "four");
    on(4, "again");
    on(1, "one");
    assert_same(&workshop, "four", "again");
    let loss = |run: &str| {
        let text = workshop.text(&format!("{run}/metrics.jsonl"));
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        first["train"]["loss"].as_f64().unwrap()
    };
    assert_ne!(loss("four"), loss("one"));
}

/// Where nothing is drawn and no statistics are of a batch, flat sums are those of one process but for their rounding.
#[test]
fn flat_sums_are_those_of_the_whole_batch() {
    let workshop = demanding();
    let set = [
        "-s",
        "train.reduction=flat",
        "-s",
        "train.shards=auto",
        "-s",
        "model={kind: ann, hidden: [8], dropout: 0, activation: tanh}",
        "-s",
        "data.augment=[]",
    ];
    let on = |world: usize, run: &str| {
        let arguments = [&["train", "own.yaml", "--run", run][..], &set].concat();
        train(&workshop, world, &arguments);
        newest(&workshop, run).tensors
    };
    let (one, four) = (on(1, "one"), on(4, "four"));
    for (name, tensor) in one
        .iter()
        .filter(|(name, _)| !name.starts_with("optimizer."))
    {
        let difference = (tensor - &four[name]).abs().max().double_value(&[]);
        // Four steps of Adam at a rate of 0.001, whose gradients differ in their last bits.
        assert!(difference < 1e-5, "{name} differs by {difference}");
    }
}

#[test]
fn images_that_are_streamed_give_the_same_bits_on_any_number_of_processes() {
    let workshop = Workshop::small(24);
    let set = [
        "-s",
        "data.residency=stream",
        "-s",
        "data.cache=none",
        "-s",
        "train.shards=4",
        "-s",
        "train.batch_size=14",
        "-s",
        "log.report=false",
    ];
    for world in [1, 2, 4] {
        let run = world.to_string();
        let arguments = [&["train", "own.yaml", "--run", &run][..], &set].concat();
        train(&workshop, world, &arguments);
        assert_same(&workshop, &run, "1");
    }
}

#[test]
fn weights_to_begin_with_are_those_that_the_first_process_finds() {
    let workshop = demanding();
    workshop.signet(&["train", "own.yaml", "--run", "first", "-s", "seed=7"]);
    let set = ["-s", "train.init_from=first", "--run"];
    for (world, run) in [(1, "one"), (2, "two")] {
        let arguments = [&["train", "own.yaml"][..], &set, &[run]].concat();
        train(&workshop, world, &arguments);
    }
    assert_same(&workshop, "two", "one");
}

/// A study trains its trials one process each, whoever started it.
#[test]
fn trials_of_a_study_are_trained_by_themselves_also_under_a_launcher() {
    let workshop = demanding();
    let study = ["cv", "own.yaml", "--holdout", "2", "--run", "study"];
    let answer = workshop.call_under(&[("WORLD_SIZE", "2"), ("RANK", "0")], &study);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(workshop.path("study/summary.json").exists());
}
