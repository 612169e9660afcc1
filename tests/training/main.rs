//! What a training promises: the same bits for the same seed, evidence that agrees with itself, and
//! models that can learn.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use signet::config::Experiment;
use signet::config::document::Document;
use signet::data::split::Part;
use signet::model::layer::Phase;
use signet::model::plan::check;
use signet::run::logs;
use signet::run::samples::SampleRecord;
use signet::run::session::Session;
use signet::train::metrics::{self, Metrics};
use signet::train::optimizer::Optimizer;
use signet::train::trainer::Trainer;
use support::{SMALL, Workshop};
use tch::Tensor;

/// libtorch has one generator for the whole process, so tests that train in this process take turns.
static GENERATOR: Mutex<()> = Mutex::new(());

fn session(yaml: &str) -> Session {
    let document = Document::parse("test".into(), yaml.into(), &[]).unwrap();
    let experiment = Experiment::from_document(&document, Path::new("test.yaml"), &[check])
        .unwrap_or_else(|e| panic!("{e}"));
    Session::open(experiment).unwrap()
}

fn train(session: &Session) -> Metrics {
    let Session {
        experiment,
        network,
        data,
        split,
        ..
    } = session;
    let trainer = Trainer {
        experiment,
        network,
        images: data,
        split,
    };
    trainer
        .run(&mut trainer.begin(), &mut [], &|_| false)
        .unwrap();
    let logits = metrics::logits(network, data, &split.train);
    let labels = data.labels(&split.train, logits.device());
    metrics::evaluate(&logits, &labels).unwrap()
}

