//! The one place where signet changes what lies on a disk.
//!
//! A [`Folder`] is held open, and what is written, cut, renamed or removed is named by one plain name in it. No link is
//! followed: a run that came from somebody else, or a name planted in a shared folder, cannot make signet touch a file
//! outside the folder it was asked to work in. Links on the way to a folder that its user named are the user's own.
//!
//! Nothing but this file opens for writing: `.clippy.toml` forbids the functions of the standard library that do.

use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File, Metadata};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use unfinished::unfinished_name;

mod lock;
mod unfinished;

pub use lock::Lock;
pub use unfinished::{UNFINISHED, Unfinished};

/// A folder held open.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    handle: Arc<OwnedFd>,
    /// Whether it lies in an [`Unfinished`] one, whose names are synced once it is finished.
    unfinished: bool,
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder, also called directory.
    Folder,
    /// A link, wherever it leads.
    Link,
    /// A pipe, a device, a socket.
    Other,
}

impl Folder {
    /// The folder at `path`, which its user named.
    ///
    /// # Errors
    /// A folder that is missing or may not be opened.
    pub fn open(path: &Path) -> Result<Folder> {
        let handle = rustix::fs::open(shown(path), FOLDER, Mode::empty())
            .with_context(|| format!("cannot open {}", shown(path).display()))?;
        Ok(Folder {
            path: path.to_owned(),
            handle: Arc::new(handle),
            unfinished: false,
        })
    }

    /// The same, made with all folders above it where it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    #[allow(clippy::disallowed_methods)] // makes new folders alone, on a path that its user named
    pub fn make(path: &Path) -> Result<Folder> {
        if !path.as_os_str().is_empty() {
            std::fs::create_dir_all(path)
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        Folder::open(path)
    }

    /// The folder that `path` lies in, and the name it has there.
    ///
    /// # Errors
    /// A path without a name, a folder that cannot be made.
    pub fn above(path: &Path) -> Result<(Folder, OsString)> {
        let name = path
            .file_name()
            .with_context(|| format!("{} is no name for a file or folder", path.display()))?;
        let above = path.parent().unwrap_or(Path::new(""));
        Ok((Folder::make(above)?, name.to_owned()))
    }

    /// Its path, for messages and for reading.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it, for messages and for reading.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The folder called `name` in it.
    ///
    /// # Errors
    /// There is none, or a link.
    pub fn folder(&self, name: impl AsRef<OsStr>) -> Result<Folder> {
        let name = self.plain(name.as_ref())?;
        let opened =
            rustix::fs::openat(&self.handle, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        let handle = opened.or_else(|error| self.refuse(name, error, "open"))?;
        Ok(Folder {
            path: self.file(name),
            handle: Arc::new(handle),
            unfinished: self.unfinished,
        })
    }

    /// The same, made where it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made, a link.
    pub fn make_folder(&self, name: impl AsRef<OsStr>) -> Result<Folder> {
        let name = self.plain(name.as_ref())?;
        match rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(error) => self.refuse(name, error, "make"),
        }
    }

    /// What `name` stands for; nothing where there is no such name.
    pub fn kind(&self, name: impl AsRef<OsStr>) -> Option<FileKind> {
        let found = self.stat(name.as_ref()).ok()?;
        Some(match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Link,
            _ => FileKind::Other,
        })
    }

