//! Promises about `train.shards`: the pieces of a batch whose gradients are added in a fixed tree.

mod support;

use std::path::Path;

use signet::config::Experiment;
use signet::config::document::Document;
use signet::model::layer::Phase;
use signet::model::plan::check;
use signet::run::session::Session;
use support::Workshop;
use tch::{Kind, Reduction, Tensor};

/// One step of plain gradient descent on 16 images of two classes.
const ONE_STEP: &str = "version: 1
data:
  source: {kind: generated, pictures: 12}
  image: {height: 12, width: 12}
  split: {kind: stratified, train: 0.67, val: 0.17, test: 0.16}
model: {kind: cnn, blocks: [{filters: 3, pool: 2}], hidden: [5], dropout: 0, batch_norm: true}
train: {epochs: 1, batch_size: full, shards: 4, optimizer: {kind: sgd, lr: 0.1, momentum: 0}, clip_grad_norm: null}
";

fn session() -> Session {
    let document = Document::parse("test".into(), ONE_STEP.into(), &[]).unwrap();
    let experiment = Experiment::from_document(&document, Path::new("test.yaml"), &[check]);
    Session::open(experiment.unwrap()).unwrap()
}

/// The step that autograd and a few lines of arithmetic take: gradients of four quarters, (0 + 1) + (2 + 3).
#[test]
fn gradients_of_shards_are_added_in_a_binary_tree_and_statistics_averaged() {
    let (session, by_hand) = (session(), session());
    let trainer = session.trainer();
    let mut state = trainer.begin();
    trainer.run(&mut state, &mut [], &|_| false).unwrap();

    let order = signet::data::batches::order(&by_hand.split.train, by_hand.experiment.seed, 1);
    assert_eq!(order.len(), 16);
    let (names, parameters) = by_hand.network.trained();
    let start: Vec<Tensor> = by_hand
        .network
        .buffers()
        .map(|buffer| buffer.copy())
        .collect();
    let (mut gradients, mut statistics) = (Vec::new(), Vec::new());
    for quarter in order.chunks(4) {
        for (mut buffer, start) in by_hand.network.buffers().zip(&start) {
            buffer.copy_(start);
        }
        let (x, labels) = by_hand.data.batch(quarter);
        let logits = by_hand.network.forward(&x, Phase::Train);
        let loss =
            logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0) / 16.0;
        gradients.push(Tensor::run_backward(&[loss], &parameters, false, false));
        statistics.push(
            by_hand
                .network
                .buffers()
                .map(|buffer| buffer.copy())
                .collect::<Vec<_>>(),
        );
    }
    let tree = |terms: &[Vec<Tensor>], at: usize| {
        (&terms[0][at] + &terms[1][at]) + (&terms[2][at] + &terms[3][at])
    };
    let after = session.network.state();
    for (at, (name, parameter)) in names.iter().zip(&parameters).enumerate() {
        let expected = parameter.detach() - tree(&gradients, at) * 0.1;
        let difference = (&after[name] - expected).abs().max().double_value(&[]);
        // The update multiplies and adds at once, which rounds once where this rounds twice: a unit in the last place of
        // a weight below a half.
        assert!(difference < 3.1e-8, "{name} differs by {difference}");
        // A bias before a batch norm has no effect, and stays but for rounding.
        let moved = !after[name].equal(&parameter.detach());
        let idle = ["features.0.bias", "classifier.1.bias"].contains(&name.as_str());
        assert!(moved || idle, "{name}");
    }
    for (at, found) in session.network.buffers().enumerate() {
        let sum = tree(&statistics, at);
        let mean = match sum.kind() {
            Kind::Int64 => Tensor::from(1i64),
            _ => sum / 4.0,
        };
        assert!(found.equal(&mean), "statistics {at}");
    }
}

#[test]
fn a_run_in_shards_resumes_exactly_and_has_its_own_bits() {
    let workshop = Workshop::small(20);
    for shards in ["1", "2", "4"] {
        let (straight, stopped) = (format!("straight-{shards}"), format!("stopped-{shards}"));
        let run = |name: &str| {
            let run = workshop.run(name).set("train.shards", shards);
            run.set("model.dropout", 0.3).set("train.epochs", 4)
        };
        run(&straight).train();
        run(&stopped).arguments(&["--until", "2"]).train();
        workshop.signet(&["resume", &stopped]);
        for file in ["metrics.jsonl", "last.json", "best.json"] {
            let of = |run: &str| workshop.text(&format!("{run}/{file}"));
            assert_eq!(of(&straight), of(&stopped), "{shards} shards: {file}");
        }
    }
    let metrics = |run: &str| workshop.text(&format!("{run}/metrics.jsonl"));
    assert_ne!(metrics("straight-1"), metrics("straight-4"));
}

#[test]
fn shards_that_do_not_fit_are_refused_by_key() {
    let workshop = Workshop::small(20);
    let cases = [
        (
            ["train.shards=3", "train.batch_size=8"],
            "train.shards: expected a power of two from 1 to 1024, found 3",
        ),
        (
            ["train.shards=0", "train.batch_size=8"],
            "train.shards: expected a power of two",
        ),
        (
            ["train.shards=8", "train.batch_size=5"],
            "train.shards: 8 shards are too many for a batch of 4 of the 24 images",
        ),
    ];
    for (set, words) in cases {
        let call = [
            "train", "own.yaml", "--run", "r", "-s", set[0], "-s", set[1],
        ];
        workshop.call(&call).assert_failed(2, words);
        assert!(!workshop.path("r").exists());
    }
}
