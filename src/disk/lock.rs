//! One process per folder, or several that have agreed to share it.
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
    /// Whether the file names this process.
    signed: bool,
}

impl Lock {
    /// The name of the file that is locked.
    pub const NAME: &str = "lock";

    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// Other processes hold it (they are named), or the folder cannot be written.
    pub fn take(folder: &Folder) -> Result<Lock> {
        wait_for(folder, File::try_lock, Lock::sign)
    }

    /// Takes it if nobody holds it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn try_take(folder: &Folder) -> Result<Option<Lock>> {
        let place = || cannot_lock(folder);
        let file = folder.open_lock(Lock::NAME).with_context(place)?;
        match file.try_lock() {
            Ok(()) => Lock::sign(file).map(Some).with_context(place),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(place),
        }
    }

    /// Takes it together with all others who share it, called `sharers`. Nobody can take it alone meanwhile, and
    /// [`Lock::is_held`] does not see it.
    ///
    /// # Errors
    /// A process holds it alone (it is named), or the folder cannot be written.
    pub fn share(folder: &Folder, sharers: &str) -> Result<Lock> {
        let sign = |mut file: File| {
            let mut signed = String::new();
            file.read_to_string(&mut signed)?;
            // The others read this very file.
            if signed != sharers && file.metadata()?.nlink() == 1 {
                write_name(&mut file, sharers)?;
            }
            Ok(Lock {
                file,
                signed: false,
            })
        };
        wait_for(folder, File::try_lock_shared, sign)
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

    /// Whether a process holds the lock of `folder` alone. It may not any more when this is read.
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
        let own = format!("process {} ({})", std::process::id(), command());
        write_name(&mut lock, &own)?;
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

/// Takes the lock of `folder` by `lock`, which others may hold for a moment, and has it signed.
fn wait_for(
    folder: &Folder,
    lock: impl Fn(&File) -> Result<(), TryLockError>,
    sign: impl FnOnce(File) -> std::io::Result<Lock>,
) -> Result<Lock> {
    let place = || cannot_lock(folder);
    let mut file = folder.open_lock(Lock::NAME).with_context(place)?;
    let began = Instant::now();
    loop {
        match lock(&file) {
            Ok(()) => return sign(file).with_context(place),
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => return Err(error).with_context(place),
        }
    }
    let mut holder = String::new();
    file.read_to_string(&mut holder).unwrap_or_default();
    let holder = match holder.as_str() {
        "" => "another process",
        holder => holder,
    };
    bail!(
        "{} is in use by {holder}; wait for it, or stop it first",
        folder.path().display()
    );
}

fn cannot_lock(folder: &Folder) -> String {
    format!("cannot lock {}", folder.file(Lock::NAME).display())
}

/// Makes `name` all that the file says.
fn write_name(file: &mut File, name: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(name.as_bytes())
}

fn command() -> String {
    let arguments = std::env::args_os().skip(1);
    let words = arguments.map(|word| word.to_string_lossy().into_owned());
    format!("signet {}", words.collect::<Vec<_>>().join(" "))
}
