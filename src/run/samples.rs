//! `samples.jsonl`: what each epoch made of each image, a line each. It shows which images are learned, forgotten, or
//! always wrong.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::data::index::Index;
use crate::data::split::Part;
use crate::train::evaluation;
use crate::train::metrics::finite_or_nan;

/// One line of `samples.jsonl`: one image after one epoch, in evaluation mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Counts from 1.
    pub epoch: usize,
    /// The part that the image is in.
    pub part: Part,
    /// Name of the image within its source.
    pub image: String,
    /// The class it shows.
    pub label: String,
    /// The class it was taken for.
    pub predicted: String,
    /// Probability of the class it shows, 0 to 1.
    #[serde(deserialize_with = "finite_or_nan")]
    pub probability: f64,
    /// Cross-entropy: minus the logarithm of that probability.
    #[serde(deserialize_with = "finite_or_nan")]
    pub loss: f64,
}

/// Writes a line for each image of `part`, whose `logits` (`[N, classes]`) are those after `epoch`.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write(
    file: &File,
    epoch: usize,
    part: Part,
    images: &[usize],
    logits: &Tensor,
    index: &Index,
) -> Result<()> {
    let mut file = BufWriter::new(file);
    let labels = index.labels_of(images);
    let log_probabilities = evaluation::log_probabilities(logits)?;
    for ((&image, &label), row) in images.iter().zip(&labels).zip(log_probabilities) {
        let label = label as usize;
        let record = SampleRecord {
            epoch,
            part,
            image: index.names[image].clone(),
            label: index.classes[label].clone(),
            predicted: index.classes[evaluation::likeliest(&row)].clone(),
            probability: row[label].exp(),
            loss: -row[label],
        };
        serde_json::to_writer(&mut file, &record)?;
        writeln!(file)?;
    }
    Ok(file.flush()?)
}
