//! Everything from which a training can go on with the same bits.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use tch::Tensor;

use super::metrics::{Sums, Tally};
use super::optimizer::{OPTIMIZER, Optimizer};
use super::progress::Progress;
use crate::fault::{Blame, Fault};
use crate::model::network::Network;

/// What a training changes, beside the network's weights.
pub struct TrainState {
    /// Where it stands.
    pub progress: Progress,
    /// Sums of the epoch under way.
    pub tally: Tally,
    /// Moments.
    pub optimizer: Optimizer,
}

/// A training between two steps, seen by a listener. Looking costs nothing; [`Moment::snapshot`] copies.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    network: &'a Network,
    state: &'a TrainState,
}

/// A copy of all that a training changes, on the CPU.
#[derive(Debug)]
pub struct Snapshot {
    /// Where it stood.
    pub progress: Progress,
    /// Sums of the epoch under way.
    pub sums: Sums,
    /// Weights and buffers by PyTorch's names, moments by the same names behind `optimizer.first.`,
    /// `optimizer.second.` and `optimizer.steps.`.
    pub tensors: BTreeMap<String, Tensor>,
}

impl<'a> Moment<'a> {
    /// Of `network` in `state`.
    pub fn new(network: &'a Network, state: &'a TrainState) -> Moment<'a> {
        Moment { network, state }
    }

    /// Where the training stands.
    pub fn progress(&self) -> &'a Progress {
        &self.state.progress
    }

    /// Copies everything; waits for the device.
    ///
    /// # Errors
    /// A training that has diverged since it was last looked at: nothing to continue from.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let TrainState {
            progress,
            tally,
            optimizer,
        } = self.state;
        if f64::try_from(optimizer.diverged())? != 0.0 {
            let step = progress.step;
            return Err(anyhow!(
                "training diverged: the loss or a gradient up to step {step} is not finite; lower train.optimizer.lr or \
                 set train.clip_grad_norm: 1.0"
            ))
            .blame(Fault::Diverged);
        }
        let mut tensors = self.network.state();
        tensors.extend(optimizer.state());
        Ok(Snapshot {
            progress: progress.clone(),
            sums: tally.sums()?,
            tensors,
        })
    }
}

impl Snapshot {
    /// The weights and buffers alone.
    pub fn weights(&self) -> BTreeMap<String, Tensor> {
        weights(&self.tensors)
    }
}

/// Those of `tensors` that belong to the network.
pub fn weights(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let own = tensors
        .iter()
        .filter(|(name, _)| !name.starts_with(OPTIMIZER));
    own.map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
        .collect()
}
