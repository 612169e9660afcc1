//! What a convolutional network computes on the CPU beside oneDNN's convolutions: faster than libtorch's, with the same
//! bits for any number of threads. Whatever is not float32 with its channels innermost in memory goes to libtorch.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, handle, made};

unsafe extern "C" {
    fn signet_batch_norm(
        x: Handle,
        weight: Handle,
        bias: Handle,
        running_mean: Handle,
        running_var: Handle,
        train: bool,
        momentum: f64,
        eps: f64,
        y: *mut Handle,
    ) -> Message;
    fn signet_pool_relu(x: Handle, size: i64, y: *mut Handle) -> Message;
    fn signet_norm_pool_relu(
        x: Handle,
        weight: Handle,
        bias: Handle,
        running_mean: Handle,
        running_var: Handle,
        momentum: f64,
        eps: f64,
        size: i64,
        y: *mut Handle,
    ) -> Message;
    fn signet_conv2d(
        x: Handle,
        weight: Handle,
        bias: Handle,
        stride: i64,
        padding: i64,
        groups: i64,
        y: *mut Handle,
    ) -> Message;
}

/// The tensors and constants of a batch norm over the second dimension.
pub struct BatchNormParts<'a> {
    /// Factor of each channel.
    pub weight: &'a Tensor,
    /// Summand of each channel.
    pub bias: &'a Tensor,
    /// Moved towards the batch's mean in training.
    pub running_mean: &'a Tensor,
    /// Moved towards the batch's variance, over N - 1, in training.
    pub running_var: &'a Tensor,
    /// How far these are moved, in 0..1.
    pub momentum: f64,
    /// Added to the variance before its root is taken.
    pub eps: f64,
}

/// `torch.nn.functional.batch_norm` of `[N, C]` or `[N, C, H, W]`: by the batch's statistics in training, which needs two
/// numbers a channel, and else by the running ones.
///
/// # Errors
/// Tensors of different types or devices.
pub fn batch_norm(parts: &BatchNormParts, x: &Tensor, train: bool) -> Result<Tensor> {
    // SAFETY: the C++ side writes a new tensor, and the running statistics as libtorch's own operator does.
    unsafe {
        made(|y| {
            signet_batch_norm(
                handle(x),
                handle(parts.weight),
                handle(parts.bias),
                handle(parts.running_mean),
                handle(parts.running_var),
                train,
                parts.momentum,
                parts.eps,
                y,
            )
        })
    }
}

/// `relu(max_pool2d(x, size))` of `[N, C, H, W]`, windows side by side; what does not fill one at the far edges is left
/// out. The same as pooling after ReLU, values and gradients.
///
/// # Errors
/// An image smaller than a window.
pub fn pool_relu(x: &Tensor, size: usize) -> Result<Tensor> {
    // SAFETY: the C++ side writes a new tensor.
    unsafe { made(|y| signet_pool_relu(handle(x), size as i64, y)) }
}

/// [`batch_norm`] in training, then [`pool_relu`]: what lies between is not written to memory.
///
/// # Errors
/// As for both.
pub fn norm_pool_relu(parts: &BatchNormParts, x: &Tensor, size: usize) -> Result<Tensor> {
    // SAFETY: as for both.
    unsafe {
        made(|y| {
            signet_norm_pool_relu(
                handle(x),
                handle(parts.weight),
                handle(parts.bias),
                handle(parts.running_mean),
                handle(parts.running_var),
                parts.momentum,
                parts.eps,
                size as i64,
                y,
            )
        })
    }
}

