//! Splitting images into train, val and test.

mod dealing;
mod folds;
mod grouped;
mod manifest;
mod sklearn;

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub use manifest::Manifest;

use super::groups::Groups;
use super::index::Index;
use crate::config::data::{PART_WORDS, SplitConfig};
use crate::fault::{Blame, Fault};
use crate::rng::{Purpose, Stream};
use folds::{in_folds, in_inner_folds};
use manifest::from_manifest;
use sklearn::sklearn;

/// One of the parts that images are split into. Files, flags and tables call it by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Images whose gradients update the weights.
    Train,
    /// Images by which the best epoch is chosen.
    Val,
    /// Images used for nothing else than the last evaluation.
    Test,
}

impl Part {
    /// Every part, in the order of tables.
    pub const ALL: [Part; 3] = [Part::Train, Part::Val, Part::Test];

    /// The part that people call `word`, in whatever case: `train`, `val` (or `valid`), `test`.
    pub fn called(word: &str) -> Option<Part> {
        let word = word.to_lowercase();
        Part::ALL
            .into_iter()
            .zip(PART_WORDS)
            .find_map(|(part, words)| words.contains(&word.as_str()).then_some(part))
    }

    /// `train`, `val` or `test`.
    pub fn word(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Val => "val",
            Part::Test => "test",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(self.word())
    }
}

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
    /// Deals the images of `index`.
    ///
    /// # Errors
    /// A part that would be empty though a share was asked for it; a manifest that cannot be read, names
    /// images that are not there, or names one twice: a fault of the data.
    pub fn new(index: &Index, config: &SplitConfig, seed: u64) -> Result<Split> {
        Split::deal(index, config, seed)
            .and_then(|split| split.complete(index, config))
            .blame(Fault::Data)
    }

    /// The same whatever its parts lack, and whichever groups they cut.
    ///
    /// # Errors
    /// A manifest as of [`Split::new`], folds that the images are too few for.
    pub fn deal(index: &Index, config: &SplitConfig, seed: u64) -> Result<Split> {
        Ok(match config {
            SplitConfig::Stratified {
                val, test, repeat, ..
            } => {
                let mut stream = stream(seed, *repeat);
                match &index.groups {
                    None => stratified(index, *val, *test, &mut stream),
                    Some(groups) => grouped::stratified(index, groups, *val, *test, &mut stream),
                }
            }
            SplitConfig::Folds {
                folds,
                fold,
                val,
                repeat,
            } => in_folds(index, *folds, *fold, *val, &mut stream(seed, *repeat))?,
            SplitConfig::InnerFolds {
                folds,
                fold,
                repeat,
                outer,
            } => {
                let outer = Split::new(index, outer, seed)?;
                in_inner_folds(index, outer, *folds, *fold, &mut stream(seed, *repeat))?
            }
            SplitConfig::Sklearn {
                test,
                val,
                random_state,
            } => sklearn(index.len(), *test, *val, *random_state as u32),
            SplitConfig::Manifest { file } => from_manifest(index, file)?,
            SplitConfig::AsFound {} => as_found(index)?,
        })
    }

    /// Itself, if every part that `config` gives images has one, and the training part one of each class.
    fn complete(self, index: &Index, config: &SplitConfig) -> Result<Split> {
        let wanted = match config {
            SplitConfig::Stratified { val, test, .. } => [true, *val > 0.0, *test > 0.0],
            SplitConfig::Sklearn { val, .. } | SplitConfig::Folds { val, .. } => {
                [true, *val > 0.0, true]
            }
            SplitConfig::InnerFolds { .. } => [true, true, false],
            SplitConfig::Manifest { .. } | SplitConfig::AsFound {} => [true, false, false],
        };
        for ((name, part), wanted) in self.parts().into_iter().zip(wanted) {
            ensure!(
                !wanted || !part.is_empty(),
                "data.split: the {name} part of {} images{} is empty; give it a larger share or use more images",
                index.len(),
                in_groups(index)
            );
        }
        if let Some(groups) = &index.groups {
            self.ensure_whole(groups, index)?;
        }
        if let Some(class) = index.lacks(&self.train).first() {
            bail!(
                "data.split: the training part has no image of {class:?}, so nothing could be learned of it; give it more \
                 images or another split"
            );
        }
        Ok(self)
    }

    /// Makes sure that each group is in one part.
    fn ensure_whole(&self, groups: &Groups, index: &Index) -> Result<()> {
        let Some(images) = self.cut_groups(groups).into_iter().next() else {
            return Ok(());
        };
        let part_of = |image: usize| {
            let mut parts = self.parts().into_iter();
            parts.find_map(|(part, images)| images.contains(&image).then_some(part))
        };
        let one = images[0];
        let other = images
            .iter()
            .copied()
            .find(|&image| part_of(image) != part_of(one));
        let other = other.unwrap_or(one);
        let word = |image| part_of(image).map_or("none", Part::word);
        bail!(
            "data.group: {:?} and {:?} both belong to {:?}, and data.split puts them into {} and {}; let it keep groups whole, \
             or set data.group: none",
            index.names[one],
            index.names[other],
            groups.name_of(one),
            word(one),
            word(other)
        )
    }

    /// The images of each group that is in two parts or more, in their order.
    pub fn cut_groups(&self, groups: &Groups) -> Vec<Vec<usize>> {
        let mut part_of: HashMap<usize, Part> = HashMap::new();
        let mut all = Vec::new();
        for (part, images) in self.parts() {
            part_of.extend(images.iter().map(|&image| (image, part)));
            all.extend(images);
        }
        all.sort_unstable();
        let mut found = groups.within(&all);
        found.retain(|images| {
            images
                .iter()
                .any(|image| part_of[image] != part_of[&images[0]])
        });
        found
    }

    /// Every part in the order of the data set.
    fn in_order(mut self) -> Split {
        for part in [&mut self.train, &mut self.val, &mut self.test] {
            part.sort_unstable();
        }
        self
    }

    /// The images of one part.
    pub fn part(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.train,
            Part::Val => &self.val,
            Part::Test => &self.test,
        }
    }

    /// The part to judge a model by: test, or val where that is empty, or else train.
    pub fn judged_by(&self) -> Part {
        let kept_back = [Part::Test, Part::Val].into_iter();
        let mut kept_back = kept_back.filter(|part| !self.part(*part).is_empty());
        kept_back.next().unwrap_or(Part::Train)
    }

    /// Every part with its images.
    pub fn parts(&self) -> [(Part, &[usize]); 3] {
        Part::ALL.map(|part| (part, self.part(part)))
    }

    /// The split by names.
    pub fn manifest(&self, index: &Index) -> Manifest {
        let names = |part: &[usize]| {
            part.iter()
                .map(|&image| index.names[image].clone())
                .collect()
        };
        Manifest {
            fingerprint: index.fingerprint().to_owned(),
            train: names(&self.train),
            val: names(&self.val),
            test: names(&self.test),
        }
    }
}

