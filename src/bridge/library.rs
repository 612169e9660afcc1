//! Shared libraries that this program opens while it runs.

use std::ffi::{CStr, CString, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

/// An open library; it stays open.
pub(super) struct Library {
    handle: *mut c_void,
    /// What it was opened by.
    pub(super) name: PathBuf,
}

impl Library {
    /// Opens the library at `path`; a bare name is looked for where the system's loader looks.
    ///
    /// # Errors
    /// The loader's reason.
    pub(super) fn open(path: &Path, flags: c_int) -> Result<Library> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: opening a library runs its constructors, which is what we want; the name is a C string, and after a
        // failure there is a message, which lives until this thread calls the loader again.
        unsafe {
            let handle = libc::dlopen(name.as_ptr(), flags);
            if handle.is_null() {
                let reason = CStr::from_ptr(libc::dlerror()).to_string_lossy();
                return Err(anyhow!("{}", reason.trim()));
            }
            let name = path.to_owned();
            Ok(Library { handle, name })
        }
    }

    /// The address of the symbol called `name`, in the library or what it was linked with.
    pub(super) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: the handle is open, the name is a C string.
        let address = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    }
}

/// The file that `address` was loaded from, if the system can tell.
pub(super) fn file_of(address: *const c_void) -> Option<PathBuf> {
    // SAFETY: `found` is written by dladdr alone, and its name is a C string that lives as long as the library.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &mut found) != 0 && !found.dli_fname.is_null()).then(|| {
            let name = CStr::from_ptr(found.dli_fname);
            PathBuf::from(OsStr::from_bytes(name.to_bytes()))
        })
    }
}
