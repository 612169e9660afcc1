//! `signet doctor`.

use anyhow::Result;

use crate::bridge::{self, cuda, cuda_library, process};
use crate::config::Threads;
use crate::distributed::launcher::Launcher;

pub(super) fn run() -> Result<()> {
    let line = |what: &str, found: String| crate::show!("{what:<13} {found}");
    line("signet", env!("CARGO_PKG_VERSION").to_owned())?;
    line("tch", format!("0.24.0, for libtorch {}", bridge::LIBTORCH))?;
    let libtorch = bridge::library_of_libtorch();
    line(
        "libtorch",
        libtorch.map_or("loaded from an unknown place".to_owned(), |file| {
            file.display().to_string()
        }),
    )?;
    line(
        "ONNX Runtime",
        match bridge::onnx_runtime() {
            Ok(found) => format!("{}, {}", found.version, found.file.display()),
            Err(reason) => format!("{reason:#}"),
        },
    )?;
    let devices = cuda::devices();
    let library = cuda::library();
    line("CUDA library", library.unwrap_or("not loaded".to_owned()))?;
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let driver = driver.lines().next();
    line(
        "driver",
        driver.unwrap_or("no NVIDIA driver is loaded").to_owned(),
    )?;
    match devices {
        Ok(count) => {
            let names = cuda::gpu_names();
            for number in 0..count {
                let name = names.get(number).map_or("a CUDA device", String::as_str);
                line(&format!("cuda:{number}"), name.to_owned())?;
            }
            line("device: auto", "takes cuda:0".to_owned())?
        }
        Err(reason) => line("device: auto", format!("takes the CPU, because {reason:#}"))?,
    }
    line(
        "for CUDA",
        match cuda_library::file() {
            Ok(file) => file.display().to_string(),
            Err(reason) => format!("{reason:#}"),
        },
    )?;
    line(
        "CPU",
        format!(
            "{} for this process; kernels for {}",
            process::cpus(),
            bridge::cpu_capability()
        ),
    )?;
    let launcher = Launcher::here();
    line(
        "processes",
        match &launcher {
            Ok(None) => "one, since WORLD_SIZE is not set, or 1".to_owned(),
            Ok(Some(launcher)) => launcher.to_string(),
            Err(reason) => format!("{reason:#}"),
        },
    )?;
    let threads = Threads::Auto.settle(f64::INFINITY, 1);
    line("threads: auto", format!("takes up to {threads}"))?;
    for remark in threads.remarks() {
        crate::status!("signet: {remark}");
    }
    Ok(())
}
