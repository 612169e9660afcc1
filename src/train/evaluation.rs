//! What a model got right, and what not.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::calibration::Calibration;
use super::class_counts::ClassCounts;

/// The evidence on one part of the data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// Part evaluated: train, val, test, all, or `given` for `--data`.
    pub part: String,
    /// Images in it.
    pub images: usize,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Share of images classified correctly, 0 to 1.
    pub accuracy: f64,
    /// Its 95 % Wilson interval.
    pub accuracy_interval: [f64; 2],
    /// Mean F1 of the classes that have one.
    pub macro_f1: f64,
    /// Mean recall of the classes that have images.
    pub balanced_accuracy: f64,
    /// By class, in the order of the outputs.
    pub classes: Vec<ClassMetrics>,
    /// `confusion[i][j]`: images of class i taken for class j.
    pub confusion: Vec<Vec<usize>>,
    /// One per image, in the order of the data.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
    /// The images taken for something else.
    pub wrong: Vec<Prediction>,
}

/// Metrics of one class. A ratio without a denominator is undefined (scikit-learn's `zero_division=nan`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Class name.
    pub class: String,
    /// Of the images taken for it, the share that are.
    pub precision: Option<f64>,
    /// Of its images, the share taken for it.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// Number of images of the class.
    pub support: usize,
}

/// What was made of one image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prediction {
    /// Name of the image within its source.
    pub name: String,
    /// What it shows.
    pub label: String,
    /// What it was taken for.
    pub predicted: String,
    /// Softmax of the logits, in the order of the classes.
    pub probabilities: Vec<f64>,
}

impl Evaluation {
    /// Judges `logits` (`[N, classes]`) of images called `names` with `labels`.
    ///
    /// # Errors
    /// None that is known.
    pub fn new(
        part: &str,
        logits: &Tensor,
        labels: &[i64],
        names: &[&str],
        classes: &[String],
    ) -> Result<Evaluation> {
        let log_probabilities = log_probabilities(logits)?;
        let confusion = confusion(&log_probabilities, labels, classes.len());
        let mut predictions = Vec::new();
        let mut loss = 0.0;
        for ((row, &label), name) in log_probabilities.iter().zip(labels).zip(names) {
            let label = label as usize;
            let predicted = likeliest(row);
            loss -= row[label];
            predictions.push(Prediction {
                name: (*name).to_owned(),
                label: classes[label].clone(),
                predicted: classes[predicted].clone(),
                probabilities: row.iter().map(|log| log.exp()).collect(),
            });
        }
        let count = labels.len();
        let counts = ClassCounts::of(&confusion);
        let right = counts.recognised();
        let class_metrics = |(class, name): (usize, &String)| ClassMetrics {
            class: name.clone(),
            precision: counts.precision(class),
            recall: counts.recall(class),
            f1: counts.f1(class),
            support: counts.support[class],
        };
        Ok(Evaluation {
            part: part.to_owned(),
            images: count,
            loss: loss / count as f64,
            accuracy: right as f64 / count as f64,
            accuracy_interval: wilson(right, count),
            macro_f1: counts.macro_f1(),
            balanced_accuracy: counts.balanced_accuracy(),
            classes: classes.iter().enumerate().map(class_metrics).collect(),
            wrong: predictions
                .iter()
                .filter(|made| made.label != made.predicted)
                .cloned()
                .collect(),
            predictions,
            confusion,
        })
    }

    /// What its probabilities are worth; none without images.
    pub fn calibration(&self) -> Option<Calibration> {
        let sure = |made: &Prediction| {
            let top = made.probabilities.iter().copied().fold(0.0, f64::max);
            (top, made.label == made.predicted)
        };
        Calibration::of(&self.predictions.iter().map(sure).collect::<Vec<_>>())
    }
}

/// Logarithm of the softmax of each row of `logits`, `[N, classes]`. A probability that rounds to zero still has one.
///
/// # Errors
/// None that is known.
pub fn log_probabilities(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    let rows = logits.to_kind(Kind::Double).log_softmax(1, None);
    Ok(Vec::try_from(rows.to_device(Device::Cpu))?)
}

/// `confusion[i][j]`: images of class i taken for class j, by the `rows` of numbers that each class got.
pub fn confusion(rows: &[Vec<f64>], labels: &[i64], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for (row, &label) in rows.iter().zip(labels) {
        counts[label as usize][likeliest(row)] += 1;
    }
    counts
}

