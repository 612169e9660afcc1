//! What has to happen before libtorch wakes up.
//!
//! On Linux the functions an executable lists in `.preinit_array` are called before any library's initialisers
//! (System V ABI, "Initialization and Termination Functions"), with the arguments of `main`. Done there:
//!
//! libtorch takes a quarter of a second to register its operators. Nobody should wait for that to read `--help`
//! or a typo in a flag, so these are answered at once; elsewhere than on Linux the answer just comes later.
//!
//! Threads of libgomp that wait for the next piece of work look for it some 300,000 times before they sleep, for
//! milliseconds, which starves whoever else wants the processor: two busy programs beside a training make it ten
//! times slower. A thousand looks cost nothing that can be measured on an idle machine. libgomp reads that
//! number from the environment, once, when it is loaded.
//!
//! libgomp may narrow what this process can use (`process`), and MKL complains of a working folder that is gone
//! before anybody could say so in one line.

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::process;

/// Looks of a waiting thread (<https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html>).
const SPINS: &CStr = c"GOMP_SPINCOUNT=1000";

/// Variables by which a user settles how threads wait.
const SETTLED: [&[u8]; 2] = [b"GOMP_SPINCOUNT=", b"OMP_WAIT_POLICY="];

/// Lists what has to happen before libtorch wakes up in the `.preinit_array` of an executable, with `parse`: it gets the
/// words of the command line and, where they ask for nothing that needs libtorch, prints the answer and returns the exit
/// code as an error. Elsewhere than on Linux it does nothing.
#[macro_export]
macro_rules! before_libraries {
    ($parse:path) => {
        #[cfg(target_os = "linux")]
        #[allow(unsafe_code)]
        const _: () = {
            use std::ffi::{c_char, c_int};
            type Strings = *const *const c_char;

            unsafe extern "C" fn early(count: c_int, arguments: Strings, environment: Strings) {
                // SAFETY: the loader hands us what it hands to `main`.
                unsafe { $crate::bridge::early::begin(count, arguments, environment, $parse) }
            }

            #[used]
            #[unsafe(link_section = ".preinit_array")]
            static EARLY: unsafe extern "C" fn(c_int, Strings, Strings) = early;
        };
    };
}

/// Exits where `parse` has answered, or where there is no working folder; otherwise makes threads wait briefly, and
/// looks at the processors. [`before_libraries`](crate::before_libraries) calls it.
///
/// # Safety
/// `arguments` must hold `count` C strings, and it and `environment` end with a null pointer.
pub unsafe fn begin<T>(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    parse: fn(&[OsString]) -> Result<T, u8>,
) {
    let argument = |index: usize| {
        // SAFETY: the loader hands us `count` C strings, as it hands them to `main`.
        let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
        OsString::from_vec(text.to_bytes().to_vec())
    };
    let words: Vec<OsString> = (0..count as usize).map(argument).collect();
    if let Err(code) = parse(&words) {
        // SAFETY: nothing has been set up yet that would have to be torn down.
        unsafe { libc::_exit(code.into()) }
    }
    if let Err(error) = process::has_working_folder() {
        eprintln!("signet: {error}");
        // SAFETY: as above. 2 is the exit code for mistakes of a command line.
        unsafe { libc::_exit(2) }
    }
    // SAFETY: both lists are the loader's.
    unsafe { wait_briefly(arguments, environment) }
    process::look();
}

/// Starts the same program again in an environment that tells libgomp to wait briefly, unless that is settled.
///
/// # Safety
/// Both lists must hold C strings and end with a null pointer.
unsafe fn wait_briefly(arguments: *const *const c_char, environment: *const *const c_char) {
    let mut variables = Vec::new();
    // SAFETY: a list of C strings up to a null pointer.
    unsafe {
        let mut at = environment;
        while !(*at).is_null() {
            variables.push(*at);
            at = at.add(1);
        }
        let settled = |variable: &*const c_char| {
            let text = CStr::from_ptr(*variable).to_bytes();
            SETTLED.iter().any(|name| text.starts_with(name))
        };
        if variables.iter().any(settled) {
            return;
        }
    }
    variables.extend([SPINS.as_ptr(), std::ptr::null()]);
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let Ok(program) = CString::new(program.as_os_str().as_bytes()) else {
        return;
    };
    // SAFETY: lists of C strings that end with a null pointer. On success it does not return; otherwise this program goes
    // on as it is, and merely waits longer.
    unsafe {
        libc::execve(program.as_ptr(), arguments, variables.as_ptr());
    }
}
