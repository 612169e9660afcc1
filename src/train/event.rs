//! What a trainer tells the world. Run directories, progress bars and tests listen.

use anyhow::Result;
use tch::Tensor;

use super::metrics::{EpochRecord, Metrics};
use super::snapshot::TrainState;
use crate::data::split::Part;

/// Something that happened.
pub enum Event<'a> {
    /// An epoch begins; counts from 1.
    EpochStarted {
        /// Its number, from 1.
        epoch: usize,
    },
    /// A step was taken.
    Stepped {
        /// Steps so far in this epoch.
        step: usize,
        /// Images in its batch.
        images: usize,
        /// Its learning rate.
        lr: f64,
        /// Whether it is the last of its epoch.
        last: bool,
        /// The epoch's metrics so far, if a listener asked for them.
        metrics: Option<Metrics>,
        /// The training as it stands.
        state: &'a TrainState<'a>,
    },
    /// The network was evaluated on the val part, or on the train part if `log.samples` asks for it; after the steps of an
    /// epoch and before its metrics are told.
    Evaluated {
        /// Counts from 1.
        epoch: usize,
        /// The part.
        part: Part,
        /// Its images.
        images: &'a [usize],
        /// Logits of each, `[N, classes]`, in evaluation mode.
        logits: &'a Tensor,
    },
    /// An epoch is over.
    EpochEnded {
        /// Its metrics.
        record: &'a EpochRecord,
        /// Whether no epoch follows.
        complete: bool,
        /// The training as it stands.
        state: &'a TrainState<'a>,
    },
    /// Somebody asked the training to pause, and it does.
    Paused {
        /// The training as it stands.
        state: &'a TrainState<'a>,
    },
    /// No epoch follows.
    Finished,
}

/// Somebody who listens to a trainer.
pub trait Observer {
    /// Hears of an event.
    ///
    /// # Errors
    /// Whatever keeps the listener from going on; training ends then.
    fn notify(&mut self, event: &Event) -> Result<()>;

    /// Whether the next step should come with metrics, which makes the device be waited for.
    fn wants_metrics(&self) -> bool {
        false
    }

    /// Whether the last step of the epoch should keep its gradients for [`Event::Stepped`], which are finite then; see
    /// [`Optimizer::kept_gradients`](super::optimizer::Optimizer::kept_gradients).
    fn wants_gradients(&self) -> bool {
        false
    }
}
