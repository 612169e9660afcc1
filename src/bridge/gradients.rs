//! Gradients as libtorch keeps them beside the parameters.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, answer, handles};

unsafe extern "C" {
    fn signet_gradients(parameters: *const Handle, gradients: *mut Handle, count: usize)
    -> Message;
    fn signet_zero_grad(parameters: *const Handle, count: usize) -> Message;
}

/// The gradients of `parameters`, sharing their memory.
///
/// # Errors
/// A parameter without a gradient.
pub fn gradients(parameters: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut found: Vec<Handle> = vec![std::ptr::null_mut(); parameters.len()];
    // SAFETY: both lists have `len` places; every handle written is a new tensor we own from here on.
    unsafe {
        let message = signet_gradients(
            handles(parameters).as_ptr(),
            found.as_mut_ptr(),
            parameters.len(),
        );
        let owned = found
            .into_iter()
            .filter(|handle| !handle.is_null())
            .map(|handle| Tensor::from_ptr(handle));
        let owned = owned.collect();
        answer(message).map(|()| owned)
    }
}

/// Drops the gradients of `parameters`, so that the next backward pass makes new ones.
///
/// # Errors
/// None that is known.
pub fn zero_grad(parameters: &[Tensor]) -> Result<()> {
    // SAFETY: the list is as long as said.
    answer(unsafe { signet_zero_grad(handles(parameters).as_ptr(), parameters.len()) })
}
