//! Promises about steps of several pieces: `train.shards`, the pieces of a batch whose gradients are added in a fixed tree,
//! and `train.accumulate`, batches whose gradients are added one after the other.

mod support;

use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use signet::config::Experiment;
use signet::config::document::Document;
use signet::data::augment::mix;
use signet::data::sampler::once;
use signet::distributed::Ranks;
use signet::model::layer::Phase;
use signet::model::plan::check;
use signet::run::session::Session;
use signet::train::event::{Event, Observer};
use signet::train::trainer::Pause;
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

/// libtorch has one generator for the whole process, so tests that train in this process take turns.
static GENERATOR: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn session(overrides: &[&str]) -> Session {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let document = Document::parse("test".into(), ONE_STEP.into(), &overrides).unwrap();
    let experiment = Experiment::from_document(&document, Path::new("test.yaml"), &[check]);
    Session::open(experiment.unwrap(), Rc::new(Ranks::alone())).unwrap()
}

/// The images of the first epoch.
fn order(session: &Session) -> Vec<usize> {
    let samples = session.trainer().sampler().epoch(1).into_iter();
    samples.map(|sample| sample.image).collect()
}

/// What those images look like, and their labels.
fn batch(session: &Session, images: &[usize]) -> (Tensor, Tensor) {
    let labels = session.data.index.labels_of(images);
    (
        session.data.pixels.levels(images).unwrap(),
        Tensor::from_slice(&labels),
    )
}

/// All of `session` has moved from where `by_hand` is, by those gradients at a rate of 0.1.
fn assert_stepped(session: &Session, by_hand: &Session, gradients: Vec<Tensor>, most: f64) {
    let (names, parameters) = by_hand.network.trained();
    let after = session.network.state();
    for ((name, parameter), gradient) in names.iter().zip(&parameters).zip(gradients) {
        let expected = parameter.detach() - gradient * 0.1;
        let difference = (&after[name] - expected).abs().max().double_value(&[]);
        assert!(difference < most, "{name} differs by {difference}");
        assert!(!after[name].equal(&parameter.detach()), "{name}");
    }
}

/// The step that autograd and a few lines of arithmetic take: gradients of four quarters, (0 + 1) + (2 + 3).
#[test]
fn gradients_of_shards_are_added_in_a_binary_tree_and_statistics_averaged() {
    let _alone = alone();
    let (session, by_hand) = (session(&[]), session(&[]));
    let trainer = session.trainer();
    let mut state = trainer.begin();
    trainer
        .run(&mut state, &mut [], &Pause::when(&|_| false))
        .unwrap();

    let order = order(&by_hand);
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
        let (x, labels) = batch(&by_hand, quarter);
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

/// The same for batches of 5, 5, 5 and 1 images, one after the other.
#[test]
fn gradients_of_batches_are_added_in_their_order_each_by_its_share_of_the_images() {
    let _alone = alone();
    let own = [
        "train.shards=1",
        "train.batch_size=5",
        "train.accumulate=3",
        "model.batch_norm=false",
    ];
    let (session, by_hand) = (session(&own), session(&own));
    let trainer = session.trainer();
    assert_eq!(trainer.steps_per_epoch(), 2);
    let mut state = trainer.begin();
    let until_first = |progress: &signet::train::progress::Progress| progress.step == 1;
    trainer
        .run(&mut state, &mut [], &Pause::when(&until_first))
        .unwrap();
    assert_eq!(state.progress.images, 15);

    let order = order(&by_hand);
    let (_, parameters) = by_hand.network.trained();
    let mut sum: Option<Vec<Tensor>> = None;
    for images in order[..15].chunks(5) {
        let (x, labels) = batch(&by_hand, images);
        let logits = by_hand.network.forward(&x, Phase::Train);
        let loss =
            logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0) / 3.0;
        let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
        sum = Some(match sum {
            None => gradients,
            Some(sum) => sum
                .iter()
                .zip(&gradients)
                .map(|(sum, term)| sum + term)
                .collect(),
        });
    }
    // As above; and a share of a third is rounded once more where it is a factor and not a divisor.
    assert_stepped(&session, &by_hand, sum.unwrap(), 6.2e-8);
}

