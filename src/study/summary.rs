//! What the trials of a study say together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one trial gave on its test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Result {
    /// The trial.
    pub trial: String,
    /// Share of its test part that was recognised.
    pub accuracy: f64,
    /// Mean cross-entropy there.
    pub loss: f64,
    /// Pictures in it.
    pub pictures: usize,
    /// Names of those taken for something else.
    pub wrong: Vec<String>,
}

/// All of them together; the document `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Trials counted.
    pub trials: usize,
    /// Mean of their test accuracies.
    pub mean: f64,
    /// Standard deviation between trials, with n - 1.
    pub sd: f64,
    /// The middle one.
    pub median: f64,
    /// The worst one.
    pub worst: f64,
    /// Student's 95 % interval of the mean. Trials share pictures, so it is a little too narrow (Nadeau and
    /// Bengio, 2003).
    pub interval: [f64; 2],
    /// Pictures that were wrong in more than one trial, with the number of trials, most first.
    pub often_wrong: Vec<(String, usize)>,
    /// Each trial.
    pub results: Vec<Result>,
}

impl Summary {
    /// Of `results`, of which there must be one at least.
    pub fn of(results: Vec<Result>) -> Summary {
        let mut sorted: Vec<f64> = results.iter().map(|result| result.accuracy).collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let mean = sorted.iter().sum::<f64>() / count as f64;
        let squares: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = match count {
            1 => 0.0,
            _ => (squares / (count - 1) as f64).sqrt(),
        };
        let half = student_95(count - 1) * sd / (count as f64).sqrt();
        let mut wrong: BTreeMap<&String, usize> = BTreeMap::new();
        for name in results.iter().flat_map(|result| &result.wrong) {
            *wrong.entry(name).or_default() += 1;
        }
        let mut often_wrong: Vec<(String, usize)> = wrong
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(name, times)| (name.clone(), times))
            .collect();
        often_wrong.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Summary {
            trials: count,
            mean,
            sd,
            median: (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
            worst: sorted[0],
            interval: [mean - half, mean + half].map(|end| end.clamp(0.0, 1.0)),
            often_wrong,
            results,
        }
    }

    /// One line per trial.
    pub fn to_csv(&self) -> String {
        let mut text = "trial,accuracy,loss,pictures,wrong\n".to_owned();
        for result in &self.results {
            let Result {
                trial,
                accuracy,
                loss,
                pictures,
                wrong,
            } = result;
            text += &format!("{trial},{accuracy},{loss},{pictures},{}\n", wrong.len());
        }
        text
    }
}

/// The 97.5 % quantile of Student's t with `freedom` degrees of freedom: exact for one and two, else by
/// Hill's expansion (Communications of the ACM 13, 1970, Algorithm 396), good to four digits.
fn student_95(freedom: usize) -> f64 {
    let z = 1.959_963_984_540_054_f64; // the normal quantile
    let n = freedom as f64;
    match freedom {
        0 => 0.0,
        1 => 12.706_204_736_174_7,
        2 => 4.302_652_729_749_46,
        _ => {
            let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
            let z9 = z.powi(9);
            z + (z3 + z) / (4.0 * n)
                + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * n.powi(2))
                + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * n.powi(3))
                + (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z)
                    / (92160.0 * n.powi(4))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(trial: usize, accuracy: f64, wrong: &[&str]) -> Result {
        Result {
            trial: trial.to_string(),
            accuracy,
            loss: 0.1,
            pictures: 10,
            wrong: wrong.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn figures_are_those_of_scipy() {
        // a = numpy.array([0.9, 1.0, 0.8, 0.95]); a.mean(), a.std(ddof=1), numpy.median(a)
        // scipy.stats.t.interval(0.95, 3, a.mean(), a.std(ddof=1) / 2)
        let accuracies = [0.9, 1.0, 0.8, 0.95];
        let results = accuracies.iter().enumerate();
        let summary = Summary::of(results.map(|(i, &a)| result(i, a, &[])).collect());
        let close = |found: f64, expected: f64| {
            assert!(
                (found - expected).abs() < 2e-4,
                "{found} against {expected}"
            );
        };
        close(summary.mean, 0.9125);
        close(summary.sd, 0.085391256);
        close(summary.median, 0.925);
        close(summary.worst, 0.8);
        close(summary.interval[0], 0.776623455);
        close(summary.interval[1], 1.0); // 1.048376545, but no accuracy is above 1
        // scipy.stats.t.ppf(0.975, n)
        for (freedom, expected) in [
            (1, 12.7062047),
            (2, 4.3026527),
            (4, 2.7764451),
            (9, 2.2621572),
            (19, 2.0930241),
            (99, 1.9842169),
        ] {
            assert!(
                (student_95(freedom) - expected).abs() < 1.5e-3 * expected,
                "{freedom}: {}",
                student_95(freedom)
            );
        }
    }

    #[test]
    fn pictures_wrong_more_than_once_are_named_most_often_first() {
        let wrong = [vec!["b", "a"], vec!["b"], vec!["b", "a", "c"]];
        let results = wrong.iter().enumerate();
        let summary = Summary::of(results.map(|(i, names)| result(i, 0.9, names)).collect());
        assert_eq!(
            summary.often_wrong,
            [("b".to_owned(), 3), ("a".to_owned(), 2)]
        );
    }
}
