//! How the C++ of the bridge is called: pointers to tensors go in, and null or a message comes back.

use std::borrow::Cow;
use std::ffi::{CStr, c_char};

use anyhow::{Result, anyhow};
use tch::Tensor;
use torch_sys::C_tensor;

/// A pointer to an `at::Tensor`, which is what a `tch::Tensor` is (torch-sys, `torch_api.h`), so that lists of tensors
/// can be handed over as they are.
pub(super) type Handle = *mut C_tensor;

/// A C string that the bridge allocated for us to free, or null.
pub(super) type Message = *mut c_char;

/// The handles of `tensors`, valid while they are borrowed.
pub(super) fn handles(tensors: &[Tensor]) -> Vec<Handle> {
    tensors
        .iter()
        .map(|tensor| tensor.as_ptr().cast_mut())
        .collect()
}

/// The handle of `tensor`, valid while it is borrowed.
pub(super) fn handle(tensor: &Tensor) -> Handle {
    tensor.as_ptr().cast_mut()
}

/// The tensor that `call` makes and writes to the place it is given.
///
/// # Safety
/// `call` writes a new tensor, or answers with a message.
pub(super) unsafe fn made(call: impl FnOnce(*mut Handle) -> Message) -> Result<Tensor> {
    let mut tensor: Handle = std::ptr::null_mut();
    answer(call(&mut tensor))?;
    // SAFETY: the handle written is a new tensor that we own from here on.
    Ok(unsafe { Tensor::from_ptr(tensor) })
}

/// Turns the answer of a bridge function into a result.
pub(super) fn answer(message: Message) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    Err(anyhow!("libtorch: {}", first_words(&owned(message))))
}

/// A text of the bridge as ours.
pub(super) fn owned(text: Message) -> String {
    // SAFETY: a text is a C string that the bridge got from `strdup`, and it is freed once.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        libc::free(text.cast());
        copy
    }
}

/// Where libtorch's messages go on with C++ frames or with all numbers of a tensor.
const FRAMES: [&str; 5] = [
    "\nException raised from ",
    "\\nException raised from ",
    "\nframe #",
    "\\nframe #",
    "Tensor:\n",
];

/// What an error says; if it is libtorch's, before its C++ frames and on one line.
pub fn first_words(text: &str) -> Cow<'_, str> {
    match FRAMES.iter().filter_map(|mark| text.find(mark)).min() {
        None => Cow::Borrowed(text),
        Some(end) => {
            let words: Vec<&str> = text[..end].split_whitespace().collect();
            Cow::Owned(words.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn signet_test_product(a: Handle, b: Handle, product: *mut Handle) -> Message;
    }

    /// The matrix product by the bridge (`guard_test.cpp`).
    fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        // SAFETY: the C++ side writes a new tensor.
        unsafe { made(|product| signet_test_product(handle(a), handle(b), product)) }
    }

    #[test]
    fn a_gradient_flows_through_what_the_bridge_computes() {
        let a = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0])
            .view([2, 2])
            .set_requires_grad(true);
        let b = Tensor::from_slice(&[5.0, 6.0, 7.0, 8.0]).view([2, 2]);
        product(&a, &b).unwrap().sum(tch::Kind::Double).backward();
        // d sum(AB) / dA[i][j] is the sum of row j of B, 11 and 15.
        let gradient: Vec<f64> = a.grad().view([4]).try_into().unwrap();
        assert_eq!(gradient, [11.0, 15.0, 11.0, 15.0]);
    }

    #[test]
    fn an_exception_in_the_bridge_is_an_error_of_one_line() {
        let ones = Tensor::ones([2, 3], (tch::Kind::Float, tch::Device::Cpu));
        let error = product(&ones, &ones).unwrap_err().to_string();
        assert!(error.contains("shapes cannot be multiplied"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn an_error_of_libtorch_loses_its_frames_and_keeps_its_sentence() {
        let ones = || Tensor::ones([2, 3], (tch::Kind::Float, tch::Device::Cpu));
        let text = ones().f_matmul(&ones()).unwrap_err().to_string();
        assert!(
            text.contains("frame #"),
            "libtorch no longer sends frames: {text}"
        );
        let words = first_words(&text);
        assert!(
            words.contains("shapes cannot be multiplied") && !words.contains("frame #"),
            "{words}"
        );
    }
}
