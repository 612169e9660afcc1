//! Everything from which a training can go on with the same bits.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use tch::Tensor;

use super::metrics::{Sums, Tally};
use super::optimizer::{OPTIMIZER, Optimizer};
use super::progress::Progress;
use crate::fault::{Blame, Fault};
use crate::model::network::Network;

/// A training between two steps: the network whose weights it changes, and all else that it changes. Looking costs
/// nothing; [`TrainState::snapshot`] copies.
pub struct TrainState<'a> {
    network: &'a Network,
    /// Where it stands.
    pub progress: Progress,
    /// Sums of the epoch under way.
    pub tally: Tally,
    /// The parameters with their moments.
    pub optimizer: Optimizer,
    /// The step it stood at when `optimizer` was made.
    resumed_at: usize,
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

impl<'a> TrainState<'a> {
    /// Of `network` before the first step.
    pub fn new(network: &'a Network, optimizer: Optimizer) -> TrainState<'a> {
        TrainState {
            network,
            progress: Progress::start(),
            tally: Tally::new(network.device()),
            optimizer,
            resumed_at: 0,
        }
    }

    /// The same at `progress`, from where it goes on.
    pub(super) fn at(self, progress: Progress) -> TrainState<'a> {
        TrainState {
            resumed_at: progress.step,
            progress,
            ..self
        }
    }

    /// Makes sure that every step so far has moved the weights; waits for the device.
    ///
    /// # Errors
    /// The first step whose loss or gradient was not finite. Nothing was moved from there on.
    pub fn ensure_finite(&self) -> Result<()> {
        let Progress {
            epoch, step, lr, ..
        } = self.progress;
        let valid = self.resumed_at + self.optimizer.updates()?;
        if valid < step {
            let first = valid + 1;
            let what = format!("the loss or a gradient of step {first} (epoch {epoch})");
            return diverged(&what, lr);
        }
        Ok(())
    }

    /// Copies everything; waits for the device.
    ///
    /// # Errors
    /// A training that has diverged: nothing to continue from.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.ensure_finite()?;
        let mut tensors = self.network.state();
        tensors.extend(self.optimizer.state());
        Ok(Snapshot {
            progress: self.progress.clone(),
            sums: self.tally.sums()?,
            tensors,
        })
    }
}

/// The error of a training in which `what` is not finite, at the learning rate `lr`.
pub(super) fn diverged<T>(what: &str, lr: f64) -> Result<T> {
    Err(anyhow!(
        "training diverged: {what} is not finite, and no weight was changed from there on; lower train.optimizer.lr \
         (now {lr:.2e}) or set train.clip_grad_norm: 1.0"
    ))
    .blame(Fault::Diverged)
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
