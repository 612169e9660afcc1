//! Loss and accuracy: sums on the device first, ratios last.

use anyhow::Result;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Kind, Reduction, Tensor};

use super::class_counts::ClassCounts;
use crate::bridge::upload;
use crate::config::train::Metric;
use crate::data::Dataset;
use crate::data::split::Part;
use crate::distributed::Ranks;
use crate::model::layer::Phase;
use crate::model::network::Network;

/// Images at a time when nothing is learned.
const EVAL_BATCH: usize = 256;

/// What a part of the data gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean loss over images. One that is not finite is `null` in JSON.
    #[serde(deserialize_with = "finite_or_nan")]
    pub loss: f64,
    /// Share of images recognised.
    pub accuracy: f64,
    /// Mean F1 of the classes; none of what was met during an epoch, and of what signet 0.2 evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Mean recall of the classes; none where there is no mean F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
}

/// A number of a JSON document that has `null` for one that is not finite.
///
/// # Errors
/// Anything else.
pub fn finite_or_nan<'d, D: Deserializer<'d>>(document: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(document)?.unwrap_or(f64::NAN))
}

/// One line of `metrics.jsonl`: an epoch's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counts from 1.
    pub epoch: usize,
    /// Steps taken so far.
    pub step: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Met during the epoch, in training mode.
    pub train: Metrics,
    /// After the epoch, if there is a val part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<Metrics>,
}

impl EpochRecord {
    /// What is shown of the epoch: the val part, or the train part where there is no val part.
    pub fn shown(&self) -> (Part, Metrics) {
        match self.val {
            Some(val) => (Part::Val, val),
            None => (Part::Train, self.train),
        }
    }

    /// The value of `metric`; none if it needs a val part and there is none, or if nobody computed it then.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::TrainLoss => Some(self.train.loss),
            Metric::TrainAccuracy => Some(self.train.accuracy),
            Metric::ValLoss => self.val.map(|val| val.loss),
            Metric::ValAccuracy => self.val.map(|val| val.accuracy),
            Metric::ValMacroF1 => self.val.and_then(|val| val.macro_f1),
            Metric::ValBalancedAccuracy => self.val.and_then(|val| val.balanced_accuracy),
        }
    }
}

/// Sums over images, off the device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Sum of the losses of images.
    pub loss: f64,
    /// Images recognised.
    pub correct: i64,
    /// Images seen.
    #[serde(alias = "pictures")] // as version 0.2 says
    pub images: usize,
}

impl Sums {
    /// The same on `device`, to go on adding.
    pub fn tally(&self, device: tch::Device) -> Tally {
        Tally {
            sums: Tensor::from_slice(&[self.loss, self.correct as f64]).to_device(device),
            images: self.images,
        }
    }
}

/// Sums over batches, kept on the device so that it need not be waited for.
pub struct Tally {
    /// Sum of the losses, and of images recognised: `[2]`, float64, which counts to 2^53.
    sums: Tensor,
    images: usize,
}

impl Tally {
    /// Nothing yet.
    pub fn new(device: tch::Device) -> Tally {
        Tally {
            sums: Tensor::zeros([2], (Kind::Double, device)),
            images: 0,
        }
    }

    /// Nothing again, in the same place.
    pub fn clear(&mut self) {
        let _ = self.sums.zero_();
        self.images = 0;
    }

    /// What images add to it, of which `loss` is the mean loss: `[2]`.
    pub fn of(logits: &Tensor, labels: &Tensor, loss: &Tensor) -> Tensor {
        let size = labels.size()[0];
        let loss = loss.detach().to_kind(Kind::Double) * size as f64;
        let recognised = logits.detach().argmax(1, false).eq_tensor(labels);
        Tensor::stack(&[loss, recognised.sum(Kind::Double)], 0)
    }

    /// Adds what [`Tally::of`] has given. The images are still to be counted.
    pub fn add(&mut self, sums: &Tensor) {
        self.sums += sums;
    }

    /// Counts the images of what was added.
    pub fn count(&mut self, images: usize) {
        self.images += images;
    }

    /// The sums so far; waits for the device.
    ///
    /// # Errors
    /// None that is known.
    pub fn sums(&self) -> Result<Sums> {
        let [loss, correct] = [0, 1].map(|at| f64::try_from(self.sums.get(at)));
        Ok(Sums {
            loss: loss?,
            correct: correct? as i64,
            images: self.images,
        })
    }

