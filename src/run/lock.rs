//! One process per run directory.
//!
//! The lock is the operating system's (`flock`), so it falls with the process that holds it, however that
//! ends, and a file left behind locks nobody out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Held while a process writes to a run directory.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock of the run directory `folder`.
    ///
    /// # Errors
    /// Another process holds it (it is named), or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Lock> {
        let file = folder.join("lock");
        let place = || format!("cannot lock {}", file.display());
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .with_context(place)?;
        match lock.try_lock() {
            Ok(()) => {
                lock.set_len(0).with_context(place)?;
                lock.rewind().with_context(place)?;
                write!(lock, "process {} ({})", std::process::id(), command())
                    .with_context(place)?;
                Ok(Lock(lock))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder).unwrap_or_default();
                let holder = match holder.as_str() {
                    "" => "another process",
                    holder => holder,
                };
                bail!(
                    "{} is in use by {holder}; wait for it, or stop it first",
                    folder.display()
                );
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(place),
        }
    }

    /// Whether a process holds the lock of `folder`. It may not any more when this is read.
    pub fn is_held(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join("lock")) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The name of a process that is gone would only mislead; the lock itself falls with the file.
        let _ = self.0.set_len(0);
    }
}

fn command() -> String {
    let arguments = std::env::args_os().skip(1);
    let words = arguments.map(|word| word.to_string_lossy().into_owned());
    format!("signet {}", words.collect::<Vec<_>>().join(" "))
}
