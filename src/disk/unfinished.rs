//! What is not finished yet: files and folders under names that nobody takes for finished ones, and the clearing away of
//! those that killed processes left.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::{FileKind, Folder, Lock};

/// How names of unfinished files and folders begin; nobody takes them for finished ones.
pub const UNFINISHED: &str = ".unfinished-";

/// Age from which an unfinished thing without a lock belongs to nobody any more: it would have its name by then.
const ABANDONED: Duration = Duration::from_secs(3600);

impl Folder {
    /// A folder in it that vanishes with all it holds, unless it is given a name. A process that clears away knows by its
    /// lock that somebody is at work there.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn unfinished(&self) -> Result<Unfinished> {
        self.clear_unfinished(ABANDONED)?;
        let name = unfinished_name();
        let folder = Folder {
            unfinished: true,
            ..self.make_folder(&name)?
        };
        Ok(Unfinished {
            lock: Some(Lock::take_new(&folder)?),
            above: self.clone(),
            folder,
            name,
        })
    }

    /// Names of what killed processes of this user left unfinished in it: folders whose lock nobody holds, and what has no
    /// lock and is of at least this `age`, which may be zero where nobody else writes.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn abandoned(&self, age: Duration) -> Result<Vec<OsString>> {
        let mut names = self.names()?;
        names.retain(|name| {
            name.as_bytes().starts_with(UNFINISHED.as_bytes()) && self.is_abandoned(name, age)
        });
        Ok(names)
    }

    /// Removes those. What cannot be removed is said and left, because it is in nobody's way.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn clear_unfinished(&self, age: Duration) -> Result<()> {
        for name in self.abandoned(age)? {
            if let Err(error) = self.remove_all(&name) {
                crate::status!("signet: not touched: {error:#}");
            }
        }
        Ok(())
    }

    /// Whether the unfinished thing called `name` is this user's, and no process is at work on it.
    fn is_abandoned(&self, name: &OsStr, age: Duration) -> bool {
        let Ok(found) = self.stat(name) else {
            return false;
        };
        let own = found.st_uid == rustix::process::geteuid().as_raw();
        let changed =
            SystemTime::UNIX_EPOCH + Duration::from_secs(found.st_mtime.max(0).unsigned_abs());
        let old = changed.elapsed().is_ok_and(|unchanged| unchanged >= age);
        let left = match self.folder(name) {
            // Its maker holds the lock from the moment it has that name.
            Ok(folder) if folder.kind(Lock::NAME) == Some(FileKind::File) => {
                !Lock::is_held(folder.path())
            }
            _ => old,
        };
        own && left
    }
}

/// A folder that vanishes unless it is finished.
#[derive(Debug)]
pub struct Unfinished {
    above: Folder,
    folder: Folder,
    name: OsString,
    lock: Option<Lock>,
}

impl Unfinished {
    /// The folder itself.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Gives it the name `to`, which must be free, and hands over its lock; all names in it are on the disk by then.
    ///
    /// # Errors
    /// A name that is taken, a disk that fails; it is still unfinished then.
    pub fn finish(&mut self, to: impl AsRef<OsStr>) -> Result<(Folder, Lock)> {
        let to = to.as_ref();
        sync_names(&self.folder)?;
        // A folder takes the place of an empty one only, and of no file.
        self.above.rename(&self.name, &self.above, to)?;
        let folder = Folder {
            path: self.above.file(to),
            handle: Arc::clone(&self.folder.handle),
            unfinished: false,
        };
        let lock = self.lock.take().context("it is finished already")?;
        self.above.sync()?;
        Ok((folder, lock))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = self.above.remove_all(&self.name);
        }
    }
}

/// Makes sure that the names in `folder`, and in the folders in it, are on the disk.
fn sync_names(folder: &Folder) -> Result<()> {
    for name in folder.names()? {
        if folder.kind(&name) == Some(FileKind::Folder) {
            sync_names(&folder.folder(&name)?)?;
        }
    }
    folder.sync()
}

/// A name that no other process uses.
pub(super) fn unfinished_name() -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos() as u64);
    format!("{UNFINISHED}{:x}-{now:x}-{count:x}", std::process::id()).into()
}
