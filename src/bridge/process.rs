//! What this process may use and what it is, and the processes and threads it starts.
//!
//! libgomp pins the thread that loads it where OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set, and whatever
//! that thread starts is pinned with it. So the processors are looked at before any library is loaded (`early`),
//! and processes and threads that are not libgomp's get all of them back.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Once, OnceLock};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

/// What the process was given.
struct Given {
    cpus: usize,
    #[cfg(target_os = "linux")]
    affinity: Option<libc::cpu_set_t>,
}

static GIVEN: OnceLock<Given> = OnceLock::new();

/// Looks at once; elsewhere than on Linux whoever asks first looks.
#[cfg(target_os = "linux")]
pub(super) fn look() {
    given();
}

fn given() -> &'static Given {
    GIVEN.get_or_init(|| Given {
        cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get()),
        #[cfg(target_os = "linux")]
        affinity: affinity(),
    })
}

/// Processors that this process may use, by its affinity and its control group, before any library chose among them.
pub fn cpus() -> usize {
    given().cpus
}

#[cfg(target_os = "linux")]
fn affinity() -> Option<libc::cpu_set_t> {
    // SAFETY: a set of bits, written by the system call alone.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        (libc::sched_getaffinity(0, size_of_val(&set), &mut set) == 0).then_some(set)
    }
}

/// Whether this process may run on the processor of that number.
#[cfg(target_os = "linux")]
pub(super) fn may_use(number: usize) -> bool {
    let set = given().affinity;
    // SAFETY: reads a bit of a set that it is in.
    set.is_some_and(|set| {
        number < libc::CPU_SETSIZE as usize && unsafe { libc::CPU_ISSET(number, &set) }
    })
}

/// Processors that this process may use by its affinity alone.
#[cfg(target_os = "linux")]
pub(super) fn affinity_count() -> usize {
    (0..libc::CPU_SETSIZE as usize)
        .filter(|&number| may_use(number))
        .count()
}

/// The numbers of the processors that this process may use, where the system says so.
pub fn cpu_list() -> String {
    #[cfg(target_os = "linux")]
    let numbers = (0..libc::CPU_SETSIZE as usize).filter(|&number| may_use(number));
    #[cfg(not(target_os = "linux"))]
    let numbers = std::iter::empty::<usize>();
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    numbers.join(",")
}

/// Lets the calling thread use every processor that the process was given. It calls the system and nothing else, as a
/// child between its making and its program must.
pub fn use_all_cpus() {
    #[cfg(target_os = "linux")]
    if let Some(set) = GIVEN.get().and_then(|given| given.affinity) {
        // SAFETY: reads a set of bits. Where it is refused the thread stays where it is.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    }
}

/// Done once the initialisers of all libraries have run.
static STARTED: Once = Once::new();

/// Tells those who wait for it that the initialisers of all libraries have run.
pub fn libraries_have_started() {
    STARTED.call_once(|| ());
}

/// Starts the threads that decode images, one per processor unless RAYON_NUM_THREADS says otherwise.
///
/// # Errors
/// An operating system that gives no more threads.
pub fn start_workers() -> Result<()> {
    let told = std::env::var("RAYON_NUM_THREADS").ok();
    let told = told.and_then(|count| count.parse().ok());
    let count = told.filter(|count| *count > 0).unwrap_or(cpus());
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .start_handler(|_| use_all_cpus())
        .build_global()
        .map_err(|error| {
            anyhow!(
                "cannot start {count} thread(s) ({error}); allow this user more (ulimit -u), or set RAYON_NUM_THREADS=1"
            )
        })
}

/// Starts `work` in a thread, with threads of its own where rayon divides it, one per processor; one of those waits until
/// [`libraries_have_started`], so that the calling thread has a processor to itself. None where there is one processor
/// alone, where the system gives no more threads, or where none may be made this early.
pub fn beside_this_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    if cpus() < 2 || !threads_come_before_libraries() {
        return None;
    }
    let divided = move || {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(cpus())
            .start_handler(|index| {
                use_all_cpus();
                if index == 0 {
                    STARTED.wait();
                }
            })
            .build();
        match threads {
            Ok(threads) => threads.install(work),
            Err(_) => work(),
        }
    };
    std::thread::Builder::new().spawn(divided).ok()
}

/// Whether threads may be made before the initialisers of libraries have run: the C library's own are one of those
/// before glibc 2.34.
fn threads_come_before_libraries() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: hands over a C string that lives for ever.
        let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
        let version = version.to_str().unwrap_or_default();
        let numbers: Vec<u32> = version
            .split('.')
            .filter_map(|part| part.parse().ok())
            .collect();
        numbers >= vec![2, 34]
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// The signals by which a batch system or a closing terminal asks for an end, beside SIGTERM.
pub const NOTICES: [i32; 3] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP];

/// A command that starts this very program, also after its file was replaced.
///
/// The process is in a group of its own and deaf to [`NOTICES`]: these and Ctrl-C are for the one that starts it,
/// which then asks it to stop, once ([`ask_to_stop`]).
///
/// # Errors
/// A system that cannot say which program this is.
pub fn own_program() -> Result<Command> {
    let path = std::env::current_exe().context("cannot tell where this program lies")?;
    let mut command = if path.exists() {
        Command::new(path)
    } else {
        // Linux holds on to the file of a running program, whatever became of its name.
        Command::new("/proc/self/exe")
    };
    command.arg0("signet").process_group(0);
    given();
    let prepare = || {
        use_all_cpus();
        for signal in NOTICES {
            // SAFETY: a plain system call.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        Ok(())
    };
    // SAFETY: what runs between fork and exec calls the system alone and takes no memory.
    unsafe { command.pre_exec(prepare) };
    Ok(command)
}

/// Sends SIGTERM to a child of this process, which std cannot.
///
/// # Errors
/// The operating system refuses.
pub fn ask_to_stop(child: &Child) -> Result<()> {
    // SAFETY: a plain system call. A child that was not waited for yet keeps its number.
    match unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// Whether `signal` is ignored, as `nohup` and `trap ''` have it.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: asks for the present handler, which the call alone writes.
    unsafe {
        let mut present: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut present) == 0
            && present.sa_sigaction == libc::SIG_IGN
    }
}

/// Ends the process with `code`. Libraries do not say farewell: libtorch would take its operators from its register one by
/// one.
pub fn leave(code: u8) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: all that has to happen at an end happens when values are dropped, and `main` holds none.
    unsafe { libc::_exit(code.into()) }
}

/// Makes sure that there is a working folder.
///
/// # Errors
/// It was removed.
pub fn has_working_folder() -> Result<()> {
    match std::env::current_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(anyhow!(
            "the working folder is gone; change to one that exists"
        )),
        _ => Ok(()),
    }
}