/// In how many groups images are, if they are in any.
fn in_groups(index: &Index) -> String {
    let groups = index.groups.as_ref();
    groups.map_or(String::new(), |groups| {
        format!(" in {} groups", groups.count())
    })
}

/// The parts in which the images were given.
fn as_found(index: &Index) -> Result<Split> {
    ensure!(
        index.parts.iter().any(Option::is_some),
        "data.split: as_found takes the parts that a source gives, in folders train, val and test or in a column of a table, \
         and this source gives none"
    );
    let of = |part| {
        let images = (0..index.len()).filter(move |&image| index.parts[image] == Some(part));
        images.collect()
    };
    if let Some(image) = index.parts.iter().position(Option::is_none) {
        bail!(
            "data.split: {:?} is in no part, and as_found takes the parts as they are; give it one",
            index.names[image]
        );
    }
    Ok(Split {
        train: of(Part::Train),
        val: of(Part::Val),
        test: of(Part::Test),
    })
}

/// The same shares of each class, rounded to whole images; train takes the rest. Every part is in the
/// order of the data set.
fn stratified(index: &Index, val: f64, test: f64, stream: &mut Stream) -> Split {
    let mut split = Split {
        train: Vec::new(),
        val: Vec::new(),
        test: Vec::new(),
    };
    for class in 0..index.classes.len() as i64 {
        let mut own: Vec<usize> = (0..index.len())
            .filter(|&image| index.labels[image] == class)
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
    use crate::data::pixels::{Levels, Pixels};

    pub(super) fn index(per_class: [usize; 2]) -> Index {
        let labels: Vec<i64> = (0..2)
            .flat_map(|class| vec![class as i64; per_class[class]])
            .collect();
        let names = (0..labels.len()).map(|image| image.to_string()).collect();
        let pixels = Pixels::new(Levels::Bytes(vec![0; labels.len()]), [1, 1, 1]);
        Index::new(
            names,
            labels,
            vec!["a".into(), "b".into()],
            pixels.shape(),
            pixels.digests(),
        )
    }

    #[test]
    fn a_stratified_split_deals_every_image_once_in_the_asked_shares() {
        let index = index([200, 100]);
        let config = SplitConfig::Stratified {
            train: 0.7,
            val: 0.15,
            test: 0.15,
            repeat: 0,
        };
        let split = Split::new(&index, &config, 1).unwrap();
        let ones = |part: &[usize]| {
            part.iter()
                .filter(|&&image| index.labels[image] == 1)
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
        assert_eq!(Split::new(&index, &config, 1).unwrap(), split);
        assert_ne!(Split::new(&index, &config, 2).unwrap(), split);
    }

    #[test]
    fn a_part_left_empty_is_refused_by_name() {
        let config = SplitConfig::Stratified {
            train: 0.9,
            val: 0.05,
            test: 0.05,
            repeat: 0,
        };
        let message = Split::new(&index([4, 4]), &config, 1)
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("data.split: the val part of 8 images is empty"),
            "{message}"
        );
    }
}
