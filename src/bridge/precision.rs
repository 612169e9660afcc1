//! Which kernels libtorch may choose: those that repeat bit for bit, and those that compute in bfloat16.

use anyhow::Result;

use super::calls::{Message, answer};

unsafe extern "C" {
    fn signet_set_deterministic(wanted: bool) -> Message;
    fn signet_autocast(cuda: bool, on: bool) -> Message;
}

/// Asks libtorch for kernels that repeat bit for bit, or no longer; TF32 is off either way.
///
/// # Errors
/// None that is known.
pub fn set_deterministic(wanted: bool) -> Result<()> {
    // SAFETY: sets flags of libtorch's context.
    answer(unsafe { signet_set_deterministic(wanted) })
}

/// While it lives, forward passes of this thread compute in bfloat16 where that is deemed safe.
pub struct Autocast {
    cuda: bool,
}

impl Autocast {
    /// Turns autocast on for one kind of device.
    ///
    /// # Errors
    /// A device without bfloat16.
    pub fn bf16(cuda: bool) -> Result<Autocast> {
        // SAFETY: sets a flag of this thread, which `drop` takes back.
        answer(unsafe { signet_autocast(cuda, true) })?;
        Ok(Autocast { cuda })
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: as above. Nothing sensible could be done about an error here.
        let _ = answer(unsafe { signet_autocast(self.cuda, false) });
    }
}
