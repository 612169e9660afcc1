//! The libtorch that this process runs on.

use std::ffi::c_int;
use std::path::PathBuf;

use super::calls::{Message, owned};
use super::library::file_of;

unsafe extern "C" {
    fn signet_cpu_capability() -> Message;
    fn signet_set_num_threads(threads: c_int);
}

/// The libtorch this program was built against; the build refuses any other.
pub const LIBTORCH: &str = "2.11.0";

/// The file that libtorch was loaded from, if the system can tell.
pub fn library_of_libtorch() -> Option<PathBuf> {
    // SAFETY: asks for at::globalContext(), which every libtorch has.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_ZN2at13globalContextEv".as_ptr()) };
    file_of(symbol)
}

/// The instructions libtorch chooses its CPU kernels by, such as `AVX2`.
pub fn cpu_capability() -> String {
    // SAFETY: hands over a text.
    owned(unsafe { signet_cpu_capability() })
}

/// Has the operators that the calling thread asks for compute in `threads` threads.
///
/// As `at::set_num_threads`, which also starts threads for kernels of mobile devices: nothing here runs those, and they look
/// for work for tens of milliseconds, on the processors that the first step needs.
pub fn set_num_threads(threads: usize) {
    // SAFETY: sets a number in libraries that take any.
    unsafe { signet_set_num_threads(threads as c_int) }
}
