//! Ctrl-C and `kill`: the first one asks the training to pause, the second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Has a limit on the size of files met as an error of writing, which can be told, and not as an end.
///
/// # Errors
/// An operating system that does not allow it.
pub fn tell_limits() -> Result<()> {
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

/// Whether and by what the process was asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Listens to SIGINT and SIGTERM from now on. After the first of them, another one ends the process at
    /// once, with 130 or 143; files are only ever replaced whole, so that does no harm.
    ///
    /// # Errors
    /// An operating system that does not allow it.
    pub fn listen() -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal passes the still open exit and then closes it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&armed))?;
        }
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&armed))?;
            flag::register_usize(signal, Arc::clone(&interrupt.0), signal as usize)?;
        }
        Ok(interrupt)
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}
