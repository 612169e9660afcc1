//! PyTorch and signet give the same numbers: initial weights bit for bit, logits, losses and the weights
//! after three steps of each optimiser. `tests/reference/make.py` asked PyTorch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use signet::config::Experiment;
use signet::config::document::Document;
use signet::model::layer::Phase;
use signet::model::network::{Network, Normalization};
use signet::model::plan::{Plan, check};
use signet::train::loss::{Criterion, Target, Targets};
use signet::train::optimizer::Optimizer;
use tch::{Device, Tensor};

const CASES: [&str; 12] = [
    "softmax", "ann", "binary", "dnn", "cnn", "cnn-gelu", "rnn", "rnn-relu", "lstm", "gru",
    "layers", "residual",
];

/// libtorch has one generator for the whole process, so tests that seed it take turns.
static GENERATOR: Mutex<()> = Mutex::new(());

struct Reference {
    experiment: Experiment,
    tensors: BTreeMap<String, Tensor>,
}

impl Reference {
    fn open(case: &str) -> Reference {
        let file = Path::new("tests/reference").join(format!("{case}.safetensors"));
        let bytes = std::fs::read(&file).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let yaml = header.metadata().as_ref().unwrap()["experiment"].clone();
        let document = Document::parse(case.into(), yaml, &[]).unwrap();
        let experiment = Experiment::from_document(&document, &file, &[check]).unwrap();
        Reference {
            experiment,
            tensors: Tensor::read_safetensors(&file)
                .unwrap()
                .into_iter()
                .collect(),
        }
    }

    fn state(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let inside = |(name, tensor): (&String, &Tensor)| {
            let name = name.strip_prefix(prefix)?.strip_prefix('.')?;
            Some((name.to_owned(), tensor.shallow_clone()))
        };
        self.tensors.iter().filter_map(inside).collect()
    }

    fn network(&self) -> Network {
        let image = &self.experiment.data.image;
        let classes = self.experiment.data.classes.as_ref().unwrap().len();
        let plan = Plan::new(
            &self.experiment.model,
            [image.depth(), image.height, image.width],
            classes,
        )
        .unwrap();
        let depth = image.depth();
        let normalization = Normalization {
            mean: vec![0.4; depth],
            std: vec![0.3; depth],
        };
        Network::new(plan, &self.experiment.model, 7, &normalization, Device::Cpu)
    }
}

fn largest_difference(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    (found.detach() - expected).abs().max().double_value(&[])
}

#[test]
fn initial_weights_are_those_of_pytorch_bit_for_bit_under_the_same_names() {
    let _turn = GENERATOR.lock();
    for case in CASES {
        let reference = Reference::open(case);
        let (found, expected) = (reference.network().state(), reference.state("init"));
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{case}"
        );
        for (name, tensor) in &found {
            assert!(tensor.equal(&expected[name]), "{case}: {name}");
        }
    }
}

#[test]
fn logits_losses_and_three_steps_of_training_are_those_of_pytorch() {
    let _turn = GENERATOR.lock();
    for case in CASES {
        let reference = Reference::open(case);
        let network = reference.network();
        network.load(&reference.state("before")).unwrap();
        let (x, y) = (&reference.tensors["x"], &reference.tensors["y"]);
        let train = &reference.experiment.train;

        let logits = tch::no_grad(|| network.forward(x, Phase::Eval));
        // The same sums in another order: a few units in the last place of numbers up to 10.
        let difference = largest_difference(&logits, &reference.tensors["logits"]);
        println!("{case}: logits {difference:.1e}");
        assert!(difference < 5e-6, "{case}: logits differ by {difference}");

        let (names, parameters) = network.trained();
        let mut optimizer = Optimizer::new(
            train.optimizer.clone(),
            train.clip_grad_norm,
            names,
            parameters,
        );
        optimizer.set_lr(train.optimizer.lr());
        let labels = Vec::<i64>::try_from(y).unwrap();
        let labels: Vec<Target> = labels.into_iter().map(Target::one).collect();
        let targets = Targets::new(&labels, false, Device::Cpu);
        let criterion = Criterion::new(&train.loss, None, Device::Cpu);
        for step in 0..3 {
            let loss = criterion.mean(&network.forward(x, Phase::Train), &targets);
            loss.backward();
            let gradients = optimizer.take_gradients().unwrap();
            optimizer.step(&gradients, &loss).unwrap();
            let difference = largest_difference(&loss, &reference.tensors["losses"].get(step));
            assert!(
                difference < 5e-6,
                "{case}: loss of step {step} differs by {difference}"
            );
        }
        let (found, expected) = (network.state(), reference.state("after"));
        let differences = found
            .iter()
            .map(|(name, tensor)| (largest_difference(tensor, &expected[name]), name));
        let (difference, name) = differences.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        println!("{case}: weights {difference:.1e} ({name})");
        // Adam divides by the root of its averages, which magnifies rounding where gradients are near zero.
        assert!(difference < 1e-5, "{case}: {name} differs by {difference}");
    }
}
