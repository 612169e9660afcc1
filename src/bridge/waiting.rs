//! How long the threads of libgomp stay awake while they wait for the next piece of work.
//!
//! A thread that is awake takes its piece at once; one that sleeps takes some hundredth of a millisecond to come, and a step of
//! a small network has dozens of pieces. But a thread that waits awake keeps a processor from everybody else. libgomp's
//! threads look for work for three milliseconds before they sleep, and a hundred times only where it manages more threads
//! than there are processors
//! (<https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html>). So while other programs want the processors that a
//! training uses, threads are kept that do nothing and make them more.

#[cfg(target_os = "linux")]
pub use linux::be_considerate;

/// Elsewhere threads wait as their library has them.
#[cfg(not(target_os = "linux"))]
pub fn be_considerate(_threads: usize) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_uint, c_void};
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, Once};
    use std::thread::Builder;
    use std::time::{Duration, Instant};

    use crate::bridge::process;

    /// Variables by which a user settles how threads wait.
    const SETTLED: [&str; 2] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"];

    /// Time between two looks at what others do; `/proc/stat` counts in hundredths of a second.
    const PAUSE: Duration = Duration::from_millis(200);

    /// How much of a processor others may take before threads get into their way: more than a look can be wrong by.
    const NEGLIGIBLE: f64 = 0.3;

    /// Threads that compute.
    static THREADS: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" {
        /// What `#pragma omp parallel` compiles to.
        fn GOMP_parallel(
            work: extern "C" fn(*mut c_void),
            data: *mut c_void,
            threads: c_uint,
            flags: c_uint,
        );
        /// Gives back the threads that the calling one got from libgomp (OpenMP 5.0, "omp_pause_resource_all").
        fn omp_pause_resource_all(kind: c_int) -> c_int;
    }

    /// `omp_pause_soft`
    const SOFT: c_int = 1;

    /// From now on, the threads of libgomp, of which `threads` compute, sleep soon while others want their processors.
    pub fn be_considerate(threads: usize) {
        static WATCH: Once = Once::new();
        THREADS.store(threads, Ordering::Relaxed);
        let settled = SETTLED.iter().any(|name| std::env::var_os(name).is_some());
        if threads > 1 && !settled {
            // Where the system gives no thread for it, threads wait as they did.
            WATCH.call_once(|| drop(Builder::new().spawn(watch)));
        }
    }

    /// Looks at what others do, for ever.
    fn watch() {
        let processors = process::affinity_count();
        let mut before = Look::take();
        let mut crowd = false;
        loop {
            std::thread::sleep(PAUSE);
            let now = Look::take();
            let (Some(then), Some(at)) = (&before, &now) else {
                return; // no /proc
            };
            let threads = THREADS.load(Ordering::Relaxed);
            let crowded = is_crowded(threads, processors, at.others_since(then));
            if crowded != crowd && set_crowd(crowded, threads, processors) {
                crowd = crowded;
            }
            before = now;
        }
    }

    /// Whether `threads` do not find processors of their own among so many, of which others keep `taken` busy. Where there
    /// are more threads than processors libgomp knows it.
    fn is_crowded(threads: usize, processors: usize, taken: f64) -> bool {
        (2..=processors).contains(&threads)
            && threads as f64 + taken > processors as f64 + NEGLIGIBLE
    }

    /// Takes so many threads from libgomp that, with `threads` that compute, there are more than `processors`; or gives them
    /// back. Whether that was possible.
    fn set_crowd(crowded: bool, threads: usize, processors: usize) -> bool {
        extern "C" fn nothing(_: *mut c_void) {}
        if !crowded {
            // SAFETY: this thread is in no parallel region.
            return unsafe { omp_pause_resource_all(SOFT) == 0 };
        }
        // Beside the calling thread.
        let more = processors + 1 - threads;
        if !are_to_be_had(more) {
            return false;
        }
        // SAFETY: the function takes nothing and touches nothing.
        unsafe { GOMP_parallel(nothing, null_mut(), more as c_uint + 1, 0) }
        true
    }

    /// Whether the system gives `count` more threads: where it does not, libgomp ends the process.
    fn are_to_be_had(count: usize) -> bool {
        let gate = Mutex::new(());
        std::thread::scope(|scope| {
            let _closed = gate.lock();
            (0..count).all(|_| {
                let wait = || drop(gate.lock());
                Builder::new().spawn_scoped(scope, wait).is_ok()
            })
        })
    }

    /// What was computed until some moment, in seconds of a processor.
    struct Look {
        at: Instant,
        /// By everybody, on the processors that this process may use.
        all: f64,
        /// By this process.
        own: f64,
    }

    impl Look {
        /// Nothing where the system does not say.
        fn take() -> Option<Look> {
            let all = busy_ticks(
                &std::fs::read_to_string("/proc/stat").ok()?,
                process::may_use,
            )?;
            // SAFETY: plain system calls; the second writes a structure of numbers.
            let (ticks_a_second, usage) = unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                if libc::getrusage(libc::RUSAGE_SELF, &mut usage) != 0 {
                    return None;
                }
                (libc::sysconf(libc::_SC_CLK_TCK), usage)
            };
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            Some(Look {
                at: Instant::now(),
                all: all as f64 / ticks_a_second as f64,
                own: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            })
        }

        /// How many processors others kept busy between `then` and this look.
        fn others_since(&self, then: &Look) -> f64 {
            let others = (self.all - then.all) - (self.own - then.own);
            others / (self.at - then.at).as_secs_f64()
        }
    }

    /// Ticks that `used` processors were busy, of what `/proc/stat` says (proc_stat(5)).
    fn busy_ticks(stat: &str, used: impl Fn(usize) -> bool) -> Option<u64> {
        let mut all = None;
        for line in stat.lines() {
            let mut words = line.split_ascii_whitespace();
            let name = words.next().and_then(|name| name.strip_prefix("cpu"));
            let Some(number) = name.and_then(|number| number.parse().ok()) else {
                continue; // the sum of all processors, and other subjects
            };
            let ticks: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            if let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..]
                && used(number)
            {
                *all.get_or_insert(0) += user + nice + system + irq + softirq;
            }
        }
        all
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn threads_are_in_the_way_where_others_take_the_processors_they_need() {
            // threads, processors, processors that others keep busy
            let cases = [
                (2, 2, 0.0, false),
                (2, 2, 0.2, false), // an editor, or a look that is wrong by some hundredths of a second
                (2, 2, 1.0, true),
                (2, 4, 2.0, false), // two are left
                (2, 4, 2.5, true),
                (1, 1, 1.0, false), // a thread alone waits for nobody
                (4, 2, 2.0, false), // libgomp knows that there are too many
            ];
            for (threads, processors, taken, expected) in cases {
                let found = is_crowded(threads, processors, taken);
                assert_eq!(found, expected, "{threads} {processors} {taken}");
            }
        }

        #[test]
        fn processors_are_busy_in_every_way_but_idle_waiting_for_a_disk_or_stolen() {
            let stat = "cpu  1111 1111 1111 1111 1111 1111 1111 1111 0 0\n\
                        cpu0 1 2 4 1000 1000 8 16 1000 0 0\n\
                        cpu1 100 0 0 0 0 0 0 0 0 0\n\
                        cpu2 32 0 0 0 0 0 0 0 0 0\n\
                        intr 5 6 7\n";
            assert_eq!(busy_ticks(stat, |number| number != 1), Some(31 + 32));
            assert_eq!(busy_ticks("", |_| true), None);
        }
    }
}
