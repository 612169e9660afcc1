//! One step: the gradients of each shard of each batch, their sum, clipping, and the update.
//!
//! `train.accumulate` makes a step of several batches, whose gradients are added one after the other. `train.shards` cuts
//! every batch into contiguous pieces, whose gradients are added in a binary tree whose form follows from the number of
//! shards alone (`contribution`). Each piece gives the gradients of its share of the step's mean loss. So the bits of a step
//! do not depend on who computes which piece, or when.

use std::ops::Range;

use anyhow::Result;
use tch::{Kind, Tensor};

use super::contribution::{self, Contribution, Parts};
use super::loss::{Target, Targets};
use super::metrics::Tally;
use super::progress::Progress;
use super::replay::{Inputs, Replay};
use super::schedule::{self, Position};
use super::snapshot::TrainState;
use super::trainer::{Signal, Trainer};
use crate::bridge::{self, Autocast};
use crate::config::Experiment;
use crate::config::train::Precision;
use crate::data::augment;
use crate::data::augment::mix::{self, Mix};
use crate::data::pixels::InOrder;
use crate::data::sampler::Sample;
use crate::model::layer::Phase;
use crate::rng::{Purpose, Stream};

/// What a step meets.
struct StepSamples<'s> {
    samples: &'s [Sample],
    /// How much they count together.
    weight: f64,
}

/// The rows of a batch of `size` images that are `shard` of `shards`; their numbers differ by one at most.
fn rows(size: usize, shard: usize, shards: usize) -> Range<usize> {
    shard * size / shards..(shard + 1) * size / shards
}

