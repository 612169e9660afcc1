//! What torchrun is told of a failure, so that its report names the process that failed, and why.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::ranks::Lost;
use crate::disk;
use crate::fault::{self, Fault};

/// How much later than it was an error is told that another process has caused: torchrun takes the earliest for the root.
const LATER: Duration = Duration::from_secs(60);

/// Leaves an `error` of this process where torchrun looks for its reason, in the place from which it prints one.
pub fn tell_torchrun(error: &anyhow::Error) {
    let Some(file) = std::env::var_os("TORCHELASTIC_ERROR_FILE") else {
        return;
    };
    if let Some(Fault::Interrupted | Fault::Terminated) = fault::fault_of(error) {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut time = now.unwrap_or_default();
    if fault::cause::<Lost>(error).is_some() {
        time += LATER;
    }
    let why = format!("{error:#}");
    let extra = json!({"py_callstack": why, "timestamp": time.as_secs().to_string()});
    let document = json!({"message": {"message": why, "extraInfo": extra}});
    // It is a courtesy; the same is said on standard error.
    let _ = disk::write_named(Path::new(&file), document.to_string().as_bytes());
}
