//! How much metrics of trials vary, and what a difference between two studies is worth.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean, spread and interval of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Their standard deviation, with n - 1; 0 for a single one.
    pub sd: f64,
    /// Median; of an even count, the mean of the two in the middle.
    pub median: f64,
    /// Smallest of the numbers.
    pub worst: f64,
    /// Student's 95 % interval of the mean. Trials share images, so it is a little too narrow (Nadeau and
    /// Bengio, 2003).
    pub interval: [f64; 2],
}

impl Spread {
    /// Of `numbers`, of which there must be at least one.
    pub fn of(numbers: &[f64]) -> Spread {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let (mean, sd) = mean_and_sd(numbers);
        let half = student_95(count) * sd / (count as f64).sqrt();
        Spread {
            mean,
            sd,
            median: (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
            worst: sorted[0],
            interval: [mean - half, mean + half],
        }
    }

    /// The same of shares, whose mean lies in 0..1 whatever its interval says.
    pub fn of_shares(shares: &[f64]) -> Spread {
        let spread = Spread::of(shares);
        Spread {
            interval: spread.interval.map(|end| end.clamp(0.0, 1.0)),
            ..spread
        }
    }
}

/// The difference between two studies that share their splits, split by split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Splits that both have.
    pub splits: usize,
    /// Mean of the differences, second minus first.
    pub mean: f64,
    /// Their standard deviation, with n - 1.
    pub sd: f64,
    /// The 95 % interval of the mean.
    pub interval: [f64; 2],
}

impl Paired {
    /// Of `differences` on splits that train on `train` images and test on `test`. The variance is that of the
    /// corrected resampled t-test, s² (1/n + test/train), because splits share images (Nadeau and Bengio,
    /// "Inference for the generalization error", Machine Learning 52, 2003).
    ///
    /// None for fewer than two differences, which say nothing about how much they vary.
    pub fn of(differences: &[f64], train: usize, test: usize) -> Option<Paired> {
        let count = differences.len();
        if count < 2 || train == 0 {
            return None;
        }
        let (mean, sd) = mean_and_sd(differences);
        let overlap = test as f64 / train as f64;
        let half = student_95(count) * sd * (1.0 / count as f64 + overlap).sqrt();
        Some(Paired {
            splits: count,
            mean,
            sd,
            interval: [mean - half, mean + half],
        })
    }
}

fn mean_and_sd(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    let sd = match numbers.len() {
        1 => 0.0,
        _ => (squares / (count - 1.0)).sqrt(),
    };
    (mean, sd)
}

/// The 97.5 % quantile of Student's t for the mean of `count` numbers; 0 for a single one.
fn student_95(count: usize) -> f64 {
    match StudentsT::new(0.0, 1.0, count as f64 - 1.0) {
        Ok(law) => law.inverse_cdf(0.975),
        Err(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-7,
            "{found} against {expected}"
        );
    }

    #[test]
    fn statistics_are_those_of_scipy() {
        // a = numpy.array([0.9, 1.0, 0.8, 0.95]); a.mean(), a.std(ddof=1), numpy.median(a)
        // scipy.stats.t.interval(0.95, 3, a.mean(), a.std(ddof=1) / 2)
        let spread = Spread::of(&[0.9, 1.0, 0.8, 0.95]);
        close(spread.mean, 0.9125);
        close(spread.sd, 0.0853912563);
        close(spread.median, 0.925);
        close(spread.worst, 0.8);
        close(spread.interval[0], 0.7766234558);
        close(spread.interval[1], 1.0483765442);
        assert_eq!(Spread::of(&[0.5]).interval, [0.5, 0.5]);
    }

    #[test]
    fn a_paired_difference_has_the_corrected_interval() {
        // d = numpy.array([0.01, 0.03, -0.01, 0.02]); n_train, n_test = 85, 15
        // h = scipy.stats.t.ppf(0.975, 3) * d.std(ddof=1) * numpy.sqrt(1 / 4 + n_test / n_train)
        // d.mean(), d.std(ddof=1), d.mean() - h, d.mean() + h
        let paired = Paired::of(&[0.01, 0.03, -0.01, 0.02], 85, 15).unwrap();
        close(paired.mean, 0.0125);
        close(paired.sd, 0.0170782513);
        close(paired.interval[0], -0.0229935163);
        close(paired.interval[1], 0.0479935163);
        assert_eq!(Paired::of(&[0.1], 85, 15), None);
    }
}
