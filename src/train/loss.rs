//! The loss of images: what a step makes small.

use anyhow::{Result, bail};
use tch::{Device, Kind, Reduction, Tensor};

use crate::bridge::upload;
use crate::config::train::{ClassWeights, Loss, NamedWeights};
use crate::data::index::Index;

/// What an image shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Its class, or the one of two with the greater share.
    pub label: i64,
    /// The other one; the same where there is one.
    pub other: i64,
    /// The share of the first, from a half to 1.
    pub share: f64,
}

impl Target {
    /// An image of one class.
    pub fn one(label: i64) -> Target {
        Target {
            label,
            other: label,
            share: 1.0,
        }
    }

    /// An image of two classes, the first with that `share`, from 0 to 1.
    pub fn two(label: i64, other: i64, share: f64) -> Target {
        if share < 0.5 {
            return Target::two(other, label, 1.0 - share);
        }
        Target {
            label,
            other,
            share,
        }
    }
}

/// What the images of a batch show, on the device.
pub struct Targets {
    /// The classes, `[B]`.
    pub labels: Tensor,
    /// The other classes, `[B]`, and the shares of the first, `[B]`, where images are mixed.
    mixed: Option<(Tensor, Tensor)>,
}

impl Targets {
    /// Of images that are `mixed` or not, on `device`.
    pub fn new(targets: &[Target], mixed: bool, device: Device) -> Targets {
        let labels: Vec<i64> = targets.iter().map(|target| target.label).collect();
        let others: Vec<i64> = targets.iter().map(|target| target.other).collect();
        let shares: Vec<f32> = targets.iter().map(|target| target.share as f32).collect();
        let upload = |tensor: Tensor| upload(tensor, device);
        let pair = || {
            let (others, shares) = (Tensor::from_slice(&others), Tensor::from_slice(&shares));
            (upload(others), upload(shares))
        };
        Targets {
            labels: upload(Tensor::from_slice(&labels)),
            mixed: mixed.then(pair),
        }
    }

    /// Takes over what `other` holds, of the same number of images.
    pub fn copy_(&mut self, other: &Targets) {
        self.labels.copy_(&other.labels);
        if let Some(((others, shares), (new_others, new_shares))) =
            self.mixed.as_mut().zip(other.mixed.as_ref())
        {
            others.copy_(new_others);
            shares.copy_(new_shares);
        }
    }
}

/// A loss, with the weights of the classes.
pub struct Criterion {
    loss: Loss,
    weights: Option<Weights>,
}

/// How much an image of each class counts: here, and `[classes]` on the device.
struct Weights {
    numbers: Vec<f64>,
    tensor: Tensor,
}

impl Criterion {
    /// `loss` on `device`, with the `weights` of its classes that [`class_weights`] gives.
    pub fn new(loss: &Loss, weights: Option<Vec<f64>>, device: Device) -> Criterion {
        let weights = weights.map(|numbers| Weights {
            tensor: Tensor::from_slice(&numbers)
                .to_kind(Kind::Float)
                .to_device(device),
            numbers,
        });
        Criterion {
            loss: loss.clone(),
            weights,
        }
    }

    /// Whether some classes count more than others.
    pub fn weighs(&self) -> bool {
        self.weights.is_some()
    }

    /// How much images with `targets` count together; their number, where no class counts more than another.
    pub fn weight(&self, targets: &[Target]) -> f64 {
        let Some(Weights { numbers, .. }) = &self.weights else {
            return targets.len() as f64;
        };
        let weight = |target: &Target| {
            let [own, other] = [target.label, target.other].map(|label| numbers[label as usize]);
            target.share * own + (1.0 - target.share) * other
        };
        targets.iter().map(weight).sum()
    }

