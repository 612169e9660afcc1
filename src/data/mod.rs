//! Images: where they come from (`source`, with `folder`, `arrays`, `generated` and `fetch`), how a file becomes
//! numbers (`images`, with `decode`, `orientation` and `memory`), their order, and how they are split (`split`).

pub mod arrays;
pub mod augment;
pub mod batches;
mod decode;
pub mod doubts;
pub mod fetch;
pub mod folder;
pub mod generated;
pub mod images;
mod memory;
mod order;
mod orientation;
pub mod source;
pub mod split;

use std::collections::BTreeMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// All images of an experiment, in memory.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// `[N, C, H, W]`, numbers in 0..1.
    pub images: Vec<f32>,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Index into `classes`, one per image.
    pub labels: Vec<i64>,
    /// What each image is called: `class/file`, or its row in an array.
    pub names: Vec<String>,
    /// Class names, in the order of the model's outputs.
    pub classes: Vec<String>,
    /// What looks like an image and was left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// What one should know of how the data was read, one sentence each.
    pub notes: Vec<String>,
}

impl Dataset {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The numbers of one image, `[C, H, W]`.
    pub fn image(&self, index: usize) -> &[f32] {
        let pixels = self.shape.iter().product::<usize>();
        &self.images[index * pixels..(index + 1) * pixels]
    }

    /// SHA-256 of each image's numbers.
    pub fn digests(&self) -> Vec<String> {
        let digest = |index| {
            let mut hash = Sha256::new();
            for number in self.image(index) {
                hash.update(number.to_le_bytes());
            }
            hex(&hash.finalize())
        };
        (0..self.len()).into_par_iter().map(digest).collect()
    }

    /// SHA-256 of shape, classes, names, labels and pixels: equal only for equal data in equal order.
    pub fn fingerprint(&self) -> String {
        let header = format!(
            "{:?} {:?} {:?} {:?}",
            self.shape, self.classes, self.names, self.labels
        );
        hex(&Sha256::digest(header + &self.digests().concat()))
    }

    /// The classes that have no image in `part`.
    pub fn lacks(&self, part: &[usize]) -> Vec<&str> {
        let absent = |label: usize| part.iter().all(|&index| self.labels[index] != label as i64);
        let classes = self.classes.iter().enumerate();
        classes
            .filter(|(label, _)| absent(*label))
            .map(|(_, class)| class.as_str())
            .collect()
    }

    /// Groups of images whose pixels are equal, by index.
    pub fn duplicates(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, digest) in self.digests().into_iter().enumerate() {
            groups.entry(digest).or_default().push(index);
        }
        let mut groups: Vec<_> = groups
            .into_values()
            .filter(|group| group.len() > 1)
            .collect();
        groups.sort_unstable();
        groups
    }

    /// Mean and standard deviation per channel over the images at `indices`.
    pub fn statistics(&self, indices: &[usize]) -> Vec<(f64, f64)> {
        let plane = self.shape[1] * self.shape[2];
        let statistics = |channel: usize| {
            let numbers = || {
                let planes = indices
                    .iter()
                    .flat_map(|&index| &self.image(index)[channel * plane..(channel + 1) * plane]);
                planes.map(|number| f64::from(*number))
            };
            let count = (indices.len() * plane) as f64;
            let mean = numbers().sum::<f64>() / count;
            let variance = numbers().map(|number| (number - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        };
        (0..self.shape[0]).map(statistics).collect()
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