    /// All names in it, sorted.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn names(&self) -> Result<Vec<OsString>> {
        let place = || format!("cannot list {}", shown(&self.path).display());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).with_context(place)? {
            let name =
                OsStr::from_bytes(entry.with_context(place)?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// A new file called `name`.
    ///
    /// # Errors
    /// A name that is taken, a folder that cannot be written.
    pub fn create(&self, name: impl AsRef<OsStr>) -> Result<File> {
        self.open_file(name.as_ref(), OFlags::CREATE | OFlags::EXCL | OFlags::RDWR)
    }

    /// The file called `name`, to be written at its end; made where it is missing.
    ///
    /// # Errors
    /// A link, a folder, a pipe; a disk that cannot be written.
    pub fn append(&self, name: impl AsRef<OsStr>) -> Result<File> {
        self.own_alone(name.as_ref())?;
        self.open_file(
            name.as_ref(),
            OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND,
        )
    }

    /// The file called `name`, made where it is missing, for a lock; nothing in it is changed.
    ///
    /// # Errors
    /// As [`Folder::append`].
    pub fn open_lock(&self, name: impl AsRef<OsStr>) -> Result<File> {
        self.open_file(name.as_ref(), OFlags::CREATE | OFlags::RDWR)
    }

    /// Cuts the file called `name` to its first `length` bytes.
    ///
    /// # Errors
    /// A file that is missing, a link; a disk that cannot be written.
    pub fn cut(&self, name: impl AsRef<OsStr>, length: u64) -> Result<()> {
        let name = name.as_ref();
        self.own_alone(name)?;
        let file = self.open_file(name, OFlags::WRONLY)?;
        file.set_len(length)
            .with_context(|| format!("cannot cut {} back", self.file(name).display()))
    }

    /// Puts `bytes` at `name` so that at any moment there is the old file or the new one: under another name first,
    /// synced, read back, renamed, and the folder synced, unless it is unfinished itself. A link of that name is replaced,
    /// and what it leads to stays.
    ///
    /// # Errors
    /// A disk that is full, cannot be written, or gives back something else; what was there before is there still.
    pub fn write_whole(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.put(name.as_ref(), bytes, |file, unfinished| {
            file.sync_all()?;
            ensure!(
                std::fs::read(unfinished)? == bytes,
                "the disk gave back other bytes than were written"
            );
            Ok(())
        })?;
        if self.unfinished {
            return Ok(());
        }
        self.sync()
    }

    /// As [`Folder::write_whole`], without syncing and reading back: for what can be made again.
    ///
    /// # Errors
    /// As there.
    pub fn write_unsynced(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.put(name.as_ref(), bytes, |_, _| Ok(()))
    }

    /// Puts `bytes` at `name` once they have passed `check`, which gets the file and its path.
    fn put(
        &self,
        name: &OsStr,
        bytes: &[u8],
        check: impl FnOnce(&File, &Path) -> Result<()>,
    ) -> Result<()> {
        let unfinished = unfinished_name();
        let written = self.create(&unfinished).and_then(|mut file| {
            file.write_all(bytes)?;
            check(&file, &self.file(&unfinished))?;
            self.rename(&unfinished, self, name)
        });
        written.map_err(|error| {
            let _ = self.remove(&unfinished);
            error.context(format!("cannot write {}", self.file(name).display()))
        })
    }

    /// Gives what is called `from` the name `to` in the folder `into`; a file of that name is replaced.
    ///
    /// # Errors
    /// Another file system, a name that is a folder's, a folder that cannot be written.
    pub fn rename(
        &self,
        from: impl AsRef<OsStr>,
        into: &Folder,
        to: impl AsRef<OsStr>,
    ) -> Result<()> {
        let (from, to) = (self.plain(from.as_ref())?, into.plain(to.as_ref())?);
        rustix::fs::renameat(&self.handle, from, &into.handle, to)
            .map_err(std::io::Error::from)
            .with_context(|| format!("cannot make {}", into.file(to).display()))
    }

    /// Removes the file or link called `name`, which may be gone already.
    ///
    /// # Errors
    /// A folder, a folder that cannot be written.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => self.refuse(name, error, "remove"),
        }
    }

    /// Removes what is called `name`, and, if it is a folder, everything in it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn remove_all(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        let inner = match self.kind(name) {
            None => return Ok(()),
            Some(FileKind::Folder) => self.folder(name)?,
            Some(_) => return self.remove(name),
        };
        inner
            .names()?
            .iter()
            .try_for_each(|name| inner.remove_all(name))?;
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => self.refuse(name, error, "remove"),
        }
    }

    /// Bytes that its disk has left for this user.
    ///
    /// # Errors
    /// A disk that does not say.
    pub fn free_bytes(&self) -> Result<u64> {
        let found = rustix::fs::fstatvfs(&*self.handle)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Makes sure that its names are on the disk.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.handle)
            .map_err(std::io::Error::from)
            .with_context(|| format!("cannot write {}", shown(&self.path).display()))
    }

    /// Held while nobody else who asks for this is at work in it; waits until that is so. It leaves no file behind.
    ///
    /// # Errors
    /// A file system without locks.
    pub fn alone(&self) -> Result<impl Drop + use<>> {
        let place = || format!("cannot lock {}", shown(&self.path).display());
        let handle =
            rustix::fs::openat(&self.handle, c".", FOLDER, Mode::empty()).with_context(place)?;
        rustix::fs::flock(&handle, FlockOperation::LockExclusive).with_context(place)?;
        Ok(handle)
    }

    fn stat(&self, name: &OsStr) -> Result<Stat> {
        let name = self.plain(name)?;
        Ok(rustix::fs::statat(
            &self.handle,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// A file that has a name elsewhere, too, is copied first, so that the other name keeps what it had.
    fn own_alone(&self, name: &OsStr) -> Result<()> {
        let Ok(found) = self.stat(name) else {
            return Ok(());
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink > 1 {
            let bytes = read(&self.file(name))?;
            self.write_whole(name, &bytes)?;
        }
        Ok(())
    }

    fn open_file(&self, name: &OsStr, flags: OFlags) -> Result<File> {
        let name = self.plain(name)?;
        // Not blocking, so that a pipe is found out instead of waited for.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o666));
        let file = File::from(opened.or_else(|error| self.refuse(name, error, "write"))?);
        ensure!(
            file.metadata()?.is_file(),
            "cannot write {}: it is no file, but a folder, a pipe or a device",
            self.file(name).display()
        );
        Ok(file)
    }

    /// One name of a file or folder in this one.
    fn plain<'n>(&self, name: &'n OsStr) -> Result<&'n OsStr> {
        let bytes = name.as_bytes();
        let one =
            !bytes.is_empty() && !bytes.contains(&b'/') && ![&b"."[..], b".."].contains(&bytes);
        ensure!(
            one,
            "{:?} is no name of something in {}",
            name,
            shown(&self.path).display()
        );
        Ok(name)
    }

    fn refuse<T>(&self, name: &OsStr, error: Errno, what: &str) -> Result<T> {
        let path = self.file(name);
        if self.kind(name) == Some(FileKind::Link) {
            bail!(
                "cannot {what} {}: it is a link, and signet changes nothing outside {}; put what it leads to in its place",
                path.display(),
                shown(&self.path).display()
            );
        }
        Err(std::io::Error::from(error))
            .with_context(|| format!("cannot {what} {}", path.display()))
    }
}

/// Largest document that is read, in bytes; `data.json` of a million images has some 100 MB.
const LARGEST_DOCUMENT: u64 = 1 << 30;

/// Largest artefact that is read, in bytes: a thousand million parameters.
const LARGEST_ARTEFACT: u64 = 1 << 32;

/// What the document or log at `path` holds. Links are followed; nothing is waited for, and nothing read without end.
///
/// # Errors
/// A file that is missing, larger than any document, a pipe or a device.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    read_up_to(path, LARGEST_DOCUMENT)
}

