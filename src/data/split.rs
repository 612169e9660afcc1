//! Dealing pictures into train, val and test.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rand_mt::Mt;
use serde::{Deserialize, Serialize};

use super::Dataset;
use crate::config::data::SplitConfig;
use crate::rng::{Purpose, Stream};

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

/// A split as a file: names instead of indices, so that it holds when files come or go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the data set it was made for.
    #[serde(default)]
    pub fingerprint: String,
    /// Names in the training part.
    pub train: Vec<String>,
    /// Names in the val part.
    #[serde(default)]
    pub val: Vec<String>,
    /// Names in the test part.
    #[serde(default)]
    pub test: Vec<String>,
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// A file that is missing or is none.
    pub fn read(file: &Path) -> Result<Manifest> {
        let place = || file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(place)?;
        serde_json::from_str(&text).with_context(place)
    }
}

impl Split {
    /// Deals the pictures of `data`.
    ///
    /// # Errors
    /// A part that would be empty though a share was asked for it; a manifest that cannot be read, names
    /// pictures that are not there, or names one twice.
    pub fn deal(data: &Dataset, config: &SplitConfig, seed: u64) -> Result<Split> {
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
                let outer = Split::deal(data, outer, seed)?;
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
                "data.split: the {name} part of {} pictures is empty; give it a larger share or use more pictures",
                data.len()
            );
        }
        if let Some(class) = split.lacks(data, &split.train).first() {
            bail!(
                "data.split: the training part has no picture of {class:?}, so nothing could be learned of it; give it more \
                 pictures or another split"
            );
        }
        Ok(split)
    }

    /// The classes of `data` that have no picture in `part`.
    pub fn lacks<'d>(&self, data: &'d Dataset, part: &[usize]) -> Vec<&'d str> {
        let absent = |label: usize| part.iter().all(|&index| data.labels[index] != label as i64);
        let classes = data.classes.iter().enumerate();
        classes
            .filter(|(label, _)| absent(*label))
            .map(|(_, class)| class.as_str())
            .collect()
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

/// The chance of one of many splits.
fn stream(seed: u64, repeat: u64) -> Stream {
    match repeat {
        0 => Stream::new(seed, Purpose::Split, &[]),
        repeat => Stream::new(seed, Purpose::Split, &[repeat]),
    }
}

/// The hand called `fold` is the test part, and the share `val` of the others, class by class, the val part.
fn in_folds(
    data: &Dataset,
    folds: usize,
    fold: usize,
    val: f64,
    stream: &mut Stream,
) -> Result<Split> {
    let all: Vec<usize> = (0..data.len()).collect();
    let (test, rest) = hand_out(data, &all, folds, fold, stream)?;
    let mut split = Split {
        train: Vec::new(),
        val: Vec::new(),
        test,
    };
    for class in rest {
        let vals = (class.len() as f64 * val).round() as usize;
        split.val.extend(&class[..vals]);
        split.train.extend(&class[vals..]);
    }
    Ok(split.in_order())
}

/// The hand called `fold` of all that `outer` does not test on is the val part, the other hands train.
fn in_inner_folds(
    data: &Dataset,
    outer: Split,
    folds: usize,
    fold: usize,
    stream: &mut Stream,
) -> Result<Split> {
    let mut pool = [outer.train, outer.val].concat();
    pool.sort_unstable();
    let (val, rest) = hand_out(data, &pool, folds, fold, stream)?;
    let split = Split {
        train: rest.concat(),
        val,
        test: outer.test,
    };
    Ok(split.in_order())
}

/// Deals each class of `pool` out to `folds` hands, one picture after the other. Answers with the hand called
/// `fold` and, by class, with the others.
fn hand_out(
    data: &Dataset,
    pool: &[usize],
    folds: usize,
    fold: usize,
    stream: &mut Stream,
) -> Result<(Vec<usize>, Vec<Vec<usize>>)> {
    let (mut held, mut rest) = (Vec::new(), Vec::new());
    let mut hand = 0; // goes on from class to class, so that no fold gets the odd picture of each
    for (label, class) in data.classes.iter().enumerate() {
        let of_class = |index: &usize| data.labels[*index] == label as i64;
        let mut own: Vec<usize> = pool.iter().copied().filter(of_class).collect();
        ensure!(
            own.len() >= folds,
            "data.split.folds: {folds} folds need {folds} pictures of each class, but {class:?} has {}",
            own.len()
        );
        stream.shuffle(&mut own);
        let mut others = Vec::new();
        for index in own {
            match hand % folds == fold {
                true => held.push(index),
                false => others.push(index),
            }
            hand += 1;
        }
        rest.push(others);
    }
    Ok((held, rest))
}

