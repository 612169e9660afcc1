//! CUDA: libtorch's library for it, and the devices of this machine.

use std::path::Path;

use anyhow::{Result, bail};

use super::library::Library;

/// Opens libtorch's CUDA library. It must come before any question about CUDA, whose answer libtorch
/// remembers; the binary is not linked against it so that it starts where only the CPU's part is there.
///
/// # Errors
/// The reason why the library cannot be opened.
fn open_library() -> Result<()> {
    let flags = libc::RTLD_LAZY | libc::RTLD_GLOBAL;
    Library::open(Path::new("libtorch_cuda.so"), flags).map(drop)
}

/// How many CUDA devices this process can use, at least one. The first call opens libtorch's CUDA library, which takes a
/// quarter of a second.
///
/// # Errors
/// There is none: the part that is missing, and how to get it.
pub fn devices() -> Result<usize> {
    if Library::open(Path::new("libcuda.so.1"), libc::RTLD_LAZY).is_err() {
        bail!(
            "there is no NVIDIA driver, which CUDA needs (libcuda.so.1 cannot be opened); nvidia-smi should list a device"
        );
    }
    if let Err(reason) = open_library() {
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
pub fn library() -> Option<String> {
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