/// The class of the largest number of `row`: the first of equals, as argmax has it.
pub fn likeliest(row: &[f64]) -> usize {
    let classes = (0..row.len()).rev();
    classes
        .max_by(|&a, &b| row[a].total_cmp(&row[b]))
        .unwrap_or(0)
}

/// The 95 % score interval of a share (Wilson, 1927), which stays inside 0..1 and holds for few images.
pub fn wilson(right: usize, count: usize) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054; // 97.5 % quantile of the standard normal distribution
    let n = count as f64;
    let p = right as f64 / n;
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_those_of_scikit_learn() {
        // y = [0,0,0,1,1,2,2,2]; p = [0,1,0,1,1,2,0,2]
        // sklearn.metrics.precision_recall_fscore_support(y, p)
        // ([0.66666667, 0.66666667, 1.], [0.66666667, 1., 0.66666667], [0.66666667, 0.8, 0.8], [3, 2, 3])
        let (labels, predicted) = ([0i64, 0, 0, 1, 1, 2, 2, 2], [0i64, 1, 0, 1, 1, 2, 0, 2]);
        let logits = Tensor::from_slice(&predicted)
            .one_hot(3)
            .to_kind(Kind::Float)
            * 3.0;
        let classes = ["a", "b", "c"].map(str::to_owned);
        let found = Evaluation::new("test", &logits, &labels, &["x"; 8], &classes).unwrap();
        let expected = [
            [2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 3.0],
            [2.0 / 3.0, 1.0, 0.8, 2.0],
            [1.0, 2.0 / 3.0, 0.8, 3.0],
        ];
        for (class, expected) in found.classes.iter().zip(expected) {
            let metrics = [
                class.precision.unwrap(),
                class.recall.unwrap(),
                class.f1.unwrap(),
                class.support as f64,
            ];
            assert!(
                metrics
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-12),
                "{class:?}"
            );
        }
        assert_eq!(found.confusion, [[2, 1, 0], [0, 2, 0], [1, 0, 2]]);
        assert_eq!((found.accuracy, found.wrong.len()), (0.75, 2));
        // torch.nn.functional.cross_entropy(logits, y).item() in double precision
        let sure = 3.0f64.exp() / (3.0f64.exp() + 2.0);
        let unsure = 1.0 / (3.0f64.exp() + 2.0);
        assert!((found.loss + (6.0 * sure.ln() + 2.0 * unsure.ln()) / 8.0).abs() < 1e-7);
    }

    #[test]
    fn a_ratio_without_a_denominator_is_undefined() {
        // y = [0, 0, 1]; p = [0, 0, 0], of the classes 0, 1, 2
        // sklearn.metrics.precision_recall_fscore_support(y, p, labels=[0, 1, 2], zero_division=numpy.nan)
        // ([0.66666667, nan, nan], [1., 0., nan], [0.8, 0., nan], [2, 1, 0])
        let logits = Tensor::from_slice(&[0i64, 0, 0])
            .one_hot(3)
            .to_kind(Kind::Float);
        let classes = ["a", "b", "c"].map(str::to_owned);
        let found = Evaluation::new("test", &logits, &[0, 0, 1], &["x"; 3], &classes).unwrap();
        let metrics = |class: &ClassMetrics| [class.precision, class.recall, class.f1];
        assert_eq!(
            metrics(&found.classes[0]),
            [Some(2.0 / 3.0), Some(1.0), Some(0.8)]
        );
        assert_eq!(metrics(&found.classes[1]), [None, Some(0.0), Some(0.0)]);
        assert_eq!(metrics(&found.classes[2]), [None; 3]);
        let json = serde_json::to_value(&found).unwrap();
        assert!(json["classes"][2]["recall"].is_null());
    }

    #[test]
    fn the_interval_is_that_of_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(right, count, method="wilson")
        let cases = [
            (58, 62, [0.845525, 0.974627]),
            (62, 62, [0.941656, 1.0]),
            (0, 10, [0.0, 0.277533]),
        ];
        for (right, count, expected) in cases {
            let found = wilson(right, count);
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 2e-6),
                "{right}/{count}: {found:?}"
            );
        }
    }
}
