//! Answering before libtorch wakes up.
//!
//! libtorch takes half a second to register its operators when it is loaded, before `main`. Nobody
//! should wait for that to read `--help` or a typo in a flag. On Linux the functions an executable lists
//! in `.preinit_array` are called before any library's initialisers (System V ABI, "Initialization and
//! Termination Functions"), with the arguments of `main`; elsewhere the answer just comes later.

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{CStr, OsString, c_char, c_int};
    use std::io::Write;
    use std::os::unix::ffi::OsStringExt;

    #[used]
    #[unsafe(link_section = ".preinit_array")]
    static EARLY: extern "C" fn(c_int, *const *const c_char) = early;

    extern "C" fn early(count: c_int, arguments: *const *const c_char) {
        let argument = |index: usize| {
            // SAFETY: the loader hands us `count` C strings, as it hands them to `main`.
            let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
            OsString::from_vec(text.to_bytes().to_vec())
        };
        let arguments = (0..count as usize).map(argument);
        if let Err(answer) = <crate::cli::Arguments as clap::Parser>::try_parse_from(arguments) {
            let _ = answer.print();
            let _ = std::io::stdout().flush();
            // SAFETY: nothing has been set up yet that would have to be torn down.
            unsafe { libc::_exit(answer.exit_code()) }
        }
    }
}
