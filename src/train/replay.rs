//! Where CUDA can have it, the device's part of a step is recorded once as a graph and replayed from then on. That is the
//! same kernels in the same order on the same numbers, so that a replayed step is the step.
//!
//! A recording knows tensors by where they lie. So weights, moments, sums and the learning rate are changed in place, and a
//! batch is copied to where the recorded one lay. Steps of another size are taken as without graphs.

use anyhow::{Context, Result, bail};
use tch::{Device, Tensor};

use super::loss::Targets;
use crate::bridge::graph::{self, Graph};
use crate::config::train::TrainConfig;
use crate::fault::{Blame, Fault};

/// Steps before the recorded one, in which libtorch's libraries make what they keep from step to step.
const WARM_UP: usize = 3;

/// What the host hands to the device for one shard.
pub struct Inputs {
    /// Images, `[B, C, H, W]`: levels as bytes, or in 0..1 where they were changed at random.
    pub x: Tensor,
    /// What they show.
    pub targets: Targets,
    /// How much its images count of those of its step, from 0 to 1.
    pub share: f64,
}

/// Makes sure that steps of `train` on `device` can be replayed, whose batches are cut into so many `pieces`.
///
/// # Errors
/// Why not; what CUDA refuses to record shows when it is recorded.
pub fn available(train: &TrainConfig, pieces: usize, device: Device) -> Result<()> {
    if !train.cuda_graphs {
        bail!("train.cuda_graphs is false");
    }
    if !device.is_cuda() {
        bail!("the device is the CPU");
    }
    if pieces > 1 {
        bail!("a batch is cut into {pieces} pieces (train.shards)");
    }
    if train.accumulate > 1 {
        bail!("train.accumulate is {}, not 1", train.accumulate);
    }
    graph::available()
}

/// The recorded step of a training, once there is one.
pub struct Replay {
    /// The GPU to record on, if steps are to be replayed.
    gpu: Option<usize>,
    /// Images of the steps to be recorded.
    size: usize,
    /// Such steps so far, up to the recorded one.
    taken: usize,
    recorded: Option<(Inputs, Graph)>,
}

impl Replay {
    /// Of steps on `size` images, where they are [`available`]; other steps are just taken.
    pub fn new(train: &TrainConfig, pieces: usize, device: Device, size: usize) -> Replay {
        let gpu = match device {
            Device::Cuda(gpu) if available(train, pieces, device).is_ok() => Some(gpu),
            _ => None,
        };
        Replay {
            gpu,
            size,
            taken: 0,
            recorded: None,
        }
    }

    /// Does `work` on `inputs`, or what was recorded of it. That the same work is given each time is up to the caller, as is
    /// that it changes tensors in place and reads no number from the host that may differ from step to step.
    ///
    /// # Errors
    /// Those of `work`, and work that CUDA cannot record: a fault of the config.
    pub fn run(&mut self, inputs: Inputs, work: impl FnOnce(&Inputs) -> Result<()>) -> Result<()> {
        let Some(gpu) = self
            .gpu
            .filter(|_| inputs.x.size()[0] as usize == self.size)
        else {
            return work(&inputs);
        };
        if let Some((fixed, graph)) = &mut self.recorded {
            fixed.x.copy_(&inputs.x);
            fixed.targets.copy_(&inputs.targets);
            return graph.replay();
        }
        self.taken += 1;
        if self.taken <= WARM_UP {
            return work(&inputs);
        }
        let graph = Graph::record(gpu, || work(&inputs))
            .context("a step cannot be recorded as a CUDA graph; set train.cuda_graphs: false")
            .blame(Fault::Config)?;
        graph.replay()?;
        self.recorded = Some((inputs, graph));
        Ok(())
    }
}
