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
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::process;
use crate::messages::escaped;

/// Looks of a waiting thread (<https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html>).
const SPINS: &CStr = c"GOMP_SPINCOUNT=1000";

/// Variables by which a user settles how threads wait.
const SETTLED: [&[u8]; 2] = [b"GOMP_SPINCOUNT=", b"OMP_WAIT_POLICY="];

/// Parses the arguments and, where the answer is help, the version or a mistake, prints it and exits, as it does
/// where there is no working folder; otherwise makes threads wait briefly, and looks at the processors. The
/// executable lists it in `.preinit_array`; `main` parses again.
///
/// # Safety
/// `arguments` must hold `count` C strings, and it and `environment` end with a null pointer.
pub unsafe extern "C" fn before_libraries<P: clap::Parser>(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let argument = |index: usize| {
        // SAFETY: the loader hands us `count` C strings, as it hands them to `main`.
        let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
        OsString::from_vec(text.to_bytes().to_vec())
    };
    let words: Vec<OsString> = (0..count as usize).map(argument).collect();
    if let Err(answer) = P::try_parse_from(&words) {
        // A mistake is quoted, and must not tell the terminal what to do.
        let harmless = words
            .iter()
            .map(|word| escaped(&word.to_string_lossy()).into_owned());
        let answer = P::try_parse_from(harmless).err().unwrap_or(answer);
        let _ = answer.print();
        let _ = std::io::stdout().flush();
        // SAFETY: nothing has been set up yet that would have to be torn down.
        unsafe { libc::_exit(answer.exit_code()) }
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
