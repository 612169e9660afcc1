//! The safe face of `bridge.cpp`: what libtorch can do and tch does not bind.
//!
//! All `unsafe` of the project is in this folder. It rests on one fact: a `tch::Tensor` is a pointer to an
//! `at::Tensor` (torch-sys, `torch_api.h`), so lists of such pointers can be handed over as they are.
#![allow(unsafe_code)]

pub mod device;
#[cfg(target_os = "linux")]
mod early;
pub mod jpeg;
pub mod process;

#[cfg(target_os = "linux")]
pub use early::before_libraries;

use std::ffi::{CStr, c_char};

use anyhow::{Result, anyhow};
use tch::Tensor;
use torch_sys::C_tensor;

use crate::messages::first_words;

type Handle = *mut C_tensor;

unsafe extern "C" {
    fn signet_free(message: *mut c_char);
    fn signet_gradients(
        parameters: *const Handle,
        gradients: *mut Handle,
        count: usize,
    ) -> *mut c_char;
    fn signet_forget_gradients(parameters: *const Handle, count: usize) -> *mut c_char;
    fn signet_clip(
        gradients: *const Handle,
        count: usize,
        max_norm: f64,
        loss: Handle,
        diverged: Handle,
    ) -> *mut c_char;
    fn signet_adam(
        parameters: *const Handle,
        gradients: *const Handle,
        averages: *const Handle,
        squares: *const Handle,
        steps: *const Handle,
        count: usize,
        decoupled: bool,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
        skip: Handle,
    ) -> *mut c_char;
    fn signet_sgd(
        parameters: *const Handle,
        gradients: *const Handle,
        momenta: *const Handle,
        count: usize,
        momentum_count: usize,
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        nesterov: bool,
        first: bool,
        skip: Handle,
    ) -> *mut c_char;
    fn signet_rmsprop(
        parameters: *const Handle,
        gradients: *const Handle,
        squares: *const Handle,
        momenta: *const Handle,
        count: usize,
        lr: f64,
        alpha: f64,
        eps: f64,
        momentum: f64,
        weight_decay: f64,
        skip: Handle,
    ) -> *mut c_char;
    fn signet_repeatable(wanted: bool) -> *mut c_char;
    fn signet_cpu_capability() -> *mut c_char;
    fn signet_autocast(cuda: bool, on: bool) -> *mut c_char;
}

/// Turns the answer of a bridge function into a result.
fn answer(message: *mut c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    Err(anyhow!("libtorch: {}", first_words(&owned(message))))
}

/// A text of the bridge as ours.
fn owned(text: *mut c_char) -> String {
    // SAFETY: a text is a C string that the bridge allocated and we free once.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        signet_free(text);
        copy
    }
}

/// The handles of `tensors`, valid while they are borrowed.
fn handles(tensors: &[Tensor]) -> Vec<Handle> {
    tensors
        .iter()
        .map(|tensor| tensor.as_ptr().cast_mut())
        .collect()
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
    answer(unsafe { signet_forget_gradients(handles(parameters).as_ptr(), parameters.len()) })
}

/// Scales `gradients` so that their common Euclidean norm is at most `max_norm`
/// (`torch.nn.utils.clip_grad_norm_`), and sets the scalar `diverged` to 1, for good, if that norm or
/// `loss` is not finite. Nothing is read back, so a GPU need not be waited for.
///
/// # Errors
/// Tensors of different devices.
pub fn clip(
    gradients: &[Tensor],
    max_norm: Option<f64>,
    loss: &Tensor,
    diverged: &Tensor,
) -> Result<()> {
    let [loss, diverged] = [loss, diverged].map(|tensor| tensor.as_ptr().cast_mut());
    // SAFETY: the list is as long as said; `diverged` is written by libtorch, as its in-place operators do.
    answer(unsafe {
        signet_clip(
            handles(gradients).as_ptr(),
            gradients.len(),
            max_norm.unwrap_or(0.0),
            loss,
            diverged,
        )
    })
}

/// The figures of one Adam step.
pub struct Adam {
    /// Whether the penalty stays out of the gradient (AdamW).
    pub decoupled: bool,
    /// Learning rate.
    pub lr: f64,
    /// Memory of the gradients.
    pub beta1: f64,
    /// Memory of their squares.
    pub beta2: f64,
    /// Penalty on large weights.
    pub weight_decay: f64,
    /// Keeps the denominator away from zero.
    pub eps: f64,
}

/// One fused step of Adam or AdamW. `steps` are float32 scalars, one per parameter; `skip` is 0, or 1 to
/// leave everything as it is.
///
/// # Errors
/// Tensors whose devices, types or strides differ.
pub fn adam(
    parameters: &[Tensor],
    gradients: &[Tensor],
    state: [&[Tensor]; 3],
    figures: &Adam,
    skip: &Tensor,
) -> Result<()> {
    let [averages, squares, steps] = state.map(handles);
    assert!(
        [gradients.len(), averages.len(), squares.len(), steps.len()]
            .iter()
            .all(|len| *len == parameters.len())
    );
    // SAFETY: all lists are equally long, as just asserted.
    answer(unsafe {
        signet_adam(
            handles(parameters).as_ptr(),
            handles(gradients).as_ptr(),
            averages.as_ptr(),
            squares.as_ptr(),
            steps.as_ptr(),
            parameters.len(),
            figures.decoupled,
            figures.lr,
            figures.beta1,
            figures.beta2,
            figures.weight_decay,
            figures.eps,
            skip.as_ptr().cast_mut(),
        )
    })
}

