//! What a model made of each image of a part: from its logits, or from the lines of `samples.jsonl`.

use anyhow::Result;
use tch::Tensor;

use crate::data::index::Index;
use crate::data::split::Part;
use crate::run::samples::SampleRecord;
use crate::train::calibration::Calibration;
use crate::train::class_counts::ClassCounts;
use crate::train::evaluation::{self, wilson};
use crate::train::thresholds::Thresholds;

/// What was made of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageVerdict {
    /// Name of the image within its source.
    pub image: String,
    /// The class it shows, by its number.
    pub label: usize,
    /// The class it was taken for.
    pub predicted: usize,
    /// Probability of the class it shows, 0 to 1.
    pub truth: f64,
    /// Probability of the class it was taken for; none where that was not written down.
    pub confidence: Option<f64>,
    /// Cross-entropy: minus the logarithm of the probability of the class it shows.
    pub loss: f64,
}

/// Verdicts on the images of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdicts {
    /// The part.
    pub part: Part,
    /// The epoch whose weights judged.
    pub epoch: usize,
    /// Class names, in the order of the outputs.
    pub classes: Vec<String>,
    /// One for each image.
    pub images: Vec<ImageVerdict>,
}

impl Verdicts {
    /// Of `logits`, `[N, classes]`, that the weights of `epoch` give the images numbered `images`, which are those of `part`.
    ///
    /// # Errors
    /// None that is known.
    pub fn of_logits(
        logits: &Tensor,
        images: &[usize],
        index: &Index,
        part: Part,
        epoch: usize,
    ) -> Result<Verdicts> {
        let labels = index.labels_of(images);
        let rows = evaluation::log_probabilities(logits)?;
        let verdict = |((row, label), &image): ((Vec<f64>, i64), &usize)| {
            let (label, predicted) = (label as usize, evaluation::likeliest(&row));
            ImageVerdict {
                image: index.names[image].clone(),
                label,
                predicted,
                truth: row[label].exp(),
                confidence: Some(row[predicted].exp()),
                loss: -row[label],
            }
        };
        Ok(Verdicts {
            part,
            epoch,
            classes: index.classes.clone(),
            images: rows
                .into_iter()
                .zip(labels)
                .zip(images)
                .map(verdict)
                .collect(),
        })
    }

    /// Of the lines that one epoch wrote; none without lines, or where they name other classes.
    pub fn of_samples(records: &[SampleRecord], classes: &[String]) -> Option<Verdicts> {
        let first = records.first()?;
        let number = |name: &String| classes.iter().position(|class| class == name);
        let verdict = |record: &SampleRecord| {
            let (label, predicted) = (number(&record.label)?, number(&record.predicted)?);
            let confidence = match (label == predicted, classes.len()) {
                (true, _) => Some(record.probability),
                (false, 2) => Some(1.0 - record.probability),
                (false, _) => None,
            };
            Some(ImageVerdict {
                image: record.image.clone(),
                label,
                predicted,
                truth: record.probability,
                confidence,
                loss: record.loss,
            })
        };
        Some(Verdicts {
            part: first.part,
            epoch: first.epoch,
            images: records.iter().map(verdict).collect::<Option<_>>()?,
            classes: classes.to_vec(),
        })
    }

    /// Counts `[is][taken for]`.
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.classes.len()]; self.classes.len()];
        for made in &self.images {
            counts[made.label][made.predicted] += 1;
        }
        counts
    }

    /// Counts by class.
    pub fn counts(&self) -> ClassCounts {
        ClassCounts::of(&self.confusion())
    }

    /// Images that were recognised.
    pub fn right(&self) -> usize {
        self.images
            .iter()
            .filter(|made| made.label == made.predicted)
            .count()
    }

    /// Share recognised, with its 95 % Wilson interval.
    pub fn accuracy(&self) -> (f64, [f64; 2]) {
        let (right, count) = (self.right(), self.images.len());
        (
            right as f64 / count.max(1) as f64,
            wilson(right, count.max(1)),
        )
    }

    /// Mean cross-entropy.
    pub fn loss(&self) -> f64 {
        let losses = self.images.iter().map(|made| made.loss);
        losses.sum::<f64>() / self.images.len().max(1) as f64
    }

    /// The images taken for something else, the surest first.
    pub fn wrong(&self) -> Vec<&ImageVerdict> {
        let wrong = self
            .images
            .iter()
            .filter(|made| made.label != made.predicted);
        let mut wrong: Vec<&ImageVerdict> = wrong.collect();
        let sure = |made: &ImageVerdict| made.confidence.unwrap_or(1.0 - made.truth);
        wrong.sort_by(|a, b| sure(b).total_cmp(&sure(a)).then(a.image.cmp(&b.image)));
        wrong
    }

    /// What every threshold for the second of two classes leads to.
    pub fn thresholds(&self) -> Option<Thresholds> {
        if self.classes.len() != 2 {
            return None;
        }
        let scored = |made: &ImageVerdict| {
            let positive = made.label == 1;
            (
                if positive {
                    made.truth
                } else {
                    1.0 - made.truth
                },
                positive,
            )
        };
        Thresholds::of(&self.images.iter().map(scored).collect::<Vec<_>>())
    }

    /// What probabilities are worth, where all were written down.
    pub fn calibration(&self) -> Option<Calibration> {
        let sure = |made: &ImageVerdict| Some((made.confidence?, made.label == made.predicted));
        Calibration::of(&self.images.iter().map(sure).collect::<Option<Vec<_>>>()?)
    }
}
