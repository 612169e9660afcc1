//! Whether probabilities mean what they say: of the images of which a model is 90 % sure, nine in ten should be right.

/// Images whose confidence lies in one range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceBin {
    /// Images in it, at least 1.
    pub images: usize,
    /// Mean confidence, 0 to 1.
    pub confidence: f64,
    /// Share that is right.
    pub accuracy: f64,
}

/// Confidence against accuracy.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// By rising confidence, without empty ones.
    pub bins: Vec<ConfidenceBin>,
    /// Expected calibration error: mean distance of accuracy and confidence over images (Guo et al., 2017, equation 3).
    pub error: f64,
}

/// Ranges of equal width between 0 and 1, as in that paper.
const BINS: usize = 15;

impl Calibration {
    /// Of images, each with the probability of the class it was taken for and whether it is of that class; none without images,
    /// or where a probability is not a number.
    pub fn of(images: &[(f64, bool)]) -> Option<Calibration> {
        if images.is_empty() || images.iter().any(|(confidence, _)| confidence.is_nan()) {
            return None;
        }
        let mut sums = [(0usize, 0.0, 0usize); BINS];
        for &(confidence, right) in images {
            // A range holds its upper end and not its lower one.
            let bin = (confidence * BINS as f64).ceil() as usize;
            let (count, sum, correct) = &mut sums[bin.clamp(1, BINS) - 1];
            *count += 1;
            *sum += confidence;
            *correct += usize::from(right);
        }
        let filled = sums.into_iter().filter(|(count, ..)| *count > 0);
        let bins: Vec<ConfidenceBin> = filled
            .map(|(count, sum, correct)| ConfidenceBin {
                images: count,
                confidence: sum / count as f64,
                accuracy: correct as f64 / count as f64,
            })
            .collect();
        let distance = |bin: &ConfidenceBin| {
            (bin.accuracy - bin.confidence).abs() * bin.images as f64 / images.len() as f64
        };
        Some(Calibration {
            error: bins.iter().map(distance).sum(),
            bins,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_torchmetrics() {
        // p = [[.7,.2,.1],[.1,.8,.1],[.3,.3,.4],[.05,.05,.9],[.6,.3,.1],[.72,.18,.1]]; y = [0, 1, 0, 2, 1, 1]
        // torchmetrics.functional.classification.multiclass_calibration_error(p, y, num_classes=3, n_bins=15, norm="l1")
        // tensor(0.2867)
        let images = [
            (0.7, true),
            (0.8, true),
            (0.4, false),
            (0.9, true),
            (0.6, false),
            (0.72, false),
        ];
        let found = Calibration::of(&images).unwrap();
        assert!((found.error - 0.2867).abs() < 5e-5, "{}", found.error);
        assert_eq!(found.bins.len(), 5);
        assert_eq!(found.bins[0].images, 1);
    }

    #[test]
    fn a_probability_of_nought_or_one_has_a_range() {
        let found = Calibration::of(&[(0.0, false), (1.0, true)]).unwrap();
        assert_eq!(found.error, 0.0);
        assert_eq!(Calibration::of(&[]), None);
    }
}