/// The same shares of each class, rounded to whole pictures; train takes the rest. Every part is in the
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

/// scikit-learn's `train_test_split(range(count), test_size=test, random_state=random_state)`, and, for a
/// val part, the same call again on its training part. The order within parts is scikit-learn's.
fn sklearn(count: usize, test: f64, val: f64, random_state: u32) -> Split {
    let (train, test) = shuffle_split(count, test, random_state);
    if val == 0.0 {
        return Split {
            train,
            val: Vec::new(),
            test,
        };
    }
    let (inner_train, inner_val) = shuffle_split(train.len(), val, random_state);
    let outer = |part: Vec<usize>| part.into_iter().map(|index| train[index]).collect();
    Split {
        train: outer(inner_train),
        val: outer(inner_val),
        test,
    }
}

/// (rest, held back): `ShuffleSplit` holds back ceil(share * count) of numpy's legacy permutation.
fn shuffle_split(count: usize, share: f64, random_state: u32) -> (Vec<usize>, Vec<usize>) {
    let held_back = (share * count as f64).ceil() as usize;
    let permutation = numpy_permutation(count, random_state);
    (
        permutation[held_back..].to_vec(),
        permutation[..held_back].to_vec(),
    )
}

/// `numpy.random.RandomState(seed).permutation(count)`: Fisher and Yates from the end, each partner drawn
/// by masking 32 bits and rejecting what is too large (numpy's `legacy_random_interval`).
fn numpy_permutation(count: usize, seed: u32) -> Vec<usize> {
    let mut generator = Mt::new(seed);
    let mut items: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let mask = (last + 1).next_power_of_two() - 1;
        let partner = loop {
            let draw = generator.next_u32() as usize & mask;
            if draw <= last {
                break draw;
            }
        };
        items.swap(last, partner);
    }
    items
}

