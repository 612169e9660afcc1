//! One update of all parameters by optimisers that libtorch has and tch does not bind, or binds with no way to read
//! their state.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, answer, handles};

unsafe extern "C" {
    fn signet_update(
        rule: *const Rule,
        parameters: *const Handle,
        gradients: *const Handle,
        count: usize,
        first: *const Handle,
        first_count: usize,
        second: *const Handle,
        second_count: usize,
        steps: *const Handle,
        steps_count: usize,
        loss: Handle,
        diverged: Handle,
    ) -> Message;
}

/// Which optimiser, by the numbers that `update.cpp` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i64)]
pub enum UpdateKind {
    /// `torch.optim.SGD`.
    #[default]
    Sgd = 0,
    /// `torch.optim.Adam`: the penalty is part of the gradient.
    Adam = 1,
    /// `torch.optim.AdamW`: the penalty is not.
    Adamw = 2,
    /// `torch.optim.RMSprop`.
    Rmsprop = 3,
}

/// What one update does; `update.cpp` has the same. An optimiser passes over what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct Rule {
    /// Which optimiser.
    pub kind: UpdateKind,
    /// Learning rate.
    pub lr: f64,
    /// Memory of the gradients.
    pub beta1: f64,
    /// Memory of their squares, which RMSprop calls alpha.
    pub beta2: f64,
    /// Keeps the denominator away from zero.
    pub eps: f64,
    /// L2 penalty, or AdamW's own.
    pub weight_decay: f64,
    /// Share of the last step that is kept.
    pub momentum: f64,
    /// The largest Euclidean norm of all gradients together (`torch.nn.utils.clip_grad_norm_`); 0 for any.
    pub max_norm: f64,
    /// Whether SGD looks ahead.
    pub nesterov: bool,
}

/// What an optimiser remembers of each parameter, in their order; empty where it does not.
#[derive(Debug)]
pub struct Moments<'a> {
    /// Averages of gradients, or momenta.
    pub first: &'a [Tensor],
    /// Averages of their squares.
    pub second: &'a [Tensor],
    /// Updates made: float32 scalars.
    pub steps: &'a [Tensor],
}

/// Moves float32 `parameters` against the `gradients` of `loss`, a scalar. If that or a gradient is not finite, the
/// float32 scalar `diverged` becomes 1, for good, and nothing is moved any more. Nothing is read back from a GPU.
///
/// # Errors
/// Tensors whose devices, types or shapes differ.
pub fn update(
    rule: &Rule,
    parameters: &[Tensor],
    gradients: &[Tensor],
    moments: &Moments,
    loss: &Tensor,
    diverged: &Tensor,
) -> Result<()> {
    let [first, second, steps] = [moments.first, moments.second, moments.steps].map(handles);
    for list in [&first, &second, &steps] {
        assert!([0, parameters.len()].contains(&list.len()));
    }
    assert_eq!(gradients.len(), parameters.len());
    // SAFETY: the lists are as long as said, and a list of moments is as long as the parameters or empty; the C++ side
    // reads only what the rule's optimiser remembers.
    answer(unsafe {
        signet_update(
            rule,
            handles(parameters).as_ptr(),
            handles(gradients).as_ptr(),
            parameters.len(),
            first.as_ptr(),
            first.len(),
            second.as_ptr(),
            second.len(),
            steps.as_ptr(),
            steps.len(),
            loss.as_ptr().cast_mut(),
            diverged.as_ptr().cast_mut(),
        )
    })
}
