//! The gate every artefact passes before it is left on disk: the same logits as the live model.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::classifier::Classifier;
use crate::config::run::Format;

/// Sizes of batches that are tried, beside a large one: a graph may have frozen the first one it met.
const BATCHES: [usize; 3] = [1, 2, 7];

/// Images that go through the small batches.
pub const TRIED: usize = 14;

/// The large batch: all images, up to as many as fit into memory whatever their size.
const LARGE: usize = 512;

/// Largest difference from recorded logits that is let through: other sizes of batches and other processors add in
/// another order.
const RECORDED: f64 = 1e-4;

/// The share of the largest logit that is let through where it is more: eight units in the last place of float32, which
/// keeps seven digits however large numbers are.
const ROUNDING: f64 = 1e-6;

/// Images that a model is tried on.
pub struct Samples<'s> {
    /// Images there are.
    pub count: usize,
    /// Those in a range, `[B, C, H, W]` in 0..1.
    pub batch: Box<dyn Fn(Range<usize>) -> Result<Tensor> + 's>,
    /// The label of each, if known.
    pub labels: Option<Vec<i64>>,
}

impl<'s> Samples<'s> {
    /// Those of a tensor, `[N, C, H, W]` in 0..1, without labels.
    pub fn of(images: &'s Tensor) -> Samples<'s> {
        Samples {
            count: images.size()[0] as usize,
            batch: Box::new(|range| Ok(images.narrow(0, range.start as i64, range.len() as i64))),
            labels: None,
        }
    }
}

/// What the gate found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Largest difference of logits that is let through. Where another runtime or processor computes, it grows with
    /// logits above a hundred.
    pub tolerance: f64,
    /// The sizes of batches tried.
    pub checks: Vec<Check>,
    /// Whether every image was taken for the same class.
    pub same_predictions: bool,
    /// Accuracy of the live model and of the artefact, where labels are known.
    pub accuracy: Option<[f64; 2]>,
}

/// One size of batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Images in a batch.
    pub batch: i64,
    /// Images compared.
    #[serde(alias = "pictures")] // as version 0.2 says
    pub images: i64,
    /// Largest difference between two logits; the largest there is if one is not finite.
    pub largest_difference: f64,
}

impl Report {
    /// Whether the artefact may stay.
    pub fn passed(&self) -> bool {
        let close = |check: &Check| check.largest_difference <= self.tolerance;
        let same_accuracy = self.accuracy.is_none_or(|[live, other]| live == other);
        self.checks.iter().all(close) && self.same_predictions && same_accuracy
    }

    /// Why the artefact may not stay.
    pub fn failure(&self) -> String {
        let largest = self.largest_difference();
        let mut reasons = Vec::new();
        if largest > self.tolerance {
            reasons.push(format!(
                "logits differ by up to {largest:.1e}, and {:.1e} is let through",
                self.tolerance
            ));
        }
        if !self.same_predictions {
            reasons.push("some images are taken for another class".to_owned());
        }
        if let Some([live, own]) = self.accuracy.filter(|[live, own]| live != own) {
            reasons.push(format!(
                "its accuracy is {:.2} % instead of {:.2} %",
                100.0 * own,
                100.0 * live
            ));
        }
        reasons.join("; ")
    }

    /// The largest difference met.
    pub fn largest_difference(&self) -> f64 {
        let differences = self.checks.iter().map(|check| check.largest_difference);
        differences.fold(0.0, f64::max)
    }
}

/// Holds `artefact`, a file of `format`, against `live` on `samples`; `live` gets batches of the same size.
///
/// # Errors
/// A model that does not run at all.
pub fn compare(
    format: Format,
    live: &dyn Fn(&Tensor) -> Result<Tensor>,
    artefact: &Classifier,
    samples: &Samples,
) -> Result<Report> {
    let tolerance = |largest| match format {
        Format::Onnx => relative(format.tolerance(), largest),
        Format::Torchscript | Format::Safetensors => format.tolerance(),
    };
    hold_against(&tolerance, live, artefact, samples)
}

/// `tolerance`, or what rounding makes of logits up to `largest`.
fn relative(tolerance: f64, largest: f64) -> f64 {
    if largest.is_finite() {
        tolerance.max(ROUNDING * largest)
    } else {
        tolerance
    }
}

