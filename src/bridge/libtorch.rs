//! The libtorch that this process runs on.

use std::ffi::CStr;

use super::calls::{Message, owned};

unsafe extern "C" {
    fn signet_cpu_capability() -> Message;
}

/// The libtorch this program was built against; the build refuses any other.
pub const LIBTORCH: &str = "2.11.0";

/// The file that libtorch was loaded from, if the system can tell.
pub fn library_of_libtorch() -> Option<String> {
    // SAFETY: `found` is written by dladdr alone, and its name is a C string that lives as long as the library.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        // at::globalContext(), which every libtorch has.
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"_ZN2at13globalContextEv".as_ptr());
        (libc::dladdr(symbol, &mut found) != 0 && !found.dli_fname.is_null()).then(|| {
            CStr::from_ptr(found.dli_fname)
                .to_string_lossy()
                .into_owned()
        })
    }
}

/// The instructions libtorch chooses its CPU kernels by, such as `AVX2`.
pub fn cpu_capability() -> String {
    // SAFETY: hands over a text.
    owned(unsafe { signet_cpu_capability() })
}
