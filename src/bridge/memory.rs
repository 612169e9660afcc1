//! What the allocator of the C library is told.

/// Has freed memory kept for the next step instead of given back to the operating system, which would
/// clear its pages again and again: up to a tenth of the time of a step, and more beside another thread.
/// Only glibc can be told so.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MIB: i32 = 1 << 20;
        // 32 MiB is the largest threshold glibc takes (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)).
        let parameters = [
            (libc::M_MMAP_THRESHOLD, 32 * MIB),
            (libc::M_TRIM_THRESHOLD, 1024 * MIB),
            (libc::M_TOP_PAD, 64 * MIB),
        ];
        for (parameter, value) in parameters {
            // SAFETY: sets a parameter of the allocator; a refused one changes nothing.
            unsafe { libc::mallopt(parameter, value) };
        }
    }
}
