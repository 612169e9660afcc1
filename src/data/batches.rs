//! The order in which an epoch meets the images it learns from.

use crate::rng::{Purpose, Stream};

/// The training part in the order of `epoch`, a function of (seed, epoch) alone.
pub fn order(part: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut order = part.to_vec();
    Stream::new(seed, Purpose::Order, &[epoch as u64]).shuffle(&mut order);
    order
}