/// `tolerance` is a function of the largest logit of `live`.
fn hold_against(
    tolerance: &dyn Fn(f64) -> f64,
    live: &dyn Fn(&Tensor) -> Result<Tensor>,
    artefact: &Classifier,
    samples: &Samples,
) -> Result<Report> {
    let Samples {
        count,
        batch,
        labels,
    } = samples;
    let count = *count;
    ensure!(count > 0, "there is no image to compare on");
    let both = |range: Range<usize>| {
        let images = batch(range)?;
        anyhow::Ok([live(&images)?, artefact.batch_logits(&images)?])
    };
    let mut checks = Vec::new();
    for batch in BATCHES.into_iter().filter(|&batch| batch <= count) {
        let tried = TRIED.min(count) / batch * batch;
        let mut largest: f64 = 0.0;
        for first in (0..tried).step_by(batch) {
            let [expected, found] = both(first..first + batch)?;
            largest = largest.max(difference(&expected, &found));
        }
        checks.push(Check {
            batch: batch as i64,
            images: tried as i64,
            largest_difference: largest,
        });
    }
    let (mut largest, mut largest_logit): (f64, f64) = (0.0, 0.0);
    let (mut same_predictions, mut right) = (true, [0, 0]);
    for first in (0..count).step_by(LARGE) {
        let range = first..count.min(first + LARGE);
        let [expected, found] = both(range.clone())?;
        largest = largest.max(difference(&expected, &found));
        largest_logit = largest_logit.max(largest_of(&expected).unwrap_or(f64::INFINITY));
        same_predictions &= expected.size() == found.size();
        let predicted = [expected, found].map(|logits| logits.argmax(1, false));
        same_predictions &= predicted[0].equal(&predicted[1]);
        if let Some(labels) = labels {
            let labels = Tensor::from_slice(&labels[range]);
            for (right, predicted) in right.iter_mut().zip(&predicted) {
                *right += predicted
                    .eq_tensor(&labels)
                    .sum(tch::Kind::Int64)
                    .int64_value(&[]);
            }
        }
    }
    checks.push(Check {
        batch: count.min(LARGE) as i64,
        images: count as i64,
        largest_difference: largest,
    });
    Ok(Report {
        tolerance: tolerance(largest_logit),
        checks,
        same_predictions,
        accuracy: labels
            .as_ref()
            .map(|_| right.map(|right| right as f64 / count as f64)),
    })
}

/// The same where no live model is at hand: on the probes of the artefact's own card.
///
/// # Errors
/// An artefact without probes, or one that does not run.
pub fn compare_with_probes(artefact: &Classifier) -> Result<Report> {
    let card = &artefact.card;
    let probes = card.probes();
    let numbers: Vec<f32> = card.probe_logits.iter().flatten().copied().collect();
    let expected = [probes.size()[0], card.classes.len() as i64];
    ensure!(
        numbers.len() as i64 == expected.iter().product::<i64>(),
        "its card has no logits of probes; compare it with its run: --against RUN"
    );
    let recorded = Tensor::from_slice(&numbers).view(expected);
    // The recorded logits of whichever probes are asked for.
    let live = |some: &Tensor| -> Result<Tensor> {
        let row = |probe: Tensor| {
            let same = (0..expected[0]).find(|&index| probes.get(index).equal(&probe));
            recorded.get(same.unwrap_or(0))
        };
        let rows: Vec<Tensor> = (0..some.size()[0])
            .map(|index| row(some.get(index)))
            .collect();
        Ok(Tensor::stack(&rows, 0))
    };
    hold_against(
        &|largest| relative(RECORDED, largest),
        &live,
        artefact,
        &Samples::of(&probes),
    )
}

/// The format of `file`, which must be an artefact.
///
/// # Errors
/// Another kind of file.
pub fn format_of(file: &Path) -> Result<Format> {
    let format = Format::of(file);
    format.ok_or_else(|| {
        let what = if file.exists() {
            "is no artefact"
        } else {
            "does not exist"
        };
        anyhow::anyhow!(
            "{} {what}; model.pt, model.onnx and model.safetensors are artefacts",
            file.display()
        )
    })
}

fn difference(expected: &Tensor, found: &Tensor) -> f64 {
    if expected.size() != found.size() {
        return f64::MAX;
    }
    largest_of(&(expected - found)).unwrap_or(f64::MAX) // which JSON can say
}

/// The largest number by absolute value, if all are finite.
fn largest_of(numbers: &Tensor) -> Option<f64> {
    let largest = numbers.abs().max().double_value(&[]);
    largest.is_finite().then_some(largest)
}
