//! From the word in an experiment to a device of this machine.

use anyhow::{Result, bail};

use crate::config::Device;

/// What there is of CUDA, or why there is nothing.
pub fn cuda_devices() -> Result<usize> {
    if let Err(reason) = super::open_cuda() {
        bail!(
            "libtorch's CUDA library cannot be opened ({reason}); scripts/setup --cuda installs it"
        );
    }
    match usize::try_from(tch::Cuda::device_count()) {
        Ok(count @ 1..) if tch::Cuda::is_available() => Ok(count),
        _ => bail!(
            "libtorch's CUDA library is there, but no NVIDIA driver or device; nvidia-smi should list one"
        ),
    }
}

/// The file of libtorch's CUDA library, if it was opened and the system can tell (Linux).
pub fn cuda_library() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps
        .lines()
        .find(|line| line.ends_with("/libtorch_cuda.so"))?;
    line.find('/').map(|path| line[path..].to_owned())
}

/// Names of the GPUs that the NVIDIA driver lists, in its order (Linux).
pub fn gpu_names() -> Vec<String> {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<_> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    let name = |folder: &std::path::PathBuf| {
        let text = std::fs::read_to_string(folder.join("information")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(line.trim().to_owned())
    };
    folders.iter().filter_map(name).collect()
}

/// The device to use; only `auto` may fall back to the CPU. The CUDA library is opened only when CUDA is
/// asked for, because that takes a quarter of a second.
///
/// # Errors
/// CUDA was asked for by name and is not there: which part is missing.
pub fn choose(device: Device) -> Result<tch::Device> {
    match device {
        Device::Cpu => Ok(tch::Device::Cpu),
        Device::Auto => Ok(cuda_devices().map_or(tch::Device::Cpu, |_| tch::Device::Cuda(0))),
        Device::Cuda(number) => match cuda_devices() {
            Ok(count) if number < count => Ok(tch::Device::Cuda(number)),
            Ok(count) => bail!(
                "device: cuda:{number} is not there; this machine has {count} CUDA device(s), from cuda:0"
            ),
            Err(error) => Err(error.context(format!("device: cuda:{number} cannot be used"))),
        },
    }
}
