//! How many images of each class there are, were taken for it, and both, and what follows from that, as scikit-learn has it.

/// Counts by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCounts {
    /// Images of each class.
    pub support: Vec<usize>,
    /// Images taken for each class.
    pub taken: Vec<usize>,
    /// Images of each class that were taken for it.
    pub correct: Vec<usize>,
}

impl ClassCounts {
    /// Of counts `[is][taken for]`.
    pub fn of(confusion: &[Vec<usize>]) -> ClassCounts {
        let classes = 0..confusion.len();
        ClassCounts {
            support: confusion.iter().map(|row| row.iter().sum()).collect(),
            taken: classes
                .clone()
                .map(|class| confusion.iter().map(|row| row[class]).sum())
                .collect(),
            correct: classes.map(|class| confusion[class][class]).collect(),
        }
    }

    /// Images that were recognised.
    pub fn recognised(&self) -> usize {
        self.correct.iter().sum()
    }

    /// Of the images taken for the class, the share that are; none where no image was.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.correct[class], self.taken[class])
    }

    /// Of the images of the class, the share taken for it; none where it has no image.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.correct[class], self.support[class])
    }

    /// The harmonic mean of precision and recall; none where the class has no image and none was taken for it.
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(
            2 * self.correct[class],
            self.support[class] + self.taken[class],
        )
    }

    /// The mean F1 of the classes that have one (`f1_score(average="macro")`).
    pub fn macro_f1(&self) -> f64 {
        self.mean(ClassCounts::f1)
    }

    /// The mean recall of the classes that have images (`balanced_accuracy_score`).
    pub fn balanced_accuracy(&self) -> f64 {
        self.mean(ClassCounts::recall)
    }

    fn mean(&self, ratio: fn(&ClassCounts, usize) -> Option<f64>) -> f64 {
        let defined = (0..self.support.len()).filter_map(|class| ratio(self, class));
        let defined: Vec<f64> = defined.collect();
        defined.iter().sum::<f64>() / defined.len() as f64
    }
}

fn ratio(a: usize, b: usize) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}