    /// The mean loss of images with `logits`, `[B, classes]`: the sum of their losses, each times its weight, over the sum of
    /// the weights, as `torch.nn.CrossEntropyLoss` has it. An image of two classes has its shares of their losses and weights.
    pub fn mean(&self, logits: &Tensor, targets: &Targets) -> Tensor {
        let labels = &targets.labels;
        let Some((others, share)) = &targets.mixed else {
            return self.mean_of_one(logits, labels);
        };
        let rest: Tensor = 1.0 - share;
        let mixed = |own: Tensor, other: Tensor| (own * share + other * &rest).sum(None);
        let losses = mixed(self.each(logits, labels), self.each(logits, others));
        match self.weights_of(labels).zip(self.weights_of(others)) {
            None => losses / labels.numel() as f64,
            Some((own, other)) => losses / mixed(own, other),
        }
    }

    /// The mean loss of images of one class each.
    fn mean_of_one(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        if let Loss::CrossEntropy { .. } = self.loss {
            return self.cross_entropy(logits, labels, Reduction::Mean);
        }
        let losses = self.each(logits, labels);
        match self.weights_of(labels) {
            None => losses.mean(None),
            Some(weights) => losses.sum(None) / weights.sum(None),
        }
    }

    /// The loss of each image times its weight, `[B]`.
    fn each(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        match self.loss {
            Loss::CrossEntropy { .. } => self.cross_entropy(logits, labels, Reduction::None),
            Loss::Focal { gamma, .. } => {
                let losses = focal(logits, labels, gamma);
                match self.weights_of(labels) {
                    None => losses,
                    Some(weights) => losses * weights,
                }
            }
        }
    }