#[test]
fn pieces_of_a_step_count_by_the_weights_of_their_images() {
    let _alone = alone();
    let own = [
        "train.batch_size=8",
        "train.accumulate=2",
        "train.shards=2",
        "model.batch_norm=false",
        "train.loss={kind: cross_entropy, class_weights: {\"0\": 0.3, \"1\": 4}}",
    ];
    let (session, by_hand) = (session(&own), session(&own));
    let trainer = session.trainer();
    trainer
        .run(&mut trainer.begin(), &mut [], &Pause::when(&|_| false))
        .unwrap();

    let (_, parameters) = by_hand.network.trained();
    let (x, labels) = batch(&by_hand, &order(&by_hand));
    let logits = by_hand.network.forward(&x, Phase::Train);
    let weights = Tensor::from_slice(&[0.3f32, 4.0]);
    let loss = logits.cross_entropy_loss(&labels, Some(&weights), Reduction::Mean, -100, 0.0);
    let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
    // Sums over 16 images in another order, of terms below a tenth.
    assert_stepped(&session, &by_hand, gradients, 1e-7);
}

/// Two pieces of eight images, each mixed within itself.
#[test]
fn a_step_on_mixed_images_is_that_on_the_probabilities_of_their_classes() {
    let _alone = alone();
    let own = [
        "train.shards=2",
        "model.batch_norm=false",
        "data.augment=[{kind: mixup, alpha: 1}, {kind: cutmix, p: 1}]",
    ];
    let (session, by_hand) = (session(&own), session(&own));
    let trainer = session.trainer();
    trainer
        .run(&mut trainer.begin(), &mut [], &Pause::when(&|_| false))
        .unwrap();

    let (_, parameters) = by_hand.network.trained();
    let order = order(&by_hand);
    let mut losses = Vec::new();
    for images in order.chunks(8) {
        let (x, labels) = batch(&by_hand, images);
        let augment = &by_hand.experiment.data.augment;
        let mixes =
            mix::draw(augment, &once(images), [12, 12], by_hand.experiment.seed, 1).unwrap();
        let shares: Vec<f32> = mixes.iter().map(|mix| mix.share as f32).collect();
        let shares = Tensor::from_slice(&shares).view([-1, 1]);
        let own = labels.one_hot(2).to_kind(Kind::Float);
        let probabilities = &own * &shares + own.roll([-1i64], [0i64]) * (1.0 - &shares);
        let logits = by_hand
            .network
            .forward(&mix::apply(&x, &mixes), Phase::Train);
        let each: Tensor = logits.log_softmax(1, None) * probabilities;
        losses.push(each.sum(None) / -16.0);
    }
    let loss = &losses[0] + &losses[1];
    let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
    // Sums over 16 images in another order, of terms below a tenth.
    assert_stepped(&session, &by_hand, gradients, 1e-7);
}

/// Keeps the gradients of the last step.
struct Keeper(Vec<Tensor>);

impl Observer for Keeper {
    fn wants_gradients(&self) -> bool {
        true
    }

    fn notify(&mut self, event: &Event) -> Result<()> {
        if let Event::Stepped { state, .. } = event {
            let kept = state.optimizer.kept_gradients();
            self.0 = kept.unwrap().iter().map(Tensor::copy).collect();
        }
        Ok(())
    }
}