/// The figures of one SGD step.
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the last step that is kept.
    pub momentum: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Whether to look ahead.
    pub nesterov: bool,
    /// Whether the momenta hold nothing yet.
    pub first: bool,
}

/// One fused step of SGD; `momenta` is empty without momentum. `skip` as in [`adam`].
///
/// # Errors
/// Tensors whose devices, types or strides differ.
pub fn sgd(
    parameters: &[Tensor],
    gradients: &[Tensor],
    momenta: &[Tensor],
    figures: &Sgd,
    skip: &Tensor,
) -> Result<()> {
    assert!(gradients.len() == parameters.len() && [0, parameters.len()].contains(&momenta.len()));
    // SAFETY: the lists are as long as said.
    answer(unsafe {
        signet_sgd(
            handles(parameters).as_ptr(),
            handles(gradients).as_ptr(),
            handles(momenta).as_ptr(),
            parameters.len(),
            momenta.len(),
            figures.lr,
            figures.momentum,
            figures.weight_decay,
            figures.nesterov,
            figures.first,
            skip.as_ptr().cast_mut(),
        )
    })
}

/// The figures of one RMSprop step.
pub struct Rmsprop {
    /// Learning rate.
    pub lr: f64,
    /// Memory of the squared gradients.
    pub alpha: f64,
    /// Keeps the denominator away from zero.
    pub eps: f64,
    /// Share of the last step that is kept.
    pub momentum: f64,
    /// L2 penalty.
    pub weight_decay: f64,
}

/// One step of RMSprop. `skip` as in [`adam`].
///
/// # Errors
/// Tensors whose devices, types or shapes differ.
pub fn rmsprop(
    parameters: &[Tensor],
    gradients: &[Tensor],
    squares: &[Tensor],
    momenta: &[Tensor],
    figures: &Rmsprop,
    skip: &Tensor,
) -> Result<()> {
    assert!(
        [gradients.len(), squares.len(), momenta.len()]
            .iter()
            .all(|len| *len == parameters.len())
    );
    // SAFETY: all lists are equally long, as just asserted.
    answer(unsafe {
        signet_rmsprop(
            handles(parameters).as_ptr(),
            handles(gradients).as_ptr(),
            handles(squares).as_ptr(),
            handles(momenta).as_ptr(),
            parameters.len(),
            figures.lr,
            figures.alpha,
            figures.eps,
            figures.momentum,
            figures.weight_decay,
            skip.as_ptr().cast_mut(),
        )
    })
}

/// Asks libtorch for kernels that repeat bit for bit, or no longer; TF32 is off either way.
///
/// # Errors
/// None that is known.
pub fn set_deterministic(wanted: bool) -> Result<()> {
    // SAFETY: sets flags of libtorch's context.
    answer(unsafe { signet_repeatable(wanted) })
}

/// Has freed memory kept for the next step instead of given back to the operating system, which would
/// clear its pages again and again: up to a tenth of the time of a step, and more beside another thread.
/// Only glibc can be told so.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MIB: i32 = 1 << 20;
        // 32 MiB is the largest threshold glibc takes (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)).
        let figures = [
            (libc::M_MMAP_THRESHOLD, 32 * MIB),
            (libc::M_TRIM_THRESHOLD, 1024 * MIB),
            (libc::M_TOP_PAD, 64 * MIB),
        ];
        for (parameter, value) in figures {
            // SAFETY: sets a figure of the allocator; a refused one changes nothing.
            unsafe { libc::mallopt(parameter, value) };
        }
    }
}

/// The instructions libtorch chooses its CPU kernels by, such as `AVX2`.
pub fn cpu_capability() -> String {
    // SAFETY: hands over a text.
    owned(unsafe { signet_cpu_capability() })
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

/// Opens libtorch's CUDA library. It must come before any question about CUDA, whose answer libtorch
/// remembers; the binary is not linked against it so that it starts where only the CPU's part is there.
///
/// # Errors
/// The reason why the library cannot be opened.
pub fn open_cuda() -> Result<()> {
    // SAFETY: opening a library runs its constructors, which is what we want; the name is a C string.
    unsafe {
        if libc::dlopen(
            c"libtorch_cuda.so".as_ptr(),
            libc::RTLD_LAZY | libc::RTLD_GLOBAL,
        )
        .is_null()
        {
            let reason = CStr::from_ptr(libc::dlerror())
                .to_string_lossy()
                .into_owned();
            return Err(anyhow!("{reason}"));
        }
    }
    Ok(())
}

/// The libtorch this program was built against; the build refuses any other.
pub const LIBTORCH: &str = "2.11.0";

/// The file that libtorch was loaded from, if the system can tell.
pub fn library_of_libtorch() -> Option<String> {
    // SAFETY: `found` is written by dladdr alone, and its name is a C string that lives as long as the library.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        // at::globalContext(), which every libtorch has.
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"_ZN2at13globalContextEv".as_ptr());
        (libc::dladdr(symbol, &mut found) != 0 && !found.dli_fname.is_null()).then(|| {
            CStr::from_ptr(found.dli_fname)
                .to_string_lossy()
                .into_owned()
        })
    }
}