fn equal(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> bool {
    a.len() == b.len() && a.iter().all(|(name, tensor)| tensor.equal(&b[name]))
}

#[test]
fn samples_tell_what_each_epoch_made_of_each_image_and_go_on_after_a_resume() {
    let workshop = Workshop::with_folders(40);
    for (samples, parts) in [
        ("all", &["val", "train"][..]),
        ("val", &["val"]),
        ("none", &[]),
    ] {
        workshop.write(
            "e.yaml",
            format!("{SMALL}log: {{samples: {samples}}}\ncheckpoint: {{every: 1 epoch}}\n"),
        );
        let run = format!("runs/{samples}");
        workshop.signet(&["train", "e.yaml", "--run", &run, "-q"]);
        if parts.is_empty() {
            assert!(!workshop.path(&format!("{run}/samples.jsonl")).exists());
            continue;
        }
        let text = workshop.text(&format!("{run}/samples.jsonl"));
        let lines: Vec<SampleRecord> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let split = workshop.json(&format!("{run}/split.json"));
        let epochs = logs::read(&workshop.path(&run)).unwrap();
        let expected = epochs.iter().flat_map(|record| {
            let of_part = |part: &&str| {
                let names = split[part].as_array().unwrap().clone();
                names.into_iter().map(|name| (record.epoch, name))
            };
            parts.iter().flat_map(of_part).collect::<Vec<_>>()
        });
        let found = lines
            .iter()
            .map(|line| (line.epoch, line.image.clone().into()));
        assert!(found.eq(expected), "{samples}: other images or epochs");
        for record in &epochs {
            let of_val =
                |line: &&SampleRecord| line.epoch == record.epoch && line.part == Part::Val;
            let val: Vec<&SampleRecord> = lines.iter().filter(of_val).collect();
            let right = val
                .iter()
                .filter(|line| line.label == line.predicted)
                .count();
            let loss = val.iter().map(|line| line.loss).sum::<f64>() / val.len() as f64;
            let Metrics {
                loss: known,
                accuracy,
            } = record.val.unwrap();
            assert_eq!(right as f64 / val.len() as f64, accuracy);
            // The loss of metrics.jsonl is a mean in float32.
            assert!(
                (loss - known).abs() < 1e-6 * known.max(1.0),
                "{loss} {known}"
            );
        }

        let again = format!("runs/{samples}-again");
        workshop.signet(&["train", "e.yaml", "--run", &again, "--until", "2", "-q"]);
        let first = format!("step-{:08}.safetensors", epochs[0].step);
        workshop.signet(&["resume", &again, "--from", &first, "-q"]);
        assert_eq!(workshop.text(&format!("{again}/samples.jsonl")), text);
    }
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
fn showing_figures_or_not_does_not_change_them() {
    let workshop = Workshop::small(20);
    for style in ["none", "plain", "json", "bar"] {
        workshop
            .run(style)
            .arguments(&["--progress", style])
            .train();
        assert_eq!(
            workshop.text(&format!("{style}/metrics.jsonl")),
            workshop.text("none/metrics.jsonl"),
            "{style}"
        );
    }
}

#[test]
fn a_run_directory_holds_the_evidence_and_agrees_with_itself() {
    let workshop = Workshop::small(20);
    let answer = workshop.signet(&[
        "train",
        "own.yaml",
        "--progress",
        "json",
        "-s",
        "log.tensorboard=true",
    ]);
    let shown: Vec<serde_json::Value> = answer
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let kept: Vec<serde_json::Value> = workshop
        .text("runs/small/metrics.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((shown.len(), kept.len()), (3, 3));
    for (shown, kept) in shown.iter().zip(&kept) {
        assert_eq!(
            (&shown["epoch"], &shown["train"], &shown["val"]),
            (&kept["epoch"], &kept["train"], &kept["val"])
        );
    }
    assert_eq!(workshop.text("runs/small/config.yaml"), SMALL);
    assert_eq!(workshop.text("runs/small/metrics.csv").lines().count(), 4);
    let timing = workshop.text("runs/small/timing.jsonl");
    assert_eq!(timing.lines().count(), 3);
    for line in timing.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let [whole, steps, evaluation] =
            ["seconds", "steps", "evaluation"].map(|key| line[key].as_f64().unwrap());
        assert!(steps > 0.0 && evaluation > 0.0);
        assert!((whole - steps - evaluation).abs() < 1e-6, "{line}");
    }
    assert!(
        workshop
            .text("runs/small/train.log")
            .starts_with("epoch 1/3  train loss ")
    );
    let environment: serde_json::Value =
        serde_json::from_str(&workshop.text("runs/small/environment.json")).unwrap();
    assert_eq!(
        (&environment["threads"], &environment["libtorch"]),
        (&1.into(), &"2.11.0".into())
    );

    // The best epoch's weights give the best epoch's metrics again.
    workshop.signet(&["eval", "runs/small", "--part", "val", "--json", "val.json"]);
    let val: serde_json::Value = serde_json::from_str(&workshop.text("val.json")).unwrap();
    let best: serde_json::Value =
        serde_json::from_str(&workshop.text("runs/small/best.json")).unwrap();
    assert!(kept.contains(&best["record"]), "{best}");
    let best = &best["record"]["val"];
    assert_eq!(val["accuracy"], best["accuracy"]);
    // Summed in another order and precision.
    assert!((val["loss"].as_f64().unwrap() - best["loss"].as_f64().unwrap()).abs() < 1e-6);
    // One line per image of the test part, whose probabilities sum to one.
    let csv = workshop
        .signet(&[
            "eval",
            "runs/small/checkpoints/step-00000009.safetensors",
            "--csv",
            "-",
        ])
        .stdout;
    assert_eq!(csv.lines().next(), Some("image,label,predicted,p_0,p_1"));
    assert_eq!(csv.lines().count(), 1 + 8);
    for line in csv.lines().skip(1) {
        let sum: f64 = line
            .split(',')
            .skip(3)
            .map(|number| number.parse::<f64>().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-12, "{line}");
    }
    // A second run of the same name gets a number.
    workshop.signet(&["train", "own.yaml", "-s", "train.epochs=1"]);
    assert!(workshop.path("runs/small-2/last.json").is_file());
}

#[test]
fn evaluation_refuses_images_that_have_changed_since() {
    let workshop = Workshop::small(20);
    workshop.run("r").set("train.epochs", 1).train();
    std::fs::copy(
        workshop.path("data/1/0001.png"),
        workshop.path("data/0/0001.png"),
    )
    .unwrap();
    workshop.call(&["eval", "r"]).assert_failed(
        3,
        "the images have changed since this run was trained: 0/0001.png has changed; bring",
    );
}

#[test]
fn a_dry_run_shows_layers_steps_and_memory_and_leaves_nothing() {
    let workshop = Workshop::small(20);
    let before = workshop.names();
    let shown = workshop.signet(&["train", "own.yaml", "--dry-run"]).stdout;
    // Conv 4*(1*3*3)+4 = 40, its norm 8; linear 4*8*8*8+8 = 2056, its norm 16; last 8*2+2 = 18.
    assert!(shown.contains("parameters  2138\n"), "{shown}");
    assert!(
        shown.contains("steps       3 an epoch, 9 in 3 epochs\n"),
        "{shown}"
    );
    assert_eq!(workshop.names(), before);
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
fn a_precision_is_recorded_and_one_for_cuda_is_f32_on_the_cpu_and_said_to_be() {
    let workshop = Workshop::small(20);
    let train = |precision: &str, run: &str| {
        let set = format!("train.precision={precision}");
        workshop.call_under(
            // libtorch's own switch for TF32 in products of matrices.
            &[("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")],
            &[
                "train",
                "own.yaml",
                "--run",
                run,
                "-s",
                &set,
                "-s",
                "device=cpu",
            ],
        )
    };
    let says = "train.precision: tf32 is for CUDA";
    for (precision, recorded, remarks) in [
        ("f32", "float32", 0),
        ("tf32", "float32", 1),
        ("bf16", "bfloat16 by autocast, else float32", 0),
    ] {
        let answer = train(precision, precision);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(
            answer.stderr.matches(says).count(),
            remarks,
            "{}",
            answer.stderr
        );
        let environment = workshop.json(&format!("{precision}/environment.json"));
        assert_eq!(environment["arithmetic"], recorded);
        let shown = workshop.call(&["runs", "show", precision]).stdout;
        assert!(
            shown.contains(&format!("computed in  {recorded}\n")),
            "{shown}"
        );
    }
    let metrics = |run: &str| workshop.text(&format!("{run}/metrics.jsonl"));
    assert_eq!(metrics("f32"), metrics("tf32"));
    assert_ne!(metrics("f32"), metrics("bf16"));
}

#[test]
fn cuda_graphs_change_nothing_on_the_cpu_and_are_said_to() {
    let workshop = Workshop::small(20);
    let says = "train.cuda_graphs: true has no effect: the device is the CPU";
    for graphs in ["false", "true"] {
        let set = format!("train.cuda_graphs={graphs}");
        let answer = workshop.call(&["train", "own.yaml", "--run", graphs, "-s", &set]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(
            answer.stderr.contains(says),
            graphs == "true",
            "{}",
            answer.stderr
        );
        let environment = workshop.json(&format!("{graphs}/environment.json"));
        assert_eq!(environment["cuda_graphs"], false);
    }
    let metrics = |run: &str| workshop.text(&format!("{run}/metrics.jsonl"));
    assert_eq!(metrics("false"), metrics("true"));
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
        let (x, _) = session.data.batch(&[0, 1, 2]);
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
        let (x, y) = session.data.batch(&[0, 15]);
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
fn divergence_exits_with_6_and_names_the_step() {
    let workshop = Workshop::small(20);
    let optimizer = "train.optimizer={kind: sgd, lr: 1.0e+30}";
    let answer = workshop.call(&[
        "train",
        "own.yaml",
        "-s",
        optimizer,
        "-s",
        "model.batch_norm=false",
        "--progress",
        "none",
    ]);
    assert_eq!(answer.code, 6, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .starts_with("signet: training diverged: the loss or a gradient of step 2 (epoch 1)"),
        "{}",
        answer.stderr
    );
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
            if path.is_dir() {
                folders.push(path)
            } else {
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
        let session = Session::open(experiment).unwrap();
        let (x, _) = session.data.batch(&[0, 1, 2, 3]);
        let logits = session.network.forward(&x, Phase::Train);
        assert_eq!(
            logits.size(),
            [4, session.data.index.classes.len() as i64],
            "{}",
            file.display()
        );
    }
}
