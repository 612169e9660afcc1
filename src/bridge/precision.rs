//! Which kernels libtorch may choose: those that repeat bit for bit, and those that compute in TF32 or bfloat16.

use anyhow::Result;

use super::calls::{Message, answer};

unsafe extern "C" {
    fn signet_set_deterministic(wanted: bool) -> Message;
    fn signet_set_tf32(wanted: bool) -> Message;
    fn signet_has_tf32(cublas: *mut bool, cudnn: *mut bool) -> Message;
    fn signet_cpu_computes_bf16() -> bool;
    fn signet_autocast(cuda: bool, on: bool) -> Message;
}

/// Asks libtorch for kernels that repeat bit for bit, or no longer.
///
/// # Errors
/// None that is known.
pub fn set_deterministic(wanted: bool) -> Result<()> {
    // SAFETY: sets flags of libtorch's context.
    answer(unsafe { signet_set_deterministic(wanted) })
}

/// Lets CUDA round the factors of float32 products to TF32's ten bits of mantissa, in products of matrices, convolutions
/// and recurrent layers alike, or none of them. Products of bfloat16 are summed in float32 from then on.
///
/// # Errors
/// None that is known.
pub fn set_tf32(wanted: bool) -> Result<()> {
    // SAFETY: sets flags of libtorch's context.
    answer(unsafe { signet_set_tf32(wanted) })
}

/// Whether libtorch lets CUDA use TF32: in cuBLAS (products of matrices), and in cuDNN (convolutions, recurrent layers).
///
/// # Errors
/// None that is known.
pub fn tf32() -> Result<[bool; 2]> {
    let [mut cublas, mut cudnn] = [false; 2];
    // SAFETY: writes the two flags.
    answer(unsafe { signet_has_tf32(&mut cublas, &mut cudnn) })?;
    Ok([cublas, cudnn])
}

/// Whether this processor has instructions for bfloat16 that libtorch uses; without them it is emulated.
pub fn cpu_computes_bf16() -> bool {
    // SAFETY: asks libtorch.
    unsafe { signet_cpu_computes_bf16() }
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