#[test]
fn a_listener_gets_the_gradients_of_the_last_step_before_they_are_clipped() {
    let _alone = alone();
    for pieces in [
        &["train.shards=1"][..],
        &["train.shards=4"],
        &["train.shards=2", "train.batch_size=8", "train.accumulate=2"],
    ] {
        let own = [
            &["model.batch_norm=false", "train.clip_grad_norm=0.001"],
            pieces,
        ]
        .concat();
        let (session, by_hand) = (session(&own), session(&own));
        let trainer = session.trainer();
        let mut keeper = Keeper(Vec::new());
        trainer
            .run(
                &mut trainer.begin(),
                &mut [&mut keeper],
                &Pause::when(&|_| false),
            )
            .unwrap();

        let (names, parameters) = by_hand.network.trained();
        let (x, labels) = batch(&by_hand, &order(&by_hand));
        let logits = by_hand.network.forward(&x, Phase::Train);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
        let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
        assert_eq!(keeper.0.len(), gradients.len());
        for ((name, kept), gradient) in names.iter().zip(&keeper.0).zip(&gradients) {
            // Sums over 16 images in another order, of terms below a tenth.
            let difference = (kept - gradient).abs().max().double_value(&[]);
            assert!(
                difference < 1e-7,
                "{pieces:?}: {name} differs by {difference}"
            );
        }
        let largest = keeper
            .0
            .iter()
            .map(|kept| kept.abs().max().double_value(&[]));
        assert!(
            largest.fold(0.0, f64::max) > 0.001,
            "no more than clipping leaves"
        );
    }
}

#[test]
fn running_statistics_see_one_batch_after_the_other() {
    let _alone = alone();
    // Steps of learning rate 0, so that batches meet the same weights whether they make one step or three.
    let own = [
        "train.shards=1",
        "train.batch_size=4",
        "train.optimizer.lr=1e-30",
    ];
    let statistics = |accumulate: &str| {
        let session = session(&[&own[..], &[accumulate]].concat());
        let mut state = session.trainer().begin();
        session
            .trainer()
            .run(&mut state, &mut [], &Pause::when(&|_| false))
            .unwrap();
        let buffers = session.network.buffers().map(|buffer| buffer.copy());
        (state.progress.step, buffers.collect::<Vec<_>>())
    };
    let (one, several) = (
        statistics("train.accumulate=1"),
        statistics("train.accumulate=3"),
    );
    assert_eq!((one.0, several.0), (4, 2));
    for (at, (one, several)) in one.1.iter().zip(&several.1).enumerate() {
        assert!(one.equal(several), "statistics {at}");
    }
}

#[test]
fn a_run_that_accumulates_resumes_exactly_from_the_middle_of_an_epoch() {
    let workshop = Workshop::small(20);
    for shards in ["1", "2"] {
        let straight = format!("straight-{shards}");
        let run = workshop.run(&straight).set("train.shards", shards);
        let run = run.set("train.batch_size", 4).set("train.accumulate", 3);
        let run = run.set("model.dropout", 0.3).set("train.epochs", 3);
        let run = run.set("checkpoint.every", "1 step");
        run.set("checkpoint.keep_last", 9).train();
        let metrics = |run: &str| workshop.text(&format!("{run}/metrics.jsonl"));
        for step in [1, 2, 5] {
            let from = format!("{straight}/checkpoints/step-{step:08}.safetensors");
            let again = format!("again-{shards}-{step}");
            workshop.signet(&["resume", &straight, "--from", &from, "--as", &again]);
            assert_eq!(
                (workshop.weights(&straight), metrics(&straight)),
                (workshop.weights(&again), metrics(&again)),
                "from step {step}"
            );
        }
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
fn shards_and_batches_that_make_no_step_are_refused_by_key() {
    let workshop = Workshop::small(20);
    let cases = [
        (
            ["train.shards=1025", "train.batch_size=8"],
            "train.shards: expected auto or a number of pieces from 1 to 1024, found 1025",
        ),
        (
            ["train.shards=0", "train.batch_size=8"],
            "train.shards: expected auto or a number of pieces from 1 to 1024, found 0",
        ),
        (
            ["train.shards=8", "train.batch_size=5"],
            "train.shards: 8 shards are too many for a batch of 4 of the 24 images",
        ),
        (
            ["train.accumulate=0", "train.batch_size=4"],
            "train.accumulate: expected 1 to 4096, found 0",
        ),
        (
            ["train.accumulate=2", "train.batch_size=full"],
            "train.accumulate: 2 cannot be: batch_size: full is one batch an epoch",
        ),
        (
            ["train.accumulate=8", "train.batch_size=4"],
            "train.accumulate: 8 batches of 4 are more than the training part of 24 images; use at most 6",
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
