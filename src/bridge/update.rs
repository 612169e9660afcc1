//! One update of all parameters by optimisers that libtorch has and tch does not bind, or binds with no way to read
//! their state.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, answer, handle, handles};

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
        lr: Handle,
        loss: Handle,
        diverged: Handle,
        portable: bool,
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
/// float32 scalar `diverged` becomes 1, for good, and nothing is moved any more. The learning rate `lr` is a scalar on
/// their device, float64 on the CPU and float32 elsewhere, as libtorch's fused kernels read it. Nothing is read back from a
/// GPU.
///
/// # Errors
/// Tensors whose devices, types or shapes differ.
pub fn update(
    rule: &Rule,
    parameters: &[Tensor],
    gradients: &[Tensor],
    moments: &Moments,
    lr: &Tensor,
    loss: &Tensor,
    diverged: &Tensor,
) -> Result<()> {
    call(
        rule,
        parameters,
        gradients,
        moments,
        [lr, loss, diverged],
        false,
    )
}

/// With libtorch's kernels also on the CPU where it is to be `portable`.
fn call(
    rule: &Rule,
    parameters: &[Tensor],
    gradients: &[Tensor],
    moments: &Moments,
    [lr, loss, diverged]: [&Tensor; 3],
    portable: bool,
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
            handle(lr),
            handle(loss),
            handle(diverged),
            portable,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const COUNT: usize = 40_000; // more than two pieces of work
    const LR: f64 = 0.05;

    /// The number that `rule` moves to by `gradients`, in float64 and from the papers' formulas.
    fn by_hand(rule: &Rule, start: f64, gradients: impl Iterator<Item = f64>) -> f64 {
        let (mut p, mut m, mut v) = (start, 0.0, 0.0);
        for (step, g) in (1..).zip(gradients) {
            let decoupled = rule.kind == UpdateKind::Adamw;
            let g = if decoupled {
                g
            } else {
                g + rule.weight_decay * p
            };
            v = rule.beta2 * v + (1.0 - rule.beta2) * g * g;
            match rule.kind {
                UpdateKind::Sgd => {
                    m = rule.momentum * m + g;
                    p -= LR
                        * if rule.nesterov {
                            g + rule.momentum * m
                        } else {
                            m
                        };
                }
                UpdateKind::Adam | UpdateKind::Adamw => {
                    if decoupled {
                        p *= 1.0 - LR * rule.weight_decay;
                    }
                    m = rule.beta1 * m + (1.0 - rule.beta1) * g;
                    let [first, second] = [(m, rule.beta1), (v, rule.beta2)]
                        .map(|(x, beta)| x / (1.0 - beta.powi(step)));
                    p -= LR * first / (second.sqrt() + rule.eps);
                }
                UpdateKind::Rmsprop => {
                    m = rule.momentum * m + g / (v.sqrt() + rule.eps);
                    p -= LR * m;
                }
            }
        }
        p
    }

    #[test]
    fn every_rule_moves_parameters_as_its_formula_says_on_any_number_of_threads_and_by_libtorch() {
        let common = Rule {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.1,
            ..Rule::default()
        };
        let sgd = |momentum, nesterov| Rule {
            momentum,
            nesterov,
            ..common
        };
        let kind = |kind, momentum| Rule {
            kind,
            momentum,
            ..common
        };
        let rules = [
            sgd(0.0, false),
            sgd(0.9, false),
            sgd(0.9, true),
            kind(UpdateKind::Adam, 0.0),
            kind(UpdateKind::Adamw, 0.0),
            kind(UpdateKind::Rmsprop, 0.0),
            kind(UpdateKind::Rmsprop, 0.5),
        ];
        tch::manual_seed(14);
        let options = (Kind::Float, Device::Cpu);
        let start = Tensor::randn([COUNT as i64], options);
        let gradients: Vec<Tensor> = (0..4)
            .map(|_| Tensor::randn([COUNT as i64], options))
            .collect();
        for rule in rules {
            let moved = |threads, portable| {
                tch::set_num_threads(threads);
                let p = [start.copy()];
                let [m, v] = [(); 2].map(|()| [start.zeros_like()]);
                let steps = [Tensor::zeros([0i64; 0], options)];
                let [loss, diverged] = [1.0f32, 0.0].map(Tensor::from);
                let lr = Tensor::from(LR);
                let first: &[Tensor] = if rule.kind == UpdateKind::Sgd && rule.momentum == 0.0 {
                    &[]
                } else {
                    &m
                };
                let moments = Moments {
                    first,
                    second: &v,
                    steps: &steps,
                };
                for g in &gradients {
                    let g = [g.copy()];
                    let scalars = [&lr, &loss, &diverged];
                    call(&rule, &p, &g, &moments, scalars, portable).unwrap();
                }
                Vec::<f32>::try_from(&p[0]).unwrap()
            };
            let before = tch::get_num_threads();
            let [one, other] = [1, 3].map(|threads| moved(threads, false));
            let libtorch = moved(before, true);
            tch::set_num_threads(before);
            assert_eq!(one, other, "{rule:?}");
            let numbers = |x: &Tensor| Vec::<f32>::try_from(x).unwrap();
            let (start, gradients) = (
                numbers(&start),
                gradients.iter().map(numbers).collect::<Vec<_>>(),
            );
            for at in (0..COUNT).step_by(97) {
                let steps = gradients.iter().map(|g| f64::from(g[at]));
                let expected = by_hand(&rule, f64::from(start[at]), steps);
                for found in [one[at], libtorch[at]] {
                    let difference = (f64::from(found) - expected).abs();
                    // Four steps, each a few roundings of up to 2.4e-7 on numbers up to 8.
                    assert!(difference < 2e-6, "{rule:?}: {found} is not {expected}");
                }
            }
        }
    }

    #[test]
    fn a_norm_that_is_too_long_is_clipped_and_one_that_is_none_moves_nothing() {
        for portable in [false, true] {
            let p = [&[1.0f32, 2.0][..], &[3.0]].map(Tensor::from_slice);
            let moments = Moments {
                first: &[],
                second: &[],
                steps: &[],
            };
            let [loss, diverged] = [1.0f32, 0.0].map(Tensor::from);
            let lr = Tensor::from(1.0f64);
            let rule = Rule {
                max_norm: 1.0,
                ..Rule::default()
            };
            let step = |gradients: [&[f32]; 2]| {
                let gradients = gradients.map(Tensor::from_slice);
                let scalars = [&lr, &loss, &diverged];
                call(&rule, &p, &gradients, &moments, scalars, portable).unwrap();
            };
            step([&[3.0, 0.0], &[4.0]]);
            // The norm is 5, so that a fifth of each gradient is left.
            let found = Vec::<f64>::try_from(Tensor::cat(&p, 0).to_kind(Kind::Double)).unwrap();
            for (found, expected) in found.into_iter().zip([0.4, 2.0, 2.2]) {
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            }
            let before = Tensor::cat(&p, 0);
            step([&[f32::NAN, 0.0], &[4.0]]);
            step([&[3.0, 0.0], &[4.0]]);
            assert!(Tensor::cat(&p, 0).equal(&before));
            assert_eq!(f32::try_from(&diverged).unwrap(), 1.0);
        }
    }
}