    fn cross_entropy(&self, logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Tensor {
        let smoothing = match self.loss {
            Loss::CrossEntropy {
                label_smoothing, ..
            } => label_smoothing,
            Loss::Focal { .. } => 0.0,
        };
        let weights = self.weights.as_ref();
        let weights = weights.map(|weights| weights.tensor.to_kind(logits.kind()));
        logits.cross_entropy_loss(labels, weights, reduction, -100, smoothing)
    }

    /// The weight of each image, `[B]`; none where no class counts more than another.
    fn weights_of(&self, labels: &Tensor) -> Option<Tensor> {
        let weights = self.weights.as_ref()?;
        Some(weights.tensor.index_select(0, labels))
    }
}

/// The focal loss of each image, `[B]`: -(1 - p)^gamma log p (Lin et al., 2017, equation 4).
fn focal(logits: &Tensor, labels: &Tensor, gamma: f64) -> Tensor {
    let log_p = logits
        .log_softmax(1, Kind::Float)
        .gather(1, &labels.unsqueeze(1), false)
        .squeeze_dim(1);
    // Where p rounds to 1 the power of 0 has no gradient for a gamma below 1; the clamp makes that none at all.
    let missing = (-log_p.expm1()).clamp_min(1e-12);
    -missing.pow_tensor_scalar(gamma) * log_p
}

/// The weight of each class of `index` for what trains on the images at `train`; none where all count alike.
///
/// # Errors
/// Weights of a class that is none.
pub fn class_weights(loss: &Loss, index: &Index, train: &[usize]) -> Result<Option<Vec<f64>>> {
    let classes = &index.classes;
    match loss.class_weights() {
        ClassWeights::Named(NamedWeights::None) => Ok(None),
        ClassWeights::Named(NamedWeights::Balanced) => {
            let mut counts = vec![0usize; classes.len()];
            train
                .iter()
                .for_each(|&image| counts[index.labels[image] as usize] += 1);
            let all = train.len() as f64 / classes.len() as f64;
            Ok(Some(
                counts.into_iter().map(|count| all / count as f64).collect(),
            ))
        }
        ClassWeights::Given(given) => {
            if let Some((name, _)) = given.iter().find(|(name, _)| !classes.contains(name)) {
                bail!(
                    "train.loss.class_weights: {name:?} is not a class; there are {}",
                    classes.join(", ")
                );
            }
            let weight = |class| given.iter().find(|(name, _)| name == class);
            let weights = classes
                .iter()
                .map(|class| weight(class).map_or(1.0, |(_, weight)| *weight));
            Ok(Some(weights.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::pixels::{Levels, Pixels};

    /// logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, -0.3], [-1.5, 3.0, 0.0], [0.4, -0.6, 1.2]])
    /// labels = torch.tensor([0, 2, 1, 1])
    fn batch() -> (Tensor, Targets) {
        let logits = [
            2.0f32, -1.0, 0.5, 0.1, 0.2, -0.3, -1.5, 3.0, 0.0, 0.4, -0.6, 1.2,
        ];
        let logits = Tensor::from_slice(&logits).view([4, 3]);
        let targets = [0, 2, 1, 1].map(Target::one);
        (logits, Targets::new(&targets, false, Device::Cpu))
    }

    const WEIGHTS: [f64; 3] = [0.5, 3.0, 1.25];

    /// As the snippet of the first test prints them, without smoothing.
    const CROSS_ENTROPY: [f64; 4] = [1.149851019, -0.013832449, 0.002523392, 0.011309058];
    /// The same with it.
    const SMOOTHED: [f64; 4] = [1.170034508, 0.001450090, -0.009833099, 0.008383009];
    /// As the snippet of the second test prints them.
    const FOCAL: [f64; 4] = [0.666257973, -0.006821169, 0.001244355, 0.005576813];
    /// The same with weights.
    const FOCAL_WEIGHTED: [f64; 4] = [0.843471959, -0.001760302, 0.000321124, 0.001439178];

    /// The loss and its gradient with respect to the first logits.
    fn found(loss: &Loss, weights: Option<Vec<f64>>) -> [f64; 4] {
        let (logits, targets) = batch();
        let logits = logits.set_requires_grad(true);
        let mean = Criterion::new(loss, weights, Device::Cpu).mean(&logits, &targets);
        mean.backward();
        let gradient = logits.grad();
        [
            mean.double_value(&[]),
            gradient.double_value(&[0, 0]),
            gradient.double_value(&[0, 1]),
            gradient.double_value(&[0, 2]),
        ]
    }

    fn close(found: [f64; 4], expected: [f64; 4]) {
        let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        // float32 of numbers below 2.
        assert!(
            differences.fold(0.0, f64::max) < 2.5e-7,
            "{found:?} is not {expected:?}"
        );
    }

    #[test]
    fn weighted_cross_entropy_is_that_of_pytorch() {
        // weight = torch.tensor([0.5, 3.0, 1.25]); logits.requires_grad_()
        // loss = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1)(logits, labels)
        // loss.backward(); loss.item(), logits.grad[0]
        let smoothed = |label_smoothing| Loss::CrossEntropy {
            label_smoothing,
            class_weights: ClassWeights::NONE,
        };
        close(found(&smoothed(0.0), Some(WEIGHTS.to_vec())), CROSS_ENTROPY);
        close(found(&smoothed(0.1), Some(WEIGHTS.to_vec())), SMOOTHED);
    }

    #[test]
    fn focal_loss_is_that_of_its_paper_and_without_gamma_cross_entropy() {
        // log_p = torch.log_softmax(logits, 1)[range(4), labels]
        // w = weight[labels]; each = -(1 - log_p.exp()) ** 2 * log_p
        // each.mean(); (each * w).sum() / w.sum()
        let focal = |gamma| Loss::Focal {
            gamma,
            class_weights: ClassWeights::NONE,
        };
        close(found(&focal(2.0), None), FOCAL);
        close(found(&focal(2.0), Some(WEIGHTS.to_vec())), FOCAL_WEIGHTED);
        close(found(&focal(0.0), Some(WEIGHTS.to_vec())), CROSS_ENTROPY);
    }

    #[test]
    fn an_image_of_two_classes_has_the_loss_of_its_probabilities_in_pytorch() {
        // p = torch.zeros(4, 3); p[range(4), [0, 2, 1, 1]] += share; p[range(4), [2, 0, 1, 0]] += 1 - share
        // share = torch.tensor([0.7, 1.0, 0.5, 0.8])
        // torch.nn.CrossEntropyLoss(label_smoothing=0.1)(logits, p)
        // (torch.nn.CrossEntropyLoss(weight, reduction="none")(logits, p)).sum() / (p * weight).sum()
        let targets = [(0, 2, 0.7), (0, 2, 0.0), (1, 1, 0.5), (0, 1, 0.2)];
        let targets = targets.map(|(label, other, share)| Target::two(label, other, share));
        assert_eq!((targets[1].label, targets[1].share), (2, 1.0));
        let (logits, _) = batch();
        let mean = |label_smoothing, weights: Option<Vec<f64>>| {
            let loss = Loss::CrossEntropy {
                label_smoothing,
                class_weights: ClassWeights::NONE,
            };
            let criterion = Criterion::new(&loss, weights, Device::Cpu);
            let tensors = Targets::new(&targets, true, Device::Cpu);
            let weight = criterion.weight(&targets);
            (criterion.mean(&logits, &tensors).double_value(&[]), weight)
        };
        let (plain, count) = mean(0.1, None);
        assert!((plain - 1.125506003).abs() < 2.5e-7, "{plain}");
        assert_eq!(count, 4.0);
        let (weighted, sum) = mean(0.0, Some(WEIGHTS.to_vec()));
        assert!((weighted - 1.108841230).abs() < 2.5e-7, "{weighted}");
        // 0.7 * 0.5 + 0.3 * 1.25 + 1.25 + 3 + 0.8 * 3 + 0.2 * 0.5
        assert!((sum - 7.475).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn an_image_that_is_recognised_beyond_doubt_has_a_gradient_of_zero() {
        for gamma in [0.0, 0.5, 1.0, 2.0] {
            let logits = Tensor::from_slice(&[200.0f32, -200.0]).view([1, 2]);
            let logits = logits.set_requires_grad(true);
            let loss = Loss::Focal {
                gamma,
                class_weights: ClassWeights::NONE,
            };
            let criterion = Criterion::new(&loss, None, Device::Cpu);
            let targets = Targets::new(&[Target::one(0)], false, Device::Cpu);
            criterion.mean(&logits, &targets).backward();
            assert_eq!(logits.grad().abs().max().double_value(&[]), 0.0, "{gamma}");
        }
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn_on_the_training_part() {
        // sklearn.utils.class_weight.compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2])
        let labels: Vec<i64> = [vec![0; 6], vec![1; 3], vec![2], vec![2; 5]].concat();
        let names = labels.iter().map(|label| label.to_string()).collect();
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let pixels = Pixels::new(Levels::Bytes(vec![0; labels.len()]), [1, 1, 1]);
        let index = Index::new(names, labels, classes, pixels.shape(), pixels.digests());
        let train: Vec<usize> = (0..10).collect();
        let weights = |class_weights| {
            let loss = Loss::Focal {
                gamma: 2.0,
                class_weights,
            };
            super::class_weights(&loss, &index, &train)
        };
        let balanced = weights(ClassWeights::Named(NamedWeights::Balanced)).unwrap();
        let expected = [
            0.555_555_555_555_555_6,
            1.111_111_111_111_111_2,
            3.333_333_333_333_333_5,
        ];
        assert_eq!(balanced.unwrap(), expected);
        assert_eq!(weights(ClassWeights::NONE).unwrap(), None);
        let given = |name: &str| ClassWeights::Given(vec![(name.to_owned(), 4.0)]);
        assert_eq!(weights(given("b")).unwrap().unwrap(), [1.0, 4.0, 1.0]);
        assert_eq!(
            weights(given("d")).unwrap_err().to_string(),
            "train.loss.class_weights: \"d\" is not a class; there are a, b, c"
        );
    }
}
