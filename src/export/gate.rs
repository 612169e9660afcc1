//! The gate every artefact passes before it is left on disk: the same logits as the live model.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::classifier::Classifier;
use crate::config::run::Format;

/// Sizes of batches that are tried, beside all images at once: a graph may have frozen the first one it met.
const BATCHES: [i64; 3] = [1, 2, 7];

/// Images that go through the small batches.
pub const TRIED: i64 = 14;

/// Largest difference from recorded logits that is let through: other sizes of batches and other processors add in
/// another order.
const RECORDED: f64 = 1e-4;

/// The share of the largest logit that is let through where it is more: eight units in the last place of float32, which
/// keeps seven digits however large numbers are.
const ROUNDING: f64 = 1e-6;

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

/// Holds `artefact`, a file of `format`, against `live` on `images`; `live` gets batches of the same size.
///
/// # Errors
/// A model that does not run at all.
pub fn compare(
    format: Format,
    live: &dyn Fn(&Tensor) -> Result<Tensor>,
    artefact: &Classifier,
    images: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Report> {
    let bound = match format {
        Format::Onnx => relative(format.tolerance(), &live(images)?),
        Format::Torchscript | Format::Safetensors => format.tolerance(),
    };
    hold_against(bound, live, artefact, images, labels)
}

/// `tolerance`, or what rounding makes of logits as large as these.
fn relative(tolerance: f64, logits: &Tensor) -> f64 {
    let largest = logits.abs().max().double_value(&[]);
    if largest.is_finite() {
        tolerance.max(ROUNDING * largest)
    } else {
        tolerance
    }
}

fn hold_against(
    bound: f64,
    live: &dyn Fn(&Tensor) -> Result<Tensor>,
    artefact: &Classifier,
    images: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Report> {
    let count = images.size()[0];
    ensure!(count > 0, "there is no image to compare on");
    let mut checks = Vec::new();
    for batch in BATCHES.into_iter().filter(|&batch| batch <= count) {
        let tried = TRIED.min(count) / batch * batch;
        let mut largest: f64 = 0.0;
        for first in (0..tried).step_by(batch as usize) {
            let some = images.narrow(0, first, batch);
            largest = largest.max(difference(&live(&some)?, &artefact.batch_logits(&some)?));
        }
        checks.push(Check {
            batch,
            images: tried,
            largest_difference: largest,
        });
    }
    let (expected, found) = (live(images)?, artefact.batch_logits(images)?);
    checks.push(Check {
        batch: count,
        images: count,
        largest_difference: difference(&expected, &found),
    });
    let same = expected.size() == found.size();
    let [expected, found] = [expected, found].map(|logits| logits.argmax(1, false));
    let right = |predicted: &Tensor, labels: &Tensor| -> f64 {
        let right = predicted.eq_tensor(labels).sum(tch::Kind::Int64);
        right.int64_value(&[]) as f64 / count as f64
    };
    Ok(Report {
        tolerance: bound,
        checks,
        same_predictions: same && expected.equal(&found),
        accuracy: labels.map(|labels| [right(&expected, labels), right(&found, labels)]),
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
        relative(RECORDED, &recorded),
        &live,
        artefact,
        &probes,
        None,
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
    let difference = (expected - found).abs().max().double_value(&[]);
    if difference.is_finite() {
        difference
    } else {
        f64::MAX // which JSON can say
    }
}
