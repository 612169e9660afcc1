//! One process per folder.
//!
//! The lock is the operating system's (`flock`), so it falls with the process that holds it, however that
//! ends, and a file left behind locks nobody out.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Folder;

/// How long a lock is waited for. Who only looks whether a run is in use holds it for a moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// Held while a process writes to a folder.
#[derive(Debug)]
pub struct Lock {
    file: File,
    signed: bool,
}

impl Lock {
    /// The name of the file that is locked.
    pub const NAME: &str = "lock";

    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// Another process holds it (it is named), or the folder cannot be written.
    pub fn take(folder: &Folder) -> Result<Lock> {
        let file = folder.file(Lock::NAME);
        let place = || format!("cannot lock {}", file.display());
        let mut lock = folder.open_lock(Lock::NAME).with_context(place)?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Lock::sign(lock).with_context(place),
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(error).with_context(place),
            }
        }
        let mut holder = String::new();
        lock.read_to_string(&mut holder).unwrap_or_default();
        let holder = match holder.as_str() {
            "" => "another process",
            holder => holder,
        };
        bail!(
            "{} is in use by {holder}; wait for it, or stop it first",
            folder.path().display()
        );
    }

    /// Takes the lock of a `folder` that is new. Nobody ever sees it there without its being held.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn take_new(folder: &Folder) -> Result<Lock> {
        let unnamed = super::unfinished::unfinished_name();
        let lock = folder.create(&unnamed)?;
        lock.try_lock()
            .with_context(|| format!("cannot lock {}", folder.path().display()))?;
        folder.rename(&unnamed, folder, Lock::NAME)?;
        Ok(Lock::sign(lock)?)
    }

    /// Whether a process holds the lock of `folder`. It may not any more when this is read.
    pub fn is_held(folder: &Path) -> bool {
        let place = folder.join(Lock::NAME);
        // Opening a pipe would wait for somebody to write to it.
        let found = place.is_file().then(|| File::open(place));
        let Some(Ok(file)) = found else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Writes down who holds it, unless the file has a name elsewhere, too, whose content is none of ours.
    fn sign(mut lock: File) -> std::io::Result<Lock> {
        if lock.metadata()?.nlink() > 1 {
            return Ok(Lock {
                file: lock,
                signed: false,
            });
        }
        lock.set_len(0)?;
        lock.rewind()?;
        write!(lock, "process {} ({})", std::process::id(), command())?;
        Ok(Lock {
            file: lock,
            signed: true,
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The name of a process that is gone would only mislead; the lock itself falls with the file.
        if self.signed {
            let _ = self.file.set_len(0);
        }
    }
}

fn command() -> String {
    let arguments = std::env::args_os().skip(1);
    let words = arguments.map(|word| word.to_string_lossy().into_owned());
    format!("signet {}", words.collect::<Vec<_>>().join(" "))
}