/// `torch.nn.functional.conv2d` with square strides and paddings. The gradient of the weight is our own where few
/// channels come in: oneDNN's takes longer on two threads than on one there.
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
    groups: usize,
) -> Result<Tensor> {
    let bias = bias.map_or(std::ptr::null_mut(), handle);
    let [stride, padding, groups] = [stride, padding, groups].map(|n| n as i64);
    // SAFETY: the C++ side writes a new tensor, and takes a null bias for none.
    unsafe { made(|y| signet_conv2d(handle(x), handle(weight), bias, stride, padding, groups, y)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn random(size: &[i64]) -> Tensor {
        Tensor::randn(size, (Kind::Float, Device::Cpu))
    }

    /// `[N, C, H, W]` with its channels innermost.
    fn images(size: [i64; 4]) -> Tensor {
        let [n, c, h, w] = size;
        random(&[n, h, w, c]).permute([0, 3, 1, 2])
    }

    /// The result of `work` on leaves with the numbers of `inputs`, and their gradients, for a random gradient of the
    /// result.
    fn pass(
        kind: Kind,
        inputs: &[&Tensor],
        share: &Tensor,
        work: impl Fn(&[Tensor]) -> Tensor,
    ) -> Vec<Tensor> {
        let leaf = |x: &&Tensor| {
            // Not `copy`, which would lay the numbers out anew.
            let own = x.to_kind(kind) + 0.0;
            own.detach().set_requires_grad(true)
        };
        let leaves: Vec<Tensor> = inputs.iter().map(leaf).collect();
        let y = work(&leaves);
        (&y * share.to_kind(kind)).sum(kind).backward();
        let gradients = leaves.iter().map(Tensor::grad);
        std::iter::once(y.detach()).chain(gradients).collect()
    }

    /// The tensors of a batch norm with running statistics that have moved before, for `leaves` that are x, weight and bias.
    fn parts<'a>(leaves: &'a [Tensor], [mean, var]: &'a [Tensor; 2]) -> BatchNormParts<'a> {
        BatchNormParts {
            weight: &leaves[1],
            bias: &leaves[2],
            running_mean: mean,
            running_var: var,
            momentum: 0.1,
            eps: 1e-5,
        }
    }

    fn running(channels: i64, kind: Kind) -> [Tensor; 2] {
        let ones = || Tensor::ones([channels], (kind, Device::Cpu));
        [ones() * 0.3, ones() * 2.0]
    }

    /// What libtorch makes of the same.
    fn by_libtorch(leaves: &[Tensor], [mean, var]: &[Tensor; 2]) -> Tensor {
        let [w, b, mean, var] = [&leaves[1], &leaves[2], mean, var].map(Some);
        leaves[0].batch_norm(w, b, mean, var, true, 0.1, 1e-5, true)
    }

    fn difference(here: &Tensor, there: &Tensor) -> f64 {
        assert_eq!(here.size(), there.size());
        let [here, there] = [here, there].map(|x| x.to_kind(Kind::Double));
        let most = there.abs().max().double_value(&[]).max(1.0);
        (here - there).abs().max().double_value(&[]) / most
    }

    /// What `work` gives on different numbers of threads, which have to agree.
    fn on_threads(work: impl Fn() -> Vec<Tensor>) -> Vec<Tensor> {
        let before = tch::get_num_threads();
        let each = [1, 2, 3, 5].map(|threads| {
            tch::set_num_threads(threads);
            work()
        });
        tch::set_num_threads(before);
        assert!(each.iter().all(|other| *other == each[0]));
        each.into_iter().next().unwrap()
    }

    #[test]
    fn batch_norm_is_that_of_libtorch_in_float64_with_every_gradient() {
        let sizes: [&[i64]; 6] = [
            &[2, 1],
            &[33, 7],
            &[700, 130],
            &[2, 3, 1, 1],
            &[5, 16, 13, 9],
            &[3, 65, 20, 20],
        ];
        for size in sizes {
            let x = match *size {
                [n, c, h, w] => images([n, c, h, w]),
                _ => random(size),
            };
            // Far from zero, where a variance is easily lost, unless two numbers could be all but equal there.
            let x = if size[0] > 2 { x * 3.0 + 100.0 } else { x };
            let (weight, bias) = (random(&[size[1]]), random(&[size[1]]));
            let share = random(size);
            let theirs_running = running(size[1], Kind::Double);
            let theirs = pass(Kind::Double, &[&x, &weight, &bias], &share, |leaves| {
                by_libtorch(leaves, &theirs_running)
            });
            let ours = on_threads(|| {
                let running = running(size[1], Kind::Float);
                let mut all = pass(Kind::Float, &[&x, &weight, &bias], &share, |leaves| {
                    batch_norm(&parts(leaves, &running), &leaves[0], true).unwrap()
                });
                all.extend(running);
                all
            });
            // Numbers around 100 are known to 4e-6, which is divided by a deviation of 3 (less for two rows) and grows
            // with their number in a sum; libtorch's own float32 is up to 7e-5 away.
            for (here, there) in ours.iter().zip(theirs.iter().chain(&theirs_running)) {
                let found = difference(here, there);
                assert!(found < 2e-5, "{size:?}: {found:e}");
            }
        }
    }

    #[test]
    fn pooling_with_relu_is_libtorchs_bit_for_bit_in_either_order() {
        for (size, window) in [
            ([2, 1, 4, 4], 2),
            ([3, 16, 9, 7], 2),
            ([2, 19, 11, 12], 4),
            ([5, 48, 5, 5], 3),
            ([1, 8, 3, 3], 1),
        ] {
            // Whole numbers, so that the largest is often there twice.
            let x = (images(size) * 2.0).round();
            let share = random(&[size[0], size[1], size[2] / window, size[3] / window]);
            let sides = [window; 2];
            let pool = |x: &Tensor| x.max_pool2d(sides, sides, [0, 0], [1, 1], false);
            let ours = on_threads(|| {
                pass(Kind::Float, &[&x], &share, |x| {
                    pool_relu(&x[0], window as usize).unwrap()
                })
            });
            let after = pass(Kind::Float, &[&x], &share, |x| pool(&x[0]).relu());
            let before = pass(Kind::Float, &[&x], &share, |x| pool(&x[0].relu()));
            assert_eq!(ours, after, "{size:?} by {window}");
            assert_eq!(ours, before, "{size:?} by {window}");
        }
    }

    #[test]
    fn batch_norm_with_pooling_is_that_of_libtorch_in_float64_with_every_gradient() {
        // The largest side leaves pixels outside of all windows, and three channels no whole vector.
        for (size, window) in [([5, 16, 13, 10], 4), ([3, 3, 4, 4], 2), ([9, 40, 7, 6], 3)] {
            let x = images(size) * 3.0 + 10.0;
            // A negative weight makes the smallest number of a window the largest.
            let (weight, bias) = (random(&[size[1]]), random(&[size[1]]) + 0.5);
            let share = random(&[size[0], size[1], size[2] / window, size[3] / window]);
            let theirs_running = running(size[1], Kind::Double);
            let theirs = pass(Kind::Double, &[&x, &weight, &bias], &share, |leaves| {
                let norm = by_libtorch(leaves, &theirs_running);
                let sides = [window; 2];
                norm.max_pool2d(sides, sides, [0, 0], [1, 1], false).relu()
            });
            let ours = on_threads(|| {
                let [own, other] = [(); 2].map(|()| running(size[1], Kind::Float));
                let mut all = pass(Kind::Float, &[&x, &weight, &bias], &share, |leaves| {
                    let apart = batch_norm(&parts(leaves, &other), &leaves[0], true).unwrap();
                    let apart = pool_relu(&apart, window as usize).unwrap();
                    let parts = parts(leaves, &own);
                    let together = norm_pool_relu(&parts, &leaves[0], window as usize).unwrap();
                    assert!(together.equal(&apart));
                    together
                });
                all.extend(own);
                all
            });
            // Numbers around 10 are known to 5e-7; as for batch norm alone, but for the largest of a window: of two that
            // are nearer than that, libtorch may find the other, which is not seen here.
            for (here, there) in ours.iter().zip(theirs.iter().chain(&theirs_running)) {
                let found = difference(here, there);
                assert!(found < 2e-6, "{size:?} by {window}: {found:e}");
            }
        }
    }

    #[test]
    fn pooling_hands_a_number_that_is_none_on() {
        let x = images([1, 17, 4, 4]);
        let _ = x.get(0).get(3).get(1).get(2).fill_(f64::NAN);
        let _ = x.get(0).get(16).get(3).get(3).fill_(f64::NAN);
        let theirs = x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false).relu();
        let ours = pool_relu(&x, 2).unwrap();
        assert!(ours.isnan().equal(&theirs.isnan()));
        assert_eq!(ours.isnan().sum(Kind::Int64).int64_value(&[]), 2);
    }

    #[test]
    fn a_convolution_that_learns_leaves_its_channels_innermost_however_its_images_lie() {
        for channels in [1, 3, 5] {
            let x = random(&[2, channels, 6, 7]); // channels outermost
            let weight = random(&[8, channels, 3, 3]);
            for x in [&x, &x.clamp(0.0, 1.0), &images([2, channels, 6, 7])] {
                let y = conv2d(x, &weight, None, 1, 1, 1).unwrap();
                assert_eq!(y.stride(), [336, 1, 56, 8], "{channels} channels");
            }
        }
    }

    #[test]
    fn a_convolution_of_few_channels_has_libtorchs_gradients() {
        // Of (images, channels, height, width), filters, kernel, stride, padding.
        for (size, filters, kernel, stride, padding) in [
            ([1, 1, 1, 1], 1, 1, 1, 0),
            ([5, 1, 12, 9], 16, 3, 1, 1),
            ([9, 3, 10, 11], 21, 5, 2, 2),
            ([4, 4, 9, 9], 33, 2, 3, 0),
            ([6, 2, 7, 8], 8, 7, 1, 3),
        ] {
            let x = images(size);
            let (weight, bias) = (
                random(&[filters, size[1], kernel, kernel]),
                random(&[filters]),
            );
            let settings = |x: &[Tensor]| {
                let pair = |n: usize| [n as i64; 2];
                x[0].conv2d(&x[1], x.get(2), pair(stride), pair(padding), [1, 1], 1)
            };
            let share = random(&settings(&[x.copy(), weight.copy()]).size());
            for inputs in [&[&x, &weight, &bias][..], &[&x, &weight]] {
                let ours = on_threads(|| {
                    pass(Kind::Float, inputs, &share, |x| {
                        conv2d(&x[0], &x[1], x.get(2), stride, padding, 1).unwrap()
                    })
                });
                let theirs = pass(Kind::Double, inputs, &share, settings);
                for (here, there) in ours.iter().zip(&theirs) {
                    // Sums of up to 500 products of numbers around 1, each rounded by 6e-8.
                    let found = difference(here, there);
                    assert!(
                        found < 3e-6,
                        "{size:?}, {filters} filters of {kernel}: {found:e}"
                    );
                }
            }
        }
    }
}