    /// The metrics so far; waits for the device.
    ///
    /// # Errors
    /// None that is known.
    pub fn metrics(&self) -> Result<Metrics> {
        let sums = self.sums()?;
        let count = sums.images.max(1) as f64;
        Ok(Metrics {
            loss: sums.loss / count,
            accuracy: sums.correct as f64 / count,
            macro_f1: None,
            balanced_accuracy: None,
        })
    }
}

/// Logits of the images at `part`, `[N, classes]`, in evaluation mode.
///
/// # Errors
/// A file that is gone or has changed.
pub fn logits(network: &Network, images: &Dataset, part: &[usize]) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let mut images = images.pixels.in_order(part.to_vec());
    let batches = part.chunks(EVAL_BATCH);
    let logits: Result<Vec<Tensor>> = batches
        .map(|batch| Ok(network.forward(&images.next(batch.len())?, Phase::Eval)))
        .collect();
    Ok(Tensor::cat(&logits?, 0))
}

/// The same, of which each process computes whole batches, so that their number leaves no trace.
///
/// # Errors
/// As of [`logits`], and a process that is lost.
pub fn shared_logits(
    network: &Network,
    images: &Dataset,
    part: &[usize],
    ranks: &Ranks,
) -> Result<Tensor> {
    if ranks.world() == 1 {
        return logits(network, images, part);
    }
    let batches = part.len().div_ceil(EVAL_BATCH);
    let of = |rank: usize| {
        let own = ranks.share_of(rank, 0..batches);
        let end = |batch: usize| part.len().min(batch * EVAL_BATCH);
        &part[end(own.start)..end(own.end)]
    };
    let most = (0..ranks.world()).map(|rank| of(rank).len()).max();
    let (most, classes) = (most.unwrap_or(0), images.index.classes.len());
    let size = [most as i64, classes as i64];
    let own = Tensor::zeros(size, (Kind::Float, network.device()));
    let mine = of(ranks.rank());
    if !mine.is_empty() {
        let found = logits(network, images, mine)?;
        own.narrow(0, 0, mine.len() as i64).copy_(&found);
    }
    let all = ranks.all_gather(&own.view(-1))?;
    let all = all.view([ranks.world() as i64, size[0], size[1]]);
    let of_each = |rank: usize| all.get(rank as i64).narrow(0, 0, of(rank).len() as i64);
    let logits: Vec<Tensor> = (0..ranks.world()).map(of_each).collect();
    Ok(Tensor::cat(&logits, 0))
}

/// Metrics of `logits`, `[N, classes]`, of images with `labels`; the loss is their mean cross-entropy, each counted alike.
///
/// # Errors
/// None that is known.
pub fn evaluate(logits: &Tensor, labels: &[i64]) -> Result<Metrics> {
    let (count, classes) = logits.size2()?;
    let labels = upload(Tensor::from_slice(labels), logits.device());
    let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
    let predicted = logits.argmax(1, false);
    let count_each = |labels: &Tensor| -> Result<Vec<usize>> {
        let counts = Vec::<i64>::try_from(labels.bincount::<Tensor>(None, classes))?;
        Ok(counts.into_iter().map(|count| count as usize).collect())
    };
    let counts = ClassCounts {
        support: count_each(&labels)?,
        taken: count_each(&predicted)?,
        correct: count_each(&labels.masked_select(&predicted.eq_tensor(&labels)))?,
    };
    Ok(Metrics {
        loss: f64::try_from(loss)?,
        accuracy: counts.recognised() as f64 / count as f64,
        macro_f1: Some(counts.macro_f1()),
        balanced_accuracy: Some(counts.balanced_accuracy()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_adds_and_is_cleared_where_it_lies_as_a_recorded_step_needs_it() {
        let mut tally = Tally::new(tch::Device::Cpu);
        let before = tally.sums.data_ptr();
        let logits = Tensor::from_slice(&[2.0f32, 1.0, 0.0, 3.0, 5.0, 4.0]).view([3, 2]);
        let labels = Tensor::from_slice(&[0i64, 1, 1]);
        tally.add(&Tally::of(&logits, &labels, &Tensor::from(0.5f32)));
        tally.count(3);
        let sums = Sums {
            loss: 1.5,
            correct: 2,
            images: 3,
        };
        assert_eq!(tally.sums().unwrap(), sums);
        tally.clear();
        let nothing = Sums {
            loss: 0.0,
            correct: 0,
            images: 0,
        };
        assert_eq!(tally.sums().unwrap(), nothing);
        assert_eq!(tally.sums.data_ptr(), before);
    }
}
