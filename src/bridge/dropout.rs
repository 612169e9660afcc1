//! Dropout: on the CPU several times faster than libtorch's, with the same bits for any number of threads.

use anyhow::Result;
use tch::Tensor;

use super::calls::{Handle, Message, handle, made};

unsafe extern "C" {
    fn signet_dropout(x: Handle, p: f64, y: *mut Handle) -> Message;
}

/// `torch.nn.functional.dropout` in training: the share `p` (in 0..1) of all numbers is zero, the rest 1 / (1 - p) times what
/// it was. On the CPU, numbers of float32 are drawn from one number of libtorch's generator; elsewhere libtorch draws them.
///
/// # Errors
/// A share that is none.
pub fn dropout(x: &Tensor, p: f64) -> Result<Tensor> {
    // SAFETY: the C++ side reads a tensor and writes a new one.
    unsafe { made(|y| signet_dropout(handle(x), p, y)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// What `work` gives with libtorch's generator seeded. Tests beside this one may draw from the same generator, so two
    /// equal answers are waited for.
    fn seeded(seed: i64, work: impl Fn() -> Tensor) -> Tensor {
        let once = || {
            tch::manual_seed(seed);
            work()
        };
        let pairs = (0..100).map(|_| (once(), once()));
        let mut equal = pairs.filter(|(one, two)| one.equal(two));
        equal.next().expect("nobody draws all the time").0
    }

    #[test]
    fn numbers_are_those_of_philox() {
        // import numpy
        //
        // def philox(counter, key):  # Salmon et al., 2011; Random123's known answer: philox(0, 0)[0] == 0x6627e8d5
        //     c, k = [counter & 0xFFFFFFFF, counter >> 32, 0, 0], [key & 0xFFFFFFFF, key >> 32]
        //     for _ in range(10):
        //         a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        //         c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        //         k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        //     return c
        //
        // high, low = numpy.random.RandomState(5).randint(0, 2**32, 2, numpy.uint64)  # as at::mt19937
        // words = [philox(16 * g + i, int(high) << 32 | int(low))[w] for g in range(2) for w in range(4) for i in range(16)]
        // print([n for n, word in enumerate(words) if word < 0.25 * 2**32])
        let expected = [
            3, 6, 9, 11, 14, 22, 24, 30, 32, 39, 43, 46, 48, 53, 61, 66, 67, 72, 75, 76, 79, 81,
            84, 88, 94, 96, 103, 104, 108, 112, 113, 115, 116, 118,
        ];
        let y = seeded(5, || dropout(&Tensor::ones([128], FLOAT), 0.25).unwrap());
        let zeros = Vec::<i64>::try_from(y.eq(0.0).nonzero().flatten(0, -1)).unwrap();
        assert_eq!(zeros, expected);
        assert_eq!(f64::from(4f32 / 3.0), y.max().double_value(&[]));
    }

    #[test]
    fn a_share_is_dropped_and_the_gradient_of_the_rest_is_its_scale() {
        for (p, size) in [
            (0.1, vec![70_001]),
            (0.5, vec![8, 5, 9, 31]),
            (0.8, vec![3, 1, 77, 90]),
        ] {
            let x = Tensor::rand(&size[..], FLOAT) + 1.0;
            // Innermost channels, as behind a convolution; and a gradient that lies otherwise.
            let x = if size.len() == 4 {
                x.permute([0, 3, 1, 2])
            } else {
                x
            };
            let x = x.set_requires_grad(true);
            let y = dropout(&x, p).unwrap();
            let kept = y.ne(0.0).to_kind(Kind::Float);
            let count = x.numel() as f64;
            let dropped = 1.0 - kept.mean(Kind::Double).double_value(&[]);
            // Five standard deviations of a binomial share.
            assert!(
                (dropped - p).abs() < 5.0 * (p * (1.0 - p) / count).sqrt(),
                "{p}: {dropped}"
            );
            assert!(y.equal(&(&x * &kept * (1.0 / (1.0 - p)))), "{p}");
            let weights = Tensor::rand_like(&y.contiguous());
            let [dx] =
                Tensor::f_run_backward(&[(y * &weights).sum(Kind::Float)], &[&x], false, false)
                    .unwrap()
                    .try_into()
                    .unwrap();
            assert!(dx.equal(&(weights * &kept * (1.0 / (1.0 - p)))), "{p}");
        }
    }

    #[test]
    fn bits_depend_on_the_seed_and_not_on_the_number_of_threads() {
        let x = Tensor::rand([100_003], FLOAT);
        let before = tch::get_num_threads();
        let each = [1, 2, 3, 5].map(|threads| {
            seeded(9, || {
                tch::set_num_threads(threads);
                dropout(&x, 0.3).unwrap()
            })
        });
        tch::set_num_threads(before);
        assert!(each.iter().all(|y| y.equal(&each[0])));
        assert!(!each[0].equal(&seeded(10, || dropout(&x, 0.3).unwrap())));
    }
}
