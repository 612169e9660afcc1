//! Which classes were taken for which, and what follows from that, as scikit-learn has it.

/// `[i][j]`: images of class i taken for class j.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion(pub Vec<Vec<usize>>);

impl Confusion {
    /// Images of the class.
    pub fn support(&self, class: usize) -> usize {
        self.0[class].iter().sum()
    }

    /// Images that were recognised.
    pub fn correct(&self) -> usize {
        (0..self.0.len()).map(|class| self.0[class][class]).sum()
    }

    /// Of the images taken for the class, the share that are; none where no image was.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.0[class][class], self.taken(class))
    }

    /// Of the images of the class, the share taken for it; none where it has no image.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.0[class][class], self.support(class))
    }

    /// The harmonic mean of precision and recall; none where the class has no image and none was taken for it.
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(
            2 * self.0[class][class],
            self.support(class) + self.taken(class),
        )
    }

    /// The mean F1 of the classes that have one (`f1_score(average="macro")`).
    pub fn macro_f1(&self) -> f64 {
        self.mean(Confusion::f1)
    }

    /// The mean recall of the classes that have images (`balanced_accuracy_score`).
    pub fn balanced_accuracy(&self) -> f64 {
        self.mean(Confusion::recall)
    }

    fn mean(&self, ratio: fn(&Confusion, usize) -> Option<f64>) -> f64 {
        let defined: Vec<f64> = (0..self.0.len())
            .filter_map(|class| ratio(self, class))
            .collect();
        defined.iter().sum::<f64>() / defined.len() as f64
    }

    /// Images taken for the class.
    fn taken(&self, class: usize) -> usize {
        self.0.iter().map(|row| row[class]).sum()
    }
}

fn ratio(a: usize, b: usize) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}