fn from_manifest(data: &Dataset, file: &Path) -> Result<Split> {
    let manifest = Manifest::read(file).context("data.split.file")?;
    let index: HashMap<&str, usize> = data
        .names
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    let mut seen = BTreeMap::new();
    let mut part = |part: &'static str, names: &[String]| -> Result<Vec<usize>> {
        let mut indices = Vec::new();
        for name in names {
            let Some(&found) = index.get(name.as_str()) else {
                bail!(
                    "{}: {part} names {name:?}, which is not among the {} pictures of data.source",
                    file.display(),
                    data.len()
                );
            };
            if let Some(other) = seen.insert(name.clone(), part) {
                bail!(
                    "{}: {name:?} stands in {other} and again in {part}",
                    file.display()
                );
            }
            indices.push(found);
        }
        Ok(indices)
    };
    Ok(Split {
        train: part("train", &manifest.train)?,
        val: part("val", &manifest.val)?,
        test: part("test", &manifest.test)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(per_class: [usize; 2]) -> Dataset {
        let labels: Vec<i64> = (0..2)
            .flat_map(|class| vec![class as i64; per_class[class]])
            .collect();
        Dataset {
            pictures: vec![0.0; labels.len()],
            shape: [1, 1, 1],
            names: (0..labels.len()).map(|index| index.to_string()).collect(),
            labels,
            classes: vec!["a".into(), "b".into()],
            skipped: Vec::new(),
        }
    }

    #[test]
    fn the_sklearn_split_is_scikit_learns_index_for_index() {
        // train, test = train_test_split(range(410), test_size=0.15, random_state=42); test[:7], train[:5]
        let split = sklearn(410, 0.15, 0.0, 42);
        assert_eq!(split.test[..7], [172, 137, 126, 94, 72, 33, 380]);
        assert_eq!(split.train[..5], [346, 76, 389, 57, 184]);
        assert_eq!((split.train.len(), split.test.len()), (348, 62));
    }

    #[test]
    fn a_stratified_split_deals_every_picture_once_in_the_asked_shares() {
        let data = data([200, 100]);
        let config = SplitConfig::Stratified {
            train: 0.7,
            val: 0.15,
            test: 0.15,
            repeat: 0,
        };
        let split = Split::deal(&data, &config, 1).unwrap();
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
        assert_eq!(Split::deal(&data, &config, 1).unwrap(), split);
        assert_ne!(Split::deal(&data, &config, 2).unwrap(), split);
    }

    #[test]
    fn a_part_left_empty_is_refused_by_name() {
        let config = SplitConfig::Stratified {
            train: 0.9,
            val: 0.05,
            test: 0.05,
            repeat: 0,
        };
        let message = Split::deal(&data([4, 4]), &config, 1)
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("data.split: the val part of 8 pictures is empty"),
            "{message}"
        );
    }

    #[test]
    fn a_runs_split_reads_back_as_the_same_split_and_strangers_are_named() {
        let data = data([20, 20]);
        let config = SplitConfig::Stratified {
            train: 0.7,
            val: 0.15,
            test: 0.15,
            repeat: 0,
        };
        let split = Split::deal(&data, &config, 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("split.json");
        let mut manifest = split.manifest(&data);
        std::fs::write(&file, serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(
            Split::deal(&data, &SplitConfig::Manifest { file: file.clone() }, 9).unwrap(),
            split
        );
        manifest.test.push("stranger".into());
        std::fs::write(&file, serde_json::to_string(&manifest).unwrap()).unwrap();
        let message = Split::deal(&data, &SplitConfig::Manifest { file }, 9)
            .unwrap_err()
            .to_string();
        assert!(message.contains("test names \"stranger\""), "{message}");
    }

    #[test]
    fn folds_test_every_picture_once_and_give_every_fold_its_share() {
        let data = data([103, 51]);
        let split = |fold, repeat| {
            let config = SplitConfig::Folds {
                folds: 5,
                fold,
                val: 0.2,
                repeat,
            };
            Split::deal(&data, &config, 1).unwrap()
        };
        let mut tested = Vec::new();
        for fold in 0..5 {
            let split = split(fold, 0);
            let ones = |part: &[usize]| {
                part.iter()
                    .filter(|&&index| data.labels[index] == 1)
                    .count()
            };
            assert!((30..=31).contains(&split.test.len()), "fold {fold}");
            assert!((10..=11).contains(&ones(&split.test)), "fold {fold}");
            assert_eq!(
                split
                    .parts()
                    .map(|(_, part)| part.len())
                    .iter()
                    .sum::<usize>(),
                154
            );
            tested.extend(split.test);
        }
        tested.sort_unstable();
        assert_eq!(tested, (0..154).collect::<Vec<_>>());
        assert_ne!(split(0, 1), split(0, 0), "a repeat deals anew");
        let few = SplitConfig::Folds {
            folds: 52,
            fold: 0,
            val: 0.2,
            repeat: 0,
        };
        let message = Split::deal(&data, &few, 1).unwrap_err().to_string();
        assert_eq!(
            message,
            "data.split.folds: 52 folds need 52 pictures of each class, but \"b\" has 51"
        );
    }

    #[test]
    fn inner_folds_choose_by_every_picture_once_and_never_by_the_test_part() {
        let data = data([103, 51]);
        let sklearn = SplitConfig::Sklearn {
            test: 0.15,
            val: 0.1,
            random_state: 42,
        };
        let outer = Split::deal(&data, &sklearn, 1).unwrap();
        let mut chosen_by = Vec::new();
        for fold in 0..3 {
            let config = SplitConfig::InnerFolds {
                folds: 3,
                fold,
                repeat: 0,
                outer: Box::new(sklearn.clone()),
            };
            let split = Split::deal(&data, &config, 1).unwrap();
            assert_eq!(split.test.len(), outer.test.len());
            assert!(split.test.iter().all(|index| outer.test.contains(index)));
            assert_eq!(split.train.len() + split.val.len(), 154 - 24);
            chosen_by.extend(split.val);
        }
        chosen_by.sort_unstable();
        let mut expected = [outer.train, outer.val].concat();
        expected.sort_unstable();
        assert_eq!(chosen_by, expected);
    }
}
