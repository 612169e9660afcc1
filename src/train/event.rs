//! What a trainer tells the world. Run directories, progress bars and tests listen.

use std::collections::BTreeMap;

use anyhow::Result;
use tch::Tensor;

use super::metrics::{EpochRecord, Figures};

/// Something that happened.
pub enum Event<'a> {
    /// An epoch begins; counts from 1.
    EpochStarted {
        /// Which.
        epoch: usize,
    },
    /// A step was taken.
    Stepped {
        /// Steps so far in this epoch.
        step: usize,
        /// Pictures in its batch.
        pictures: usize,
        /// Its learning rate.
        lr: f64,
        /// The epoch's figures so far, if a listener asked for them.
        figures: Option<Figures>,
    },
    /// An epoch is over.
    EpochEnded(&'a EpochRecord),
    /// The epoch that just ended is the best so far.
    Improved {
        /// Its record.
        record: &'a EpochRecord,
        /// Its weights, on the CPU.
        state: &'a BTreeMap<String, Tensor>,
    },
    /// No epoch follows.
    Finished {
        /// The last record.
        record: &'a EpochRecord,
        /// The last weights, on the CPU.
        state: &'a BTreeMap<String, Tensor>,
    },
}

/// Somebody who listens to a trainer.
pub trait Observer {
    /// Hears of an event.
    ///
    /// # Errors
    /// Whatever keeps the listener from going on; training ends then.
    fn notify(&mut self, event: &Event) -> Result<()>;

    /// Whether the next step should come with figures, which makes the device be waited for.
    fn wants_figures(&self) -> bool {
        false
    }
}
