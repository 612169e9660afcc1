//! One step: the gradients of each shard, their sum, clipping, and the update.
//!
//! `train.shards` cuts every batch into contiguous pieces. Each gives the gradients of its share of the batch's mean
//! loss, and these are added in a binary tree whose form follows from the number of shards alone. So the bits of a step
//! do not depend on who computes which shard, or when.

use std::ops::Range;

use anyhow::Result;
use tch::{Kind, Tensor};

use super::metrics;
use super::progress::Progress;
use super::replay::{Inputs, Replay};
use super::schedule::{self, Position};
use super::snapshot::TrainState;
use super::trainer::Trainer;
use crate::bridge::Autocast;
use crate::config::train::Precision;
use crate::data::augment;
use crate::model::layer::Phase;
use crate::rng::{Purpose, Stream};

/// What shards give a step: one of several, or the sum of some.
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
    /// A weight that the loss does not depend on, or a step that CUDA cannot record.
    pub(super) fn step(
        &self,
        state: &mut TrainState,
        replay: &mut Replay,
        batch: &[usize],
    ) -> Result<()> {
        let train = &self.experiment.train;
        let position = Position::new(
            &state.progress,
            self.steps_per_epoch(),
            self.batch_size(),
            train.epochs,
        );
        let lr = schedule::rate(&train.schedule, train.optimizer.lr(), position);
        state.optimizer.set_lr(lr);
        match train.shards {
            1 => replay.run(self.inputs(&state.progress, batch, 0), |inputs| {
                let (gradients, loss) = self.gradients(state, inputs)?;
                state.optimizer.step(&gradients, &loss)
            })?,
            shards => self.in_shards(state, batch, shards)?,
        }
        state.tally.count(batch.len());
        state.progress.lr = lr;
        state.progress.step += 1;
        state.progress.images += batch.len();
        Ok(())
    }

    /// The update by the sum of what `shards` give.
    fn in_shards(&self, state: &mut TrainState, batch: &[usize], shards: usize) -> Result<()> {
        let before: Vec<Tensor> = self.network.buffers().map(|buffer| buffer.copy()).collect();
        let whole = self.sum(state, batch, &before, 0..shards)?;
        for (mut buffer, sum) in self.network.buffers().zip(&whole.buffers) {
            // Means. Counters have the same value in every shard.
            let mean = match sum.kind() {
                Kind::Int64 => sum.divide_scalar_mode(shards as i64, "trunc"),
                _ => sum / shards as f64,
            };
            buffer.copy_(&mean);
        }
        state.optimizer.step(&whole.gradients, &whole.loss)
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
        for (mut buffer, before) in self.network.buffers().zip(before) {
            buffer.copy_(before);
        }
        let inputs = self.inputs(&state.progress, batch, shard);
        let (gradients, loss) = self.gradients(state, &inputs)?;
        Ok(Contribution {
            gradients,
            buffers: self.network.buffers().map(|buffer| buffer.copy()).collect(),
            loss,
        })
    }

    /// The host's part of the passes of one shard of `batch`: its images, changed at random, and a seed for dropout.
    fn inputs(&self, progress: &Progress, batch: &[usize], shard: usize) -> Inputs {
        let (seed, shards) = (self.experiment.seed, self.experiment.train.shards);
        let indices = &batch[rows(batch.len(), shard, shards)];
        let (x, labels) = self.images.batch(indices);
        let augment = &self.experiment.data.augment;
        let x = augment::apply(augment, x, indices, seed, progress.epoch);
        tch::manual_seed(dropout_seed(seed, progress.step, shard));
        Inputs {
            x,
            labels,
            share: indices.len() as f64 / batch.len() as f64,
        }
    }

    /// The device's part, forward and backward: gradients of the trained tensors, and the share of the batch's mean loss.
    fn gradients(&self, state: &mut TrainState, inputs: &Inputs) -> Result<(Vec<Tensor>, Tensor)> {
        let train = &self.experiment.train;
        let logits = {
            let _bf16 = match train.precision {
                Precision::F32 | Precision::Tf32 => None,
                Precision::Bf16 => Some(Autocast::bf16(self.network.device().is_cuda())?),
            };
            self.network.forward(&inputs.x, Phase::Train)
        };
        let mean = metrics::loss(&train.loss, &logits, &inputs.labels);
        let loss = &mean * inputs.share;
        loss.backward();
        state.tally.add(&logits, &inputs.labels, &mean);
        Ok((state.optimizer.take_gradients()?, loss.detach()))
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
