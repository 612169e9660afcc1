//! What has to happen before libtorch wakes up.
//!
//! On Linux the functions an executable lists in `.preinit_array` are called before any library's initialisers
//! (System V ABI, "Initialization and Termination Functions"), with the arguments of `main`. Done there:
//!
//! libtorch takes a fifth of a second to register its operators. Nobody should wait for that to read `--help` or a typo in
//! a flag, so these are answered at once, and what needs no libtorch can begin meanwhile; elsewhere than on Linux it just
//! comes later.
//!
//! Threads of libgomp that wait for the next piece of work look for it some 300,000 times before they sleep, for
//! milliseconds, which starves whoever else wants the processor: two busy programs beside a training make it ten
//! times slower. A thousand looks cost some percent at most on an idle machine. libgomp reads that number from the
//! environment, once, in its initialiser. Nothing can be added there by then, so a variable that no library reads steps
//! aside until `main` begins.
//!
//! libgomp may narrow what this process can use (`process`), and MKL complains of a working folder that is gone
//! before anybody could say so in one line.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::process;

/// Looks of a waiting thread (<https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html>).
const SPINS: &CStr = c"GOMP_SPINCOUNT=1000";

/// Variables by which a user settles how threads wait.
const SETTLED: [&[u8]; 2] = [b"GOMP_SPINCOUNT=", b"OMP_WAIT_POLICY="];

/// Variables of shells, containers and services that no library's initialiser reads, any of which may step aside.
const SPARE: [&[u8]; 8] = [
    b"_=",
    b"OLDPWD=",
    b"SHLVL=",
    b"HOSTNAME=",
    b"LOGNAME=",
    b"INVOCATION_ID=",
    b"PWD=",
    b"TERM=",
];

/// The place in the environment where [`SPINS`] stands, and what belongs there.
static PLACE: AtomicPtr<*const c_char> = AtomicPtr::new(null_mut());
static ASIDE: AtomicPtr<c_char> = AtomicPtr::new(null_mut());

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

/// Exits where `first` has answered, or where there is no working folder; otherwise makes threads wait briefly, and
/// looks at the processors. [`before_libraries`](crate::before_libraries) calls it.
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
    // SAFETY: the list is the loader's.
    unsafe { wait_briefly(environment) }
}

/// Tells libgomp to wait briefly, unless that is settled or no variable can step aside.
///
/// # Safety
/// A list of C strings that ends with a null pointer, and that nobody else reads or writes.
unsafe fn wait_briefly(environment: *mut *const c_char) {
    let mut spare = None;
    // SAFETY: as the caller has to see to.
    unsafe {
        let mut place = environment;
        while !(*place).is_null() {
            let variable = CStr::from_ptr(*place).to_bytes();
            let is_one_of = |names: &[&[u8]]| names.iter().any(|name| variable.starts_with(name));
            if is_one_of(&SETTLED) {
                return;
            }
            if is_one_of(&SPARE) {
                spare = Some(place);
            }
            place = place.add(1);
        }
        if let Some(place) = spare {
            ASIDE.store((*place).cast_mut(), Ordering::Relaxed);
            PLACE.store(place, Ordering::Relaxed);
            *place = SPINS.as_ptr();
        }
    }
}

/// Puts the variable that stepped aside back; the first thing that `main` does.
pub fn restore_environment() {
    let place = PLACE.swap(null_mut(), Ordering::Relaxed);
    if !place.is_null() {
        // SAFETY: the place is the loader's, and holds a C string before and after.
        unsafe { *place = ASIDE.load(Ordering::Relaxed) }
    }
}
