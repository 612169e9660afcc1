//! Where tensors live: the word in an experiment, and the device of this machine that it means.

use anyhow::bail;
use serde::{Serialize, Serializer};
use serde_yaml::Value;

use super::key::{Rule, Shape};
use super::setting::{Setting, describe};
use crate::bridge::cuda;
use crate::fault::{Blame, Fault};

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// CUDA if there is any, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number; `cuda` is `cuda:0`.
    Cuda(usize),
}

impl Device {
    /// The device to use for the process of that `local_rank` among those of one run on this machine, each of which gets a
    /// GPU of its own; only `auto` may fall back to the CPU. The CUDA library is opened only when CUDA is asked for, because
    /// that takes a quarter of a second.
    ///
    /// # Errors
    /// CUDA was asked for by name and is not there: which part is missing; a fault of the config.
    pub fn choose(self, local_rank: usize) -> anyhow::Result<tch::Device> {
        self.find(local_rank).blame(Fault::Config)
    }

    fn find(self, local_rank: usize) -> anyhow::Result<tch::Device> {
        match self {
            Device::Cpu => Ok(tch::Device::Cpu),
            Device::Auto if cuda::devices().is_err() => Ok(tch::Device::Cpu),
            Device::Auto => Device::Cuda(0).find(local_rank),
            Device::Cuda(number) => match cuda::devices() {
                Ok(count) if number + local_rank < count => {
                    Ok(tch::Device::Cuda(number + local_rank))
                }
                Ok(count) if local_rank > 0 => bail!(
                    "device: cuda: process {} of this machine has no GPU of its own, of which there are {count}; start {} \
                     process(es) on it, or use device: cpu",
                    local_rank + 1,
                    count.saturating_sub(number).max(1)
                ),
                Ok(count) => bail!(
                    "device: cuda:{number} is not there; this machine has {count} CUDA device(s), from cuda:0"
                ),
                Err(error) => Err(error.context(format!("device: cuda:{number} cannot be used"))),
            },
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Setting for Device {
    fn shape(_: Rule) -> Shape {
        Shape::Form("auto, cpu, cuda or cuda:N", &["auto", "cpu", "cuda"])
    }

    fn read(value: &Value) -> Result<Device, String> {
        let word = value.as_str().unwrap_or_default();
        match word
            .strip_prefix("cuda")
            .map(|number| number.strip_prefix(':').map(str::parse))
        {
            Some(None) if word == "cuda" => Ok(Device::Cuda(0)),
            Some(Some(Ok(number))) => Ok(Device::Cuda(number)),
            None if word == "cpu" => Ok(Device::Cpu),
            None if word == "auto" => Ok(Device::Auto),
            _ => Err(format!(
                "expected auto, cpu, cuda or cuda:N, found {}",
                describe(value)
            )),
        }
    }
}
