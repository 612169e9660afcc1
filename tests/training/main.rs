//! What a training promises: the same bits for the same seed, evidence that agrees with itself, and
//! models that can learn.

mod evidence;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;

use signet::config::Experiment;
use signet::config::document::Document;
use signet::data::split::Part;
use signet::distributed::Ranks;
use signet::model::layer::Phase;
use signet::model::plan::check;
use signet::run::logs;
use signet::run::samples::SampleRecord;
use signet::run::session::Session;
use signet::train::metrics::{self, Metrics};
use signet::train::optimizer::Optimizer;
use signet::train::trainer::Pause;
use support::{SMALL, Workshop};
use tch::Tensor;

/// libtorch has one generator for the whole process, so tests that train in this process take turns.
static GENERATOR: Mutex<()> = Mutex::new(());

fn session(yaml: &str) -> Session {
    let document = Document::parse("test".into(), yaml.into(), &[]).unwrap();
    let experiment = Experiment::from_document(&document, Path::new("test.yaml"), &[check])
        .unwrap_or_else(|e| panic!("{e}"));
    Session::open(experiment, Rc::new(Ranks::alone())).unwrap()
}

fn train(session: &Session) -> Metrics {
    let trainer = session.trainer();
    trainer
        .run(&mut trainer.begin(), &mut [], &Pause::when(&|_| false))
        .unwrap();
    let (data, part) = (&session.data, &session.split.train);
    let logits = metrics::logits(&session.network, data, part).unwrap();
    metrics::evaluate(&logits, &data.index.labels_of(part)).unwrap()
}

