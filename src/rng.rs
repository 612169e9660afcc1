//! Where all of signet's own chance comes from.
//!
//! A [`Stream`] is a pure function of (seed, purpose, position): nothing about chance is ever stored,
//! and a run that is resumed at a position finds there what it would have found anyway. The generator
//! is ChaCha8, whose output is fixed by its specification; the few distributions below are our own so
//! that no release of a library can change what a seed means.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// What a stream is for. Two purposes never share numbers, whatever the positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Splitting images into train, val and test; no position for the first split, else its number.
    Split,
    /// The order of an epoch; position: epoch.
    Order,
    /// Shifting, turning, erasing one image; position: epoch, image, and how often the epoch has met
    /// it before, if it has.
    Augment,
    /// Mixing an image with another of its batch; position: as of augmentation.
    Mix,
    /// libtorch's own generator (dropout); position: step.
    Libtorch,
    /// Noise that exported models are tried on; position: image.
    Probe,
    /// Drawing a generated hand sign; position: digit, image.
    Drawing,
    /// Drawing the settings of a sweep; position: point.
    Sweep,
}

impl Purpose {
    /// The name that enters the key. Changing one changes every result, so they stay.
    fn name(self) -> &'static str {
        match self {
            Purpose::Split => "split",
            Purpose::Order => "order",
            Purpose::Augment => "augment",
            Purpose::Mix => "mix",
            Purpose::Libtorch => "libtorch",
            Purpose::Probe => "probe",
            Purpose::Drawing => "drawing",
            Purpose::Sweep => "sweep",
        }
    }
}

/// A sequence of random numbers that depends on its key alone.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of `seed` for `purpose` at `position` (epoch, image, step: whatever the purpose
    /// counts). The ChaCha key is the SHA-256 of all three.
    pub fn new(seed: u64, purpose: Purpose, position: &[u64]) -> Stream {
        let mut key = Sha256::new();
        key.update(seed.to_le_bytes());
        key.update(purpose.name());
        for number in position {
            key.update([0]);
            key.update(number.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(key.finalize().into()))
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in [0, 1), on a grid of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A number in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A number of the standard normal distribution (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A number of the distribution Beta(`alpha`, `alpha`) (Joehnk, 1964, in logarithms, since a small alpha makes powers that
    /// are too small for floats). For an alpha of 4 it takes 70 tries.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        loop {
            let [x, y] = [(); 2].map(|()| (1.0 - self.unit()).ln() / alpha);
            let greater = x.max(y);
            let log_sum = greater + ((x - greater).exp() + (y - greater).exp()).ln();
            if log_sum <= 0.0 {
                return (x - log_sum).exp();
            }
        }
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A whole number in 0..`bound`, every one equally likely (rejection, so without bias).
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let bits = self.bits();
            if bits < fair {
                return (bits % bound) as usize;
            }
        }
    }

    /// Shuffles in place (Fisher and Yates, from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_function_of_seed_purpose_and_position() {
        let draw = |seed, purpose, position: &[u64]| Stream::new(seed, purpose, position).bits();
        let reference = draw(42, Purpose::Order, &[3]);
        assert_eq!(reference, draw(42, Purpose::Order, &[3]));
        assert_ne!(reference, draw(43, Purpose::Order, &[3]));
        assert_ne!(reference, draw(42, Purpose::Augment, &[3]));
        assert_ne!(reference, draw(42, Purpose::Order, &[4]));
        assert_ne!(reference, draw(42, Purpose::Order, &[3, 0]));
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_moves_most() {
        let mut items: Vec<usize> = (0..1000).collect();
        Stream::new(1, Purpose::Order, &[0]).shuffle(&mut items);
        let still = items.iter().enumerate().filter(|(i, v)| i == *v).count();
        assert!(still < 10, "{still} of 1000 did not move");
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut stream = Stream::new(7, Purpose::Augment, &[]);
        let count = 100_000;
        let normals: Vec<f64> = (0..count).map(|_| stream.normal()).collect();
        let mean = normals.iter().sum::<f64>() / count as f64;
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        // Four standard errors: 4 / sqrt(n) for the mean, 4 sqrt(2 / n) for the variance.
        assert!(mean.abs() < 0.0127, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.018, "variance {variance}");
        let mut seen = [0usize; 6];
        for _ in 0..60_000 {
            seen[stream.below(6)] += 1;
        }
        // Four standard deviations of a binomial count: 4 sqrt(60000 * 5 / 36) = 365.
        assert!(seen.iter().all(|&n| n.abs_diff(10_000) < 365), "{seen:?}");
    }

    #[test]
    fn beta_has_the_moments_and_the_median_of_its_distribution() {
        // scipy.stats.beta(a, a).cdf(0.1) for a in (0.05, 0.2, 1.0, 4.0)
        let below_a_tenth = [0.449469, 0.33669, 0.1, 0.002728];
        for (alpha, expected) in [0.05, 0.2, 1.0, 4.0].into_iter().zip(below_a_tenth) {
            let mut stream = Stream::new(9, Purpose::Mix, &[]);
            let count = 20_000;
            let draws: Vec<f64> = (0..count).map(|_| stream.beta(alpha)).collect();
            let share = |test: &dyn Fn(f64) -> bool| {
                draws.iter().filter(|draw| test(**draw)).count() as f64 / count as f64
            };
            // Four standard errors of a share: 4 sqrt(p (1 - p) / n), 0.0142 at most.
            let [low, half] = [share(&|draw| draw < 0.1), share(&|draw| draw < 0.5)];
            assert!((low - expected).abs() < 0.0142, "{alpha}: {low}");
            assert!((half - 0.5).abs() < 0.0142, "{alpha}: {half}");
            assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        }
    }
}
