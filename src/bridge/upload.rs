//! What the CPU hands to a GPU in every step, without waiting for it.

use tch::{Device, Tensor};

use super::calls::{Handle, Message, handle, made};

unsafe extern "C" {
    fn signet_upload(x: Handle, gpu: i64, y: *mut Handle) -> Message;
}

/// `x`, which lies on the CPU, on `device`. A GPU copies it when it gets there, and nobody waits; `x` may be dropped at once.
///
/// # Panics
/// A device without room for it.
pub fn upload(x: Tensor, device: Device) -> Tensor {
    match device {
        // SAFETY: the C++ side writes a new tensor.
        Device::Cuda(gpu) => unsafe { made(|y| signet_upload(handle(&x), gpu as i64, y)) }
            .expect("a GPU that trains has room for a batch"),
        _ => x.to_device(device),
    }
}
