//! Answering before libtorch wakes up.
//!
//! libtorch takes half a second to register its operators when it is loaded, before `main`. Nobody
//! should wait for that to read `--help` or a typo in a flag. On Linux the functions an executable lists
//! in `.preinit_array` are called before any library's initialisers (System V ABI, "Initialization and
//! Termination Functions"), with the arguments of `main`; elsewhere the answer just comes later.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;

/// Parses the arguments and, where the answer is help, the version or a mistake, prints it and exits.
/// The executable lists it in `.preinit_array`; `main` parses again for the rest.
///
/// # Safety
/// `arguments` must hold `count` C strings.
pub unsafe extern "C" fn answer_early<P: clap::Parser>(
    count: c_int,
    arguments: *const *const c_char,
) {
    let argument = |index: usize| {
        // SAFETY: the loader hands us `count` C strings, as it hands them to `main`.
        let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
        OsString::from_vec(text.to_bytes().to_vec())
    };
    let arguments = (0..count as usize).map(argument);
    if let Err(answer) = P::try_parse_from(arguments) {
        let _ = answer.print();
        let _ = std::io::stdout().flush();
        // SAFETY: nothing has been set up yet that would have to be torn down.
        unsafe { libc::_exit(answer.exit_code()) }
    }
}
