//! Ctrl-C, `kill` and a batch system's notice: the first one asks for a pause, the second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, anyhow};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::bridge::process::{NOTICES, is_ignored};
use crate::fault::{Blame, Fault};

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
    /// Listens to SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGHUP from now on; the last three stay ignored where they
    /// are. After the first of them, another one ends the process at once, with 130 or 143; files are only ever
    /// replaced whole, so that does no harm.
    ///
    /// # Errors
    /// An operating system that does not allow it.
    pub fn listen() -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let armed = Arc::new(AtomicBool::new(false));
        // Shells have SIGINT ignored by what they start in the background, where it is a way to stop it all the same.
        let mut signals = vec![SIGINT, SIGTERM];
        signals.extend(NOTICES.into_iter().filter(|signal| !is_ignored(*signal)));
        for &signal in &signals {
            // In this order: the first signal passes the still open exit and then closes it.
            let code = Fault::stopped_by(signal) as i32;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&armed))?;
        }
        for &signal in &signals {
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

    /// Takes in a `signal` that came to another process of the same run, unless one came to this one.
    pub fn hear(&self, signal: Option<i32>) {
        let heard = signal.unwrap_or(0) as usize;
        // One that came to this process meanwhile stays.
        let _ = self
            .0
            .compare_exchange(0, heard, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Goes on unless a signal came.
    ///
    /// # Errors
    /// What `sentence` makes of the signal's name, such as `SIGINT`.
    pub fn go_on(&self, sentence: impl FnOnce(&str) -> String) -> Result<()> {
        let Some(signal) = self.signal() else {
            return Ok(());
        };
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
        Err(anyhow!(sentence(name))).blame(Fault::stopped_by(signal))
    }
}
