//! Images that are read while libtorch starts, which takes one processor a fifth of a second.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::Result;

use super::Dataset;
use crate::bridge::process;
use crate::config::data::DataConfig;

type Reading = (DataConfig, JoinHandle<Result<Dataset>>);

static READING: Mutex<Option<Reading>> = Mutex::new(None);

/// Starts to read the images of `config`, if there is a processor to spare; whoever loads them then waits for these.
pub fn read_ahead(config: DataConfig) {
    let own = config.clone();
    if let Some(thread) = process::beside_this_thread(move || Dataset::read(&own)) {
        *READING.lock().unwrap_or_else(PoisonError::into_inner) = Some((config, thread));
    }
}

/// The images of `config`, if it is they that were read ahead.
pub(super) fn take(config: &DataConfig) -> Option<Result<Dataset>> {
    let mut reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, thread) = reading.take_if(|(ahead, _)| ahead == config)?;
    // A panic comes again, where it is reported, when they are read again.
    thread.join().ok()
}
