//! Splitting images into train, val and test.

mod folds;
mod manifest;
mod sklearn;

use anyhow::{Result, bail, ensure};

pub use manifest::Manifest;

use super::Dataset;
use crate::config::data::SplitConfig;
use crate::rng::{Purpose, Stream};
use folds::{in_folds, in_inner_folds};
use manifest::from_manifest;
use sklearn::sklearn;

/// Indices into a data set, by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Weights are moved by these.
    pub train: Vec<usize>,
    /// The best epoch is chosen by these.
    pub val: Vec<usize>,
    /// These are looked at once, at the end.
    pub test: Vec<usize>,
}

impl Split {
    /// Deals the images of `data`.
    ///
    /// # Errors
    /// A part that would be empty though a share was asked for it; a manifest that cannot be read, names
    /// images that are not there, or names one twice.
    pub fn new(data: &Dataset, config: &SplitConfig, seed: u64) -> Result<Split> {
        let split = match config {
            SplitConfig::Stratified {
                val, test, repeat, ..
            } => stratified(data, *val, *test, &mut stream(seed, *repeat)),
            SplitConfig::Folds {
                folds,
                fold,
                val,
                repeat,
            } => in_folds(data, *folds, *fold, *val, &mut stream(seed, *repeat))?,
            SplitConfig::InnerFolds {
                folds,
                fold,
                repeat,
                outer,
            } => {
                let outer = Split::new(data, outer, seed)?;
                in_inner_folds(data, outer, *folds, *fold, &mut stream(seed, *repeat))?
            }
            SplitConfig::Sklearn {
                test,
                val,
                random_state,
            } => sklearn(data.len(), *test, *val, *random_state as u32),
            SplitConfig::Manifest { file } => from_manifest(data, file)?,
        };
        let wanted = match config {
            SplitConfig::Stratified { val, test, .. } => [true, *val > 0.0, *test > 0.0],
            SplitConfig::Sklearn { val, .. } | SplitConfig::Folds { val, .. } => {
                [true, *val > 0.0, true]
            }
            SplitConfig::InnerFolds { .. } => [true, true, false],
            SplitConfig::Manifest { .. } => [true, false, false],
        };
        for ((name, part), wanted) in split.parts().into_iter().zip(wanted) {
            ensure!(
                !wanted || !part.is_empty(),
                "data.split: the {name} part of {} images is empty; give it a larger share or use more images",
                data.len()
            );
        }
        if let Some(class) = data.lacks(&split.train).first() {
            bail!(
                "data.split: the training part has no image of {class:?}, so nothing could be learned of it; give it more \
                 images or another split"
            );
        }
        Ok(split)
    }

    /// Every part in the order of the data set.
    fn in_order(mut self) -> Split {
        for part in [&mut self.train, &mut self.val, &mut self.test] {
            part.sort_unstable();
        }
        self
    }

    /// The parts with their names.
    pub fn parts(&self) -> [(&'static str, &[usize]); 3] {
        [
            ("train", &self.train),
            ("val", &self.val),
            ("test", &self.test),
        ]
    }

    /// The split by names.
    pub fn manifest(&self, data: &Dataset) -> Manifest {
        let names = |part: &[usize]| {
            part.iter()
                .map(|&index| data.names[index].clone())
                .collect()
        };
        Manifest {
            fingerprint: data.fingerprint(),
            train: names(&self.train),
            val: names(&self.val),
            test: names(&self.test),
        }
    }
}

/// The same shares of each class, rounded to whole images; train takes the rest. Every part is in the
/// order of the data set.
fn stratified(data: &Dataset, val: f64, test: f64, stream: &mut Stream) -> Split {
    let mut split = Split {
        train: Vec::new(),
        val: Vec::new(),
        test: Vec::new(),
    };
    for class in 0..data.classes.len() as i64 {
        let mut own: Vec<usize> = (0..data.len())
            .filter(|&index| data.labels[index] == class)
            .collect();
        stream.shuffle(&mut own);
        let share = |part: f64| (own.len() as f64 * part).round() as usize;
        let tests = share(test);
        let vals = share(val).min(own.len() - tests);
        split.test.extend(&own[..tests]);
        split.val.extend(&own[tests..tests + vals]);
        split.train.extend(&own[tests + vals..]);
    }
    split.in_order()
}

/// The chance of one of many splits.
fn stream(seed: u64, repeat: u64) -> Stream {
    match repeat {
        0 => Stream::new(seed, Purpose::Split, &[]),
        repeat => Stream::new(seed, Purpose::Split, &[repeat]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn data(per_class: [usize; 2]) -> Dataset {
        let labels: Vec<i64> = (0..2)
            .flat_map(|class| vec![class as i64; per_class[class]])
            .collect();
        Dataset {
            images: vec![0.0; labels.len()],
            shape: [1, 1, 1],
            names: (0..labels.len()).map(|index| index.to_string()).collect(),
            labels,
            classes: vec!["a".into(), "b".into()],
            left_out: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_stratified_split_deals_every_image_once_in_the_asked_shares() {
        let data = data([200, 100]);
        let config = SplitConfig::Stratified {
            train: 0.7,
            val: 0.15,
            test: 0.15,
            repeat: 0,
        };
        let split = Split::new(&data, &config, 1).unwrap();
        let ones = |part: &[usize]| {
            part.iter()
                .filter(|&&index| data.labels[index] == 1)
                .count()
        };
        assert_eq!(
            split.parts().map(|(_, part)| (part.len(), ones(part))),
            [(210, 70), (45, 15), (45, 15)]
        );
        let mut all: Vec<usize> = split
            .parts()
            .iter()
            .flat_map(|(_, part)| part.to_vec())
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
        assert_eq!(Split::new(&data, &config, 1).unwrap(), split);
        assert_ne!(Split::new(&data, &config, 2).unwrap(), split);
    }

    #[test]
    fn a_part_left_empty_is_refused_by_name() {
        let config = SplitConfig::Stratified {
            train: 0.9,
            val: 0.05,
            test: 0.05,
            repeat: 0,
        };
        let message = Split::new(&data([4, 4]), &config, 1)
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("data.split: the val part of 8 images is empty"),
            "{message}"
        );
    }
}
