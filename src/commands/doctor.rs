//! `signet doctor`.

use anyhow::Result;

use crate::bridge::{self, device};

pub(super) fn run() -> Result<()> {
    crate::answer!("signet       {}", env!("CARGO_PKG_VERSION"));
    crate::answer!("tch          0.24.0, for libtorch {}", bridge::LIBTORCH);
    crate::answer!(
        "libtorch     {}",
        bridge::library_of_libtorch().unwrap_or("cannot tell from where it was loaded".to_owned())
    );
    match device::cuda_devices() {
        Ok(count) => crate::answer!("CUDA         {count} device(s); device: auto takes cuda:0"),
        Err(reason) => {
            crate::answer!("CUDA         none: {reason:#}\n             device: auto takes the CPU")
        }
    }
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    crate::answer!(
        "driver       {}",
        driver
            .lines()
            .next()
            .unwrap_or("no NVIDIA driver is loaded")
    );
    crate::answer!(
        "threads      {} of the CPU; threads: auto takes them all",
        crate::config::Threads::Auto.count()
    );
    Ok(())
}