/// The same as text.
///
/// # Errors
/// As [`read`], and bytes that are not UTF-8.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read(path)?).map_err(std::io::Error::other)
}

/// What lies in `folder`; nothing if there is no such folder.
///
/// # Errors
/// A folder that cannot be listed, by name, such as one of somebody else: it is not taken for an empty one.
pub fn entries(folder: &Path) -> Result<Vec<DirEntry>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed
            .and_then(|entries| entries.collect())
            .with_context(|| format!("cannot list {}", folder.display())),
    }
}

/// What `path` leads to; nothing where there is none, as behind a link that leads nowhere.
///
/// # Errors
/// A folder on the way that may not be entered: what lies in it is not known to be missing.
pub fn look(path: &Path) -> Result<Option<Metadata>> {
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
            "cannot look at {}: {error}; it must lie in folders that you may enter",
            path.display()
        ),
        found => Ok(found.ok()),
    }
}

/// What the artefact at `path` holds, under the same rules.
///
/// # Errors
/// As [`read`].
pub fn read_artefact(path: &Path) -> std::io::Result<Vec<u8>> {
    read_up_to(path, LARGEST_ARTEFACT)
}

fn read_up_to(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    let refuse = |why| Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
    if !found.is_file() {
        return refuse("it is no file, but a folder, a pipe or a device".to_owned());
    }
    if found.len() > most {
        return refuse(format!("it is larger than {} GiB", most >> 30));
    }
    std::fs::read(path)
}

/// Writes `bytes` to the `file` that its user named: whole or not at all, or, where that is a pipe or a device, into it.
///
/// # Errors
/// A link to a file, which is not followed; a disk that is full or cannot be written.
pub fn write_named(file: &Path, bytes: &[u8]) -> Result<()> {
    let (above, name) = Folder::above(file)?;
    match file.metadata() {
        // Whatever links lead to a pipe or a device (`/dev/stdout`), there is nothing to lose in it.
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let open = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
            let place = || format!("cannot write {}", file.display());
            File::from(open.with_context(place)?)
                .write_all(bytes)
                .with_context(place)
        }
        _ => {
            ensure!(
                above.kind(&name) != Some(FileKind::Link),
                "cannot write {}: it is a link; name the file itself",
                file.display()
            );
            above.write_whole(&name, bytes)
        }
    }
}

/// `path`, or `.` where it is the folder that a plain name lies in.
fn shown(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        return Path::new(".");
    }
    path
}

/// Opens a folder, and nothing else.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
