//! One step: the gradients of each shard, their sum, clipping, and the update.
//!
//! `train.shards` cuts every batch into contiguous pieces. Each gives the gradients of its share of the batch's mean
//! loss, and these are added in a binary tree whose form follows from the number of shards alone. So the bits of a step
//! do not depend on who computes which shard, or when.

use std::ops::Range;

use anyhow::Result;
use tch::{Kind, Tensor};

use super::metrics;
use super::schedule::{self, Position};
use super::snapshot::TrainState;
use super::trainer::Trainer;
use crate::bridge::Autocast;
use crate::config::train::Precision;
use crate::data::augment;
use crate::model::layer::Phase;
use crate::rng::{Purpose, Stream};

/// What shards give a step: one, or the sum of several.
struct Contribution {
    /// Of the trained tensors, in their order.
    gradients: Vec<Tensor>,
    /// Running statistics and counters, as each shard alone would have left them.
    buffers: Vec<Tensor>,
    /// Its share of the batch's mean loss, a scalar.
    loss: Tensor,
}

impl Contribution {
    fn add(&mut self, other: &Contribution) {
        let own = self.gradients.iter_mut().chain(&mut self.buffers);
        for (sum, term) in own.zip(other.gradients.iter().chain(&other.buffers)) {
            *sum += term;
        }
        self.loss = &self.loss + &other.loss;
    }
}

/// The rows of a batch of `size` images that are `shard` of `shards`; their numbers differ by one at most.
fn rows(size: usize, shard: usize, shards: usize) -> Range<usize> {
    shard * size / shards..(shard + 1) * size / shards
}

impl Trainer<'_> {
    /// Takes one step on the images at `batch`, which must be at least as many as there are shards. From the first loss
    /// or gradient on that is not finite, no weight is changed; see [`TrainState::ensure_finite`].
    ///
    /// # Errors
    /// A weight that the loss does not depend on.
    pub(super) fn step(&self, state: &mut TrainState, batch: &[usize]) -> Result<()> {
        let train = &self.experiment.train;
        let before = match train.shards {
            1 => Vec::new(), // the only shard may leave its statistics where they are
            _ => self.network.buffers().map(|buffer| buffer.copy()).collect(),
        };
        let position = Position::new(
            &state.progress,
            self.steps_per_epoch(),
            self.batch_size(),
            train.epochs,
        );
        let lr = schedule::rate(&train.schedule, train.optimizer.lr(), position);
        state.optimizer.set_lr(lr);
        let whole = self.sum(state, batch, &before, 0..train.shards)?;
        for (mut buffer, sum) in self.network.buffers().zip(&whole.buffers) {
            // Means. Counters have the same value in every shard.
            let mean = match sum.kind() {
                Kind::Int64 => sum.divide_scalar_mode(train.shards as i64, "trunc"),
                _ => sum / train.shards as f64,
            };
            buffer.copy_(&mean);
        }
        state.optimizer.step(&whole.gradients, &whole.loss)?;
        state.progress.lr = lr;
        state.progress.step += 1;
        state.progress.images += batch.len();
        Ok(())
    }

    /// What `shards` give together: the halves of a range are summed first, and then added.
    fn sum(
        &self,
        state: &mut TrainState,
        batch: &[usize],
        before: &[Tensor],
        shards: Range<usize>,
    ) -> Result<Contribution> {
        if shards.len() == 1 {
            return self.contribution(state, batch, before, shards.start);
        }
        let middle = shards.start + shards.len() / 2;
        let mut left = self.sum(state, batch, before, shards.start..middle)?;
        left.add(&self.sum(state, batch, before, middle..shards.end)?);
        Ok(left)
    }

    /// Forward and backward pass of one shard, starting from the running statistics `before` the step.
    fn contribution(
        &self,
        state: &mut TrainState,
        batch: &[usize],
        before: &[Tensor],
        shard: usize,
    ) -> Result<Contribution> {
        let (train, seed) = (&self.experiment.train, self.experiment.seed);
        for (mut buffer, before) in self.network.buffers().zip(before) {
            buffer.copy_(before);
        }
        let indices = &batch[rows(batch.len(), shard, train.shards)];
        let (x, labels) = self.images.batch(indices);
        let augment = &self.experiment.data.augment;
        let x = augment::apply(augment, x, indices, seed, state.progress.epoch);
        tch::manual_seed(dropout_seed(seed, state.progress.step, shard));
        let logits = {
            let _bf16 = match train.precision {
                Precision::F32 | Precision::Tf32 => None,
                Precision::Bf16 => Some(Autocast::bf16(self.network.device().is_cuda())?),
            };
            self.network.forward(&x, Phase::Train)
        };
        let mean = metrics::loss(&train.loss, &logits, &labels);
        let loss = &mean * (indices.len() as f64 / batch.len() as f64);
        loss.backward();
        state.tally.add(&logits, &labels, &mean);
        let buffers = self.network.buffers().take(before.len());
        Ok(Contribution {
            gradients: state.optimizer.take_gradients()?,
            buffers: buffers.map(|buffer| buffer.copy()).collect(),
            loss: loss.detach(),
        })
    }
}

/// The seed of libtorch's own generator, which draws dropout: a function of (seed, step, shard). The first shard has
/// that of an undivided batch.
fn dropout_seed(seed: u64, step: usize, shard: usize) -> i64 {
    let place = [step as u64, shard as u64];
    let place = if shard == 0 { &place[..1] } else { &place[..] };
    (Stream::new(seed, Purpose::Libtorch, place).bits() >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_contiguous_cover_the_batch_and_differ_by_one_row_at_most() {
        for (size, shards) in [(32, 1), (32, 4), (30, 4), (9, 8), (8, 8), (1, 1)] {
            let all: Vec<_> = (0..shards).map(|shard| rows(size, shard, shards)).collect();
            assert_eq!((all[0].start, all[shards - 1].end), (0, size));
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lengths = all.iter().map(Range::len);
            let (least, most) = (lengths.clone().min(), lengths.max());
            assert!(most <= least.map(|least| least + 1), "{size} in {shards}");
            assert_eq!(least, Some(size / shards));
        }
    }
}