fn equal(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> bool {
    a.len() == b.len() && a.iter().all(|(name, tensor)| tensor.equal(&b[name]))
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_does_not() {
    let workshop = Workshop::with_folders(20);
    workshop.write(
        "own.yaml",
        SMALL.replace(
            "model:",
            "  augment: [{kind: shift}, {kind: rotate}, {kind: noise}]\nmodel:",
        ),
    );
    for (run, seed) in [("a", "seed=1"), ("b", "seed=1"), ("c", "seed=2")] {
        workshop.run(run).arguments(&["-s", seed]).train();
    }
    // The pointers hold the digest of the weights.
    let files = [
        "metrics.jsonl",
        "metrics.csv",
        "split.json",
        "best.json",
        "last.json",
    ];
    for file in files {
        assert!(
            workshop.read(&format!("a/{file}")) == workshop.read(&format!("b/{file}")),
            "{file} differs"
        );
        assert!(
            workshop.read(&format!("a/{file}")) != workshop.read(&format!("c/{file}")),
            "{file} ignores the seed"
        );
    }
}

#[test]
fn every_kind_of_model_learns_eight_images_by_heart() {
    let _turn = GENERATOR.lock();
    let models = [
        "{kind: ann, hidden: [], output: binary}",
        "{kind: ann, hidden: [16]}",
        "{kind: dnn, hidden: [16, 8], batch_norm: true}",
        "{kind: cnn, blocks: [{filters: 8}], hidden: [16]}",
        "{kind: rnn, hidden_size: 24}",
        "{kind: lstm, hidden_size: 24, sequence: columns, pooling: mean}",
        "{kind: gru, hidden_size: 24, sequence: patches, patch_px: 4, bidirectional: true, num_layers: 2}",
        "{kind: layers, layers: [{kind: conv2d, filters: 4}, {kind: activation, function: gelu}, {kind: flatten}, {kind: linear}]}",
        "{kind: layers, layers: [{kind: conv2d, filters: 4}, {kind: residual, body: [{kind: conv2d, filters: 8, stride: 2}, {kind: activation}, {kind: conv2d, filters: 8}], shortcut: [{kind: conv2d, filters: 8, kernel: 1, stride: 2}]}, {kind: flatten}, {kind: linear}]}",
    ];
    for model in models {
        let session = session(&format!(
            "version: 1\nthreads: 1\ndevice: cpu\n\
             data: {{source: {{kind: generated, pictures: 4}}, image: {{height: 16, width: 16}}, split: {{train: 1, val: 0, test: 0}}}}\n\
             model: {model}\ntrain: {{epochs: 150, batch_size: full, optimizer: {{kind: adamw, lr: 0.01}}}}\n"
        ));
        let metrics = train(&session);
        assert!(
            metrics.accuracy == 1.0 && metrics.loss < 0.1,
            "{model}: {metrics:?}"
        );
    }
}

#[test]
fn bf16_learns_too_and_keeps_f32_weights() {
    let _turn = GENERATOR.lock();
    let session = session(
        "version: 1\nthreads: 1\ndevice: cpu\n\
         data: {source: {kind: generated, pictures: 4}, image: {height: 16, width: 16}, split: {train: 1, val: 0, test: 0}}\n\
         model: {kind: cnn, blocks: [{filters: 8}], hidden: [16]}\n\
         train: {epochs: 100, batch_size: full, optimizer: {kind: adamw, lr: 0.01}, precision: bf16}\n",
    );
    let before = session.network.state();
    let metrics = train(&session);
    assert!(metrics.accuracy == 1.0 && metrics.loss < 0.1, "{metrics:?}");
    let after = session.network.state();
    assert!(!equal(&before, &after));
    assert!(
        after
            .values()
            .all(|tensor| tensor.kind() == tch::Kind::Float)
    );
}

#[test]
fn dropout_follows_the_mode_between_recurrent_layers_too() {
    let _turn = GENERATOR.lock();
    for model in [
        "{kind: cnn, dropout: 0.5}",
        "{kind: lstm, num_layers: 2, dropout: 0.5}",
        "{kind: gru, num_layers: 2, dropout: 0.5}",
        "{kind: rnn, num_layers: 2, dropout: 0.5}",
    ] {
        let session = session(&format!(
            "version: 1\ndevice: cpu\ndata: {{source: {{kind: generated, pictures: 10}}}}\nmodel: {model}\ntrain: {{batch_size: full}}\n"
        ));
        let x = session.data.pixels.levels(&[0, 1, 2]).unwrap();
        let twice = |mode| [(); 2].map(|()| tch::no_grad(|| session.network.forward(&x, mode)));
        let [a, b] = twice(Phase::Eval);
        assert!(a.equal(&b), "{model} drops in evaluation");
        let [a, b] = twice(Phase::Train);
        assert!(!a.equal(&b), "{model} does not drop in training");
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_no_weight_under_any_optimiser() {
    let _turn = GENERATOR.lock();
    for optimizer in [
        "{kind: sgd, momentum: 0.9}",
        "{kind: sgd}",
        "{kind: adam}",
        "{kind: adamw}",
        "{kind: rmsprop, momentum: 0.9}",
        "{kind: rmsprop}",
    ] {
        let session = session(&format!(
            "version: 1\ndevice: cpu\ndata: {{source: {{kind: generated, pictures: 10}}}}\nmodel: {{kind: ann}}\ntrain: {{batch_size: full, optimizer: {optimizer}}}\n"
        ));
        let settings = session.experiment.train.optimizer.clone();
        let (names, parameters) = session.network.trained();
        let mut optimizer_ = Optimizer::new(settings, Some(1.0), names, parameters);
        optimizer_.set_lr(0.01);
        let x = session.data.pixels.levels(&[0, 15]).unwrap();
        let y = Tensor::from_slice(&session.data.index.labels_of(&[0, 15]));
        let mut step = |scale: f64| {
            let before = session.network.state();
            let loss = session
                .network
                .forward(&x, Phase::Train)
                .cross_entropy_for_logits(&y)
                * scale;
            loss.backward();
            let gradients = optimizer_.take_gradients().unwrap();
            optimizer_.step(&gradients, &loss).unwrap();
            !equal(&before, &session.network.state())
        };
        assert!(step(1.0), "{optimizer}: a finite step moves weights");
        assert!(!step(f64::NAN), "{optimizer}: a NaN moves none");
        assert!(!step(1.0), "{optimizer}: nor does any step after it");
    }
}

#[test]
fn early_stopping_ends_a_run_that_gets_no_better() {
    let workshop = Workshop::small(20);
    // A rate so small that nothing changes: the first epoch stays the best.
    let overrides = [
        "-s",
        "train.optimizer={kind: sgd, lr: 1.0e-30}",
        "-s",
        "train.early_stopping={metric: val.accuracy, patience: 2}",
    ];
    let answer = workshop
        .run("r")
        .set("train.epochs", 50)
        .set("model.batch_norm", false)
        .arguments(&overrides)
        .train();
    assert_eq!(workshop.text("r/metrics.jsonl").lines().count(), 3);
    assert!(
        answer.stdout.contains("stopped early after 3 of 50 epochs"),
        "{}",
        answer.stdout
    );
}

#[test]
fn generated_signs_are_too_hard_for_logistic_regression_and_not_for_a_small_cnn() {
    let workshop = Workshop::new();
    let accuracy = |model: &str, epochs: usize| {
        let name = if model.contains("ann") {
            "linear"
        } else {
            "cnn"
        };
        workshop.write(
            "own.yaml",
            format!(
                "version: 1\nthreads: 1\ndata:\n  source: {{kind: generated, pictures: 600}}\n  augment: [{{kind: shift}}, {{kind: flip_horizontal}}]\n\
                 model: {model}\ntrain: {{epochs: {epochs}, schedule: {{kind: cosine, warmup_epochs: 1}}}}\n"
            ),
        );
        workshop.run(name).train();
        let json = workshop.signet(&["eval", name, "--json", "-"]).stdout;
        let found: serde_json::Value = serde_json::from_str(&json).unwrap();
        found["accuracy"].as_f64().unwrap()
    };
    let linear = accuracy("{kind: ann, hidden: []}", 30);
    let cnn = accuracy(
        "{kind: cnn, blocks: [{filters: 8, kernel: 5, pool: 4}, {filters: 16, pool: 4}], hidden: [], batch_norm: true}",
        30,
    );
    assert!(linear < 0.99, "logistic regression reaches {linear}");
    assert!(cnn >= 0.99, "a small CNN reaches {cnn}");
}

#[test]
fn every_shipped_experiment_parses_builds_and_computes_a_batch() {
    let _turn = GENERATOR.lock();
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("configs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == Path::new("configs/data") {
                // What experiments extend, and none by themselves.
            } else if path.is_dir() {
                folders.push(path)
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                found.push(path)
            }
        }
    }
    assert_eq!(found.len(), 16, "{found:?}");
    for file in found {
        let text = std::fs::read_to_string(&file).unwrap();
        let command = format!("#     signet train {}\n", file.display());
        assert!(
            text.contains(&command),
            "{} does not open with its own command",
            file.display()
        );
        let mut overrides = vec![
            "data.source={kind: generated, pictures: 100}".to_owned(),
            // Drawn signs come in an order and a shape of their own.
            "data.order=name".to_owned(),
            "data.image.preprocess=plain".to_owned(),
            "train.batch_size=full".to_owned(),
            "train.init_from=null".to_owned(),
        ];
        if file.ends_with("ten-digits.yaml") {
            overrides.push("data.classes=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]".to_owned());
        }
        let experiment = Experiment::load(&file, &overrides, &[check])
            .unwrap_or_else(|problems| panic!("{problems}"));
        let session = Session::open(experiment, Rc::new(Ranks::alone())).unwrap();
        let x = session.data.pixels.levels(&[0, 1, 2, 3]).unwrap();
        let logits = session.network.forward(&x, Phase::Train);
        assert_eq!(
            logits.size(),
            [4, session.data.index.classes.len() as i64],
            "{}",
            file.display()
        );
    }
}