impl Trainer<'_> {
    /// The pieces of each batch.
    fn shards(&self) -> usize {
        self.experiment.train.pieces(self.ranks.world())
    }

    /// Takes one step on `samples`, whose batches must each be at least as many as there are shards. From the first loss or
    /// gradient on that is not finite, no weight is changed; see [`TrainState::ensure_finite`]. Answers with the signal that
    /// one of the processes has heard, if one has.
    ///
    /// # Errors
    /// A weight that the loss does not depend on, a step that CUDA cannot record, or a process that is lost.
    pub(super) fn step(
        &self,
        state: &mut TrainState,
        replay: &mut Replay,
        samples: &[Sample],
        images: &mut InOrder,
        signal: Signal,
    ) -> Result<Option<i32>> {
        let (train, shards) = (&self.experiment.train, self.shards());
        let pieces = samples.len().div_ceil(self.batch_size()) * shards;
        let weight = |piece| self.weight(self.piece(samples, piece), state.progress.epoch);
        let step = StepSamples {
            samples,
            weight: (0..pieces).map(weight).sum(),
        };
        let position = Position::new(
            &state.progress,
            self.steps_per_epoch(),
            self.step_size(),
            train.epochs,
        );
        let lr = schedule::rate(&train.schedule, train.optimizer.lr(), position);
        state.optimizer.set_lr(lr);
        let heard = if (train.accumulate, shards) == (1, 1) {
            let inputs = self.inputs(&state.progress, &step, 0, images)?;
            let keeps = state.optimizer.kept_gradients().is_some();
            let mut work = |inputs: &Inputs| {
                let (gradients, loss, tally) = self.gradients(state, inputs)?;
                state.tally.add(&tally);
                state.optimizer.step(&gradients, &loss)
            };
            if keeps {
                work(&inputs)?; // where a step was recorded, so was that it keeps none
            } else {
                replay.run(inputs, work)?;
            }
            signal()
        } else {
            let mut whole = self.batch(state, &step, 0, images, signal)?;
            for batch in 1..samples.len().div_ceil(self.batch_size()) {
                whole.add(&self.batch(state, &step, batch, images, signal)?);
            }
            let whole = whole.parts(self.network);
            state.tally.add(&whole.tally);
            state.optimizer.step(&whole.gradients, &whole.loss)?;
            contribution::signal_of(&whole.heard)?
        };
        state.tally.count(samples.len());
        state.progress.lr = lr;
        state.progress.step += 1;
        state.progress.images += samples.len();
        Ok(heard)
    }

    /// What one batch of a step gives, whose running statistics and counters become those of the network, and the signals
    /// that processes have heard by then.
    fn batch(
        &self,
        state: &mut TrainState,
        step: &StepSamples,
        batch: usize,
        images: &mut InOrder,
        signal: Signal,
    ) -> Result<Contribution> {
        let shards = self.shards();
        let before: Vec<Tensor> = self.network.buffers().map(|buffer| buffer.copy()).collect();
        let first = batch * shards;
        let reduction = self.experiment.train.reduction;
        let whole =
            contribution::of_all(first..first + shards, reduction, self.ranks, &mut |piece| {
                self.contribution(state, step, &before, piece, images, signal)
            })?;
        let sums = whole.parts(self.network).buffers;
        for (mut buffer, sum) in self.network.buffers().zip(sums) {
            // Means. Counters have the same value in every shard.
            let mean = match sum.kind() {
                Kind::Int64 => sum.divide_scalar_mode(shards as i64, "trunc"),
                _ => sum / shards as f64,
            };
            buffer.copy_(&mean);
        }
        Ok(whole)
    }

    /// Forward and backward pass of one piece, starting from the running statistics `before` its batch.
    fn contribution(
        &self,
        state: &mut TrainState,
        step: &StepSamples,
        before: &[Tensor],
        piece: usize,
        images: &mut InOrder,
        signal: Signal,
    ) -> Result<Contribution> {
        for (mut buffer, before) in self.network.buffers().zip(before) {
            buffer.copy_(before);
        }
        let inputs = self.inputs(&state.progress, step, piece, images)?;
        let (gradients, loss, tally) = self.gradients(state, &inputs)?;
        Ok(Contribution::of(&Parts {
            gradients,
            buffers: self.network.buffers().collect(),
            loss,
            tally,
            heard: contribution::heard(signal(), self.network.device()),
        }))
    }

    /// The images of `samples`, from the beginning of a step on, that this process computes with, in order.
    pub(super) fn own_images(&self, samples: &[Sample]) -> Vec<usize> {
        let shards = self.shards();
        let batches = samples.chunks(self.batch_size());
        let own = batches.flat_map(|batch| {
            let pieces = self.ranks.share(0..shards);
            pieces.flat_map(move |piece| &batch[rows(batch.len(), piece, shards)])
        });
        own.map(|sample| sample.image).collect()
    }

    /// The samples of one piece of a step, counted shard by shard through all batches.
    fn piece<'s>(&self, samples: &'s [Sample], piece: usize) -> &'s [Sample] {
        let shards = self.shards();
        let start = piece / shards * self.batch_size();
        let batch = &samples[start..samples.len().min(start + self.batch_size())];
        &batch[rows(batch.len(), piece % shards, shards)]
    }

    /// How the images of a piece are mixed, if they are.
    fn mixes(&self, piece: &[Sample], epoch: usize) -> Option<Vec<Mix>> {
        let (config, [_, height, width]) = (&self.experiment.data, self.images.index.shape);
        let size = [height, width].map(|side| side as i64);
        mix::draw(&config.augment, piece, size, self.experiment.seed, epoch)
    }

    /// What the images of a piece show.
    fn targets(&self, piece: &[Sample], mixes: Option<&[Mix]>) -> Vec<Target> {
        let labels = self.images.index.labels_of(&images(piece));
        let Some(mixes) = mixes else {
            return labels.into_iter().map(Target::one).collect();
        };
        let next = labels.iter().cycle().skip(1);
        let pairs = labels.iter().zip(next).zip(mixes);
        pairs
            .map(|((&own, &next), mix)| Target::two(own, next, mix.share))
            .collect()
    }

    /// How much the images of a piece count together.
    fn weight(&self, piece: &[Sample], epoch: usize) -> f64 {
        if !self.criterion.weighs() {
            return piece.len() as f64;
        }
        let mixes = self.mixes(piece, epoch);
        self.criterion
            .weight(&self.targets(piece, mixes.as_deref()))
    }

    /// The host's part of the passes of one piece of a step's `samples`: its images, changed at random, what they show, and a
    /// seed for dropout.
    fn inputs(
        &self,
        progress: &Progress,
        step: &StepSamples,
        piece: usize,
        images: &mut InOrder,
    ) -> Result<Inputs> {
        let (seed, epoch) = (self.experiment.seed, progress.epoch);
        let own = self.piece(step.samples, piece);
        let mixes = self.mixes(own, epoch);
        let x = self.changed(own, mixes.as_deref(), epoch, images)?;
        let targets = self.targets(own, mixes.as_deref());
        tch::manual_seed(dropout_seed(seed, progress.step, piece));
        Ok(Inputs {
            targets: Targets::new(&targets, mixes.is_some(), x.device()),
            x,
            share: self.weight(own, epoch) / step.weight,
        })
    }

    /// The next of `images`, those of a piece, changed at random and mixed: `[B, C, H, W]`.
    fn changed(
        &self,
        piece: &[Sample],
        mixes: Option<&[Mix]>,
        epoch: usize,
        images: &mut InOrder,
    ) -> Result<Tensor> {
        let Experiment { data, seed, .. } = self.experiment;
        let x = images.next(piece.len())?;
        let x = augment::apply(&data.augment, x, piece, *seed, epoch);
        Ok(match mixes {
            Some(mixes) => mix::apply(&x, mixes),
            None => x,
        })
    }

    /// The images that the first step of the first epoch begins with, `most` of them at the most, by their numbers and as the
    /// network meets them, before normalisation: `[B, C, H, W]` in 0..1.
    ///
    /// # Errors
    /// A file that is gone or has changed.
    pub fn first_images(&self, most: usize) -> Result<(Vec<usize>, Tensor)> {
        let epoch = 1;
        let samples = self.sampler().epoch(epoch);
        let piece = self.piece(&samples, 0);
        let piece = &piece[..piece.len().min(most)];
        let mixes = self.mixes(piece, epoch);
        let numbers = images(piece);
        let mut images = self.images.pixels.in_order(numbers.clone());
        let changed = self.changed(piece, mixes.as_deref(), epoch, &mut images)?;
        Ok((numbers, bridge::in_unit(&changed)?))
    }

    /// The device's part, forward and backward: gradients of the trained tensors, the share of the step's mean loss, and what
    /// the images add to the tally.
    fn gradients(
        &self,
        state: &TrainState,
        inputs: &Inputs,
    ) -> Result<(Vec<Tensor>, Tensor, Tensor)> {
        let train = &self.experiment.train;
        let logits = {
            let _bf16 = match train.precision {
                Precision::F32 | Precision::Tf32 => None,
                Precision::Bf16 => Some(Autocast::bf16(self.network.device().is_cuda())?),
            };
            self.network.forward(&inputs.x, Phase::Train)
        };
        let mean = self.criterion.mean(&logits, &inputs.targets);
        let loss = &mean * inputs.share;
        loss.backward();
        let tally = Tally::of(&logits, &inputs.targets.labels, &mean);
        Ok((state.optimizer.take_gradients()?, loss.detach(), tally))
    }
}

/// The images that are met.
fn images(samples: &[Sample]) -> Vec<usize> {
    samples.iter().map(|sample| sample.image).collect()
}

/// The seed of libtorch's own generator, which draws dropout: a function of (seed, step, piece). The first piece has
/// that of a step in one.
fn dropout_seed(seed: u64, step: usize, piece: usize) -> i64 {
    let place = [step as u64, piece as u64];
    let place = if piece == 0 { &place[..1] } else { &place[..] };
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
