//! The memory that decoding takes, for all threads together.
//!
//! A few kilobytes of PNG can stand for a gigabyte of pixels, and every thread may meet such a file at once. So each
//! takes its share of one budget before it decodes, and waits where others have taken it. A thread takes once and
//! holds nothing while it waits, so none waits for ever.

use std::sync::{Condvar, Mutex, PoisonError};

/// Most memory that decoding takes at a time, in bytes. An image that needs more is refused.
pub const BUDGET: u64 = 1 << 30;

static FREE: Mutex<u64> = Mutex::new(BUDGET);
static GIVEN_BACK: Condvar = Condvar::new();

/// A part of the budget, given back when it is dropped.
pub struct Share(u64);

impl Share {
    /// Takes `bytes` of the budget, and waits until they are free; nothing where the budget is smaller.
    pub fn take(bytes: u64) -> Option<Share> {
        if bytes > BUDGET {
            return None;
        }
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = GIVEN_BACK.wait_while(free, |free| *free < bytes);
        *enough.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Some(Share(bytes))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        GIVEN_BACK.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn threads_together_never_hold_more_than_the_budget() {
        let held = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for size in (1..=16).map(|n| n * BUDGET / 16) {
                let held = &held;
                scope.spawn(move || {
                    let _share = Share::take(size).expect("no more than the budget");
                    let now = held.fetch_add(size, Ordering::SeqCst) + size;
                    assert!(now <= BUDGET, "{now} bytes at once");
                    std::thread::yield_now();
                    held.fetch_sub(size, Ordering::SeqCst);
                });
            }
        });
        assert!(Share::take(BUDGET + 1).is_none());
    }
}
