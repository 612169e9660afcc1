//! Images on the device where a model trains, and the batches cut from them.
//!
//! The whole data set lies on the device as `[N, H, W, C]`: picking rows then gives channels-last
//! batches for free, which convolutions on the CPU are fastest with.

use tch::{Device, Tensor};

use super::Dataset;
use crate::rng::{Purpose, Stream};

/// All images and labels on a device.
pub struct Images {
    x: Tensor,
    y: Tensor,
}

impl Images {
    /// Copies `data` to `device`.
    pub fn new(data: &Dataset, device: Device) -> Images {
        let [channels, height, width] = data.shape.map(|n| n as i64);
        let x = Tensor::from_slice(&data.images).view([-1, channels, height, width]);
        let x = x.permute([0, 2, 3, 1]).contiguous().to_device(device);
        Images {
            x,
            y: Tensor::from_slice(&data.labels).to_device(device),
        }
    }

    /// The images at `indices`.
    ///
    /// # Shapes
    /// `[B, C, H, W]` in 0..1, channels last in memory, and labels `[B]`.
    pub fn batch(&self, indices: &[usize]) -> (Tensor, Tensor) {
        let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let indices = Tensor::from_slice(&indices).to_device(self.x.device());
        (
            self.x.index_select(0, &indices).permute([0, 3, 1, 2]),
            self.y.index_select(0, &indices),
        )
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        self.x.numel() * 4 + self.y.numel() * 8
    }
}

/// The training part in the order of `epoch`, a function of (seed, epoch) alone.
pub fn order(part: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut order = part.to_vec();
    Stream::new(seed, Purpose::Order, &[epoch as u64]).shuffle(&mut order);
    order
}
