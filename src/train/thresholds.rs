//! Two classes under every threshold: what is found, what is taken for it wrongly, and how much lies under the curves.

/// What a threshold leads to, from which score on an example is taken for positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// Positives whose score reaches it.
    pub true_positives: usize,
    /// Negatives whose score reaches it.
    pub false_positives: usize,
}

/// All thresholds that differ in what they lead to, from none to all positive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// By falling score.
    pub all: Vec<Threshold>,
    positives: usize,
    negatives: usize,
}

impl Thresholds {
    /// Of examples with their scores and whether each is positive; none where one of the two is missing, or a score is not a
    /// number.
    pub fn of(scored: &[(f64, bool)]) -> Option<Thresholds> {
        let positives = scored.iter().filter(|(_, positive)| *positive).count();
        let negatives = scored.len() - positives;
        if positives == 0 || negatives == 0 || scored.iter().any(|(score, _)| score.is_nan()) {
            return None;
        }
        let mut sorted = scored.to_vec();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut at = Threshold {
            true_positives: 0,
            false_positives: 0,
        };
        let mut all = vec![at];
        for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
            let own = equal.iter().filter(|(_, positive)| *positive).count();
            at = Threshold {
                true_positives: at.true_positives + own,
                false_positives: at.false_positives + equal.len() - own,
            };
            all.push(at);
        }
        Some(Thresholds {
            all,
            positives,
            negatives,
        })
    }

    /// The receiver operating characteristic: share of negatives taken for positive (x), share of positives found (y).
    pub fn roc(&self) -> Vec<(f64, f64)> {
        let share = |threshold: &Threshold| {
            (
                threshold.false_positives as f64 / self.negatives as f64,
                threshold.true_positives as f64 / self.positives as f64,
            )
        };
        self.all.iter().map(share).collect()
    }

    /// Area under it, by trapezoids: the chance that a positive scores above a negative, equal scores counting half.
    pub fn roc_auc(&self) -> f64 {
        let areas = self.roc();
        let area = |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1) / 2.0;
        areas.windows(2).map(area).sum()
    }

    /// Share of positives found (x), share of what is taken for positive that is (y); without the threshold that finds none.
    pub fn precision_recall(&self) -> Vec<(f64, f64)> {
        let point = |threshold: &Threshold| {
            let taken = threshold.true_positives + threshold.false_positives;
            (
                threshold.true_positives as f64 / self.positives as f64,
                threshold.true_positives as f64 / taken as f64,
            )
        };
        self.all[1..].iter().map(point).collect()
    }

    /// Average precision: each step in recall times the precision there, without interpolation, as scikit-learn has it.
    pub fn average_precision(&self) -> f64 {
        let mut before = 0.0;
        let mut sum = 0.0;
        for (recall, precision) in self.precision_recall() {
            sum += (recall - before) * precision;
            before = recall;
        }
        sum
    }

    /// Share of positives among all: the precision of chance.
    pub fn prevalence(&self) -> f64 {
        self.positives as f64 / (self.positives + self.negatives) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_areas_are_those_of_scikit_learn_with_equal_scores_too() {
        // y = [0, 1, 0, 1, 1, 0, 1, 0]; s = [0.1, 0.4, 0.4, 0.8, 0.9, 0.2, 0.35, 0.9]
        // sklearn.metrics.roc_curve(y, s, drop_intermediate=False)[:2]
        // ([0., .25, .25, .5, .5, .75, 1.], [0., .25, .5, .75, 1., 1., 1.])
        // roc_auc_score 0.6875, average_precision_score 0.6083333333333333
        let truth = [0, 1, 0, 1, 1, 0, 1, 0].map(|label| label == 1);
        let scores = [0.1, 0.4, 0.4, 0.8, 0.9, 0.2, 0.35, 0.9];
        let scored: Vec<(f64, bool)> = scores.into_iter().zip(truth).collect();
        let found = Thresholds::of(&scored).unwrap();
        let roc = [
            (0.0, 0.0),
            (0.25, 0.25),
            (0.25, 0.5),
            (0.5, 0.75),
            (0.5, 1.0),
            (0.75, 1.0),
            (1.0, 1.0),
        ];
        assert_eq!(found.roc(), roc);
        assert!((found.roc_auc() - 0.6875).abs() < 1e-12);
        assert!((found.average_precision() - 0.608_333_333_333_333_3).abs() < 1e-12);
        assert_eq!(found.prevalence(), 0.5);
    }

    #[test]
    fn one_class_alone_or_a_score_that_is_no_number_has_no_curve() {
        assert_eq!(Thresholds::of(&[(0.5, true), (0.2, true)]), None);
        assert_eq!(Thresholds::of(&[(f64::NAN, true), (0.2, false)]), None);
        assert_eq!(Thresholds::of(&[]), None);
    }
}
