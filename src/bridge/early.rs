//! What has to happen before libtorch wakes up.
//!
//! On Linux the functions an executable lists in `.preinit_array` are called before any library's initialisers
//! (System V ABI, "Initialization and Termination Functions"), with the arguments of `main`. Done there:
//!
//! libtorch takes a fifth of a second to register its operators. Nobody should wait for that to read `--help` or a typo in
//! a flag, so these are answered at once, and what needs no libtorch can begin meanwhile; elsewhere than on Linux it just
//! comes later.
//!
//! libgomp may narrow what this process can use (`process`), and MKL complains of a working folder that is gone
//! before anybody could say so in one line.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;

use super::process;

unsafe extern "C" {
    /// The C library's own (environ(7)), which it sets in its initialiser.
    static mut environ: *mut *const c_char;
}

/// Lists what has to happen before libtorch wakes up in the `.preinit_array` of an executable, with `first`: it gets the
/// words of the command line and, where they ask for nothing that needs libtorch, prints the answer and returns the exit
/// code as an error. Elsewhere than on Linux it does nothing.
#[macro_export]
macro_rules! before_libraries {
    ($first:path) => {
        #[cfg(target_os = "linux")]
        #[allow(unsafe_code)]
        const _: () = {
            use std::ffi::{c_char, c_int};

            unsafe extern "C" fn early(
                count: c_int,
                arguments: *const *const c_char,
                environment: *mut *const c_char,
            ) {
                // SAFETY: the loader hands us what it hands to `main`.
                unsafe { $crate::bridge::early::begin(count, arguments, environment, $first) }
            }

            #[used]
            #[unsafe(link_section = ".preinit_array")]
            static EARLY: unsafe extern "C" fn(c_int, *const *const c_char, *mut *const c_char) =
                early;
        };
    };
}

/// Exits where `first` has answered, or where there is no working folder; otherwise looks at the processors.
/// [`before_libraries`](crate::before_libraries) calls it.
///
/// # Safety
/// `arguments` must hold `count` C strings, and it and `environment` end with a null pointer.
pub unsafe fn begin(
    count: c_int,
    arguments: *const *const c_char,
    environment: *mut *const c_char,
    first: fn(&[OsString]) -> Result<(), u8>,
) {
    // SAFETY: what the C library's initialiser will write there.
    unsafe { environ = environment }
    process::look();
    let argument = |index: usize| {
        // SAFETY: the loader hands us `count` C strings, as it hands them to `main`.
        let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
        OsString::from_vec(text.to_bytes().to_vec())
    };
    let words: Vec<OsString> = (0..count as usize).map(argument).collect();
    if let Err(code) = first(&words) {
        // SAFETY: nothing has been set up yet that would have to be torn down.
        unsafe { libc::_exit(code.into()) }
    }
    if let Err(error) = process::has_working_folder() {
        eprintln!("signet: {error}");
        // SAFETY: as above. 2 is the exit code for mistakes of a command line.
        unsafe { libc::_exit(2) }
    }
}
