//! Optimisers that libtorch has and tch does not bind, or binds with no way to read their state: each call is one step
//! over all parameters, with kernels that do a whole list of tensors at once.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, answer, handles};

unsafe extern "C" {
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
    ) -> Message;
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
    ) -> Message;
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
    ) -> Message;
}

/// The settings of one Adam step.
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
    settings: &Adam,
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
            settings.decoupled,
            settings.lr,
            settings.beta1,
            settings.beta2,
            settings.weight_decay,
            settings.eps,
            skip.as_ptr().cast_mut(),
        )
    })
}

/// The settings of one SGD step.
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
    settings: &Sgd,
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
            settings.lr,
            settings.momentum,
            settings.weight_decay,
            settings.nesterov,
            settings.first,
            skip.as_ptr().cast_mut(),
        )
    })
}

/// The settings of one RMSprop step.
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
    settings: &Rmsprop,
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
            settings.lr,
            settings.alpha,
            settings.eps,
            settings.momentum,
            settings.weight_decay,
            skip.as_ptr().cast_mut(),
        )
    })
}
