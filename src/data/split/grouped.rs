//! Splitting whole groups: each stays on one side, and the parts come as near to their shares of every class as the groups
//! allow.

use anyhow::{Result, ensure};

use super::Split;
use super::dealing::deal;
use crate::data::groups::Groups;
use crate::data::index::Index;
use crate::rng::Stream;

/// The shares `val` and `test`, and train the rest.
pub(super) fn stratified(
    index: &Index,
    groups: &Groups,
    val: f64,
    test: f64,
    stream: &mut Stream,
) -> Split {
    let all: Vec<usize> = (0..index.len()).collect();
    let shares = [1.0 - val - test, val, test];
    let mut parts = deal(index, groups.within(&all), &shares, stream).into_iter();
    let mut part = || parts.next().expect("there are three");
    let split = Split {
        train: part(),
        val: part(),
        test: part(),
    };
    split.in_order()
}

/// Of `folds` equal shares of `pool` the one called `fold`, and the others together.
///
/// # Errors
/// A class that has images in fewer groups than there are folds.
pub(super) fn fold(
    index: &Index,
    groups: &Groups,
    pool: &[usize],
    (folds, fold): (usize, usize),
    stream: &mut Stream,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let units = groups.within(pool);
    for (label, class) in index.classes.iter().enumerate() {
        let of_class = |group: &&Vec<usize>| {
            let mut labels = group.iter().map(|&image| index.labels[image]);
            labels.any(|known| known == label as i64)
        };
        let count = units.iter().filter(of_class).count();
        ensure!(
            count >= folds,
            "data.split.folds: {folds} folds need {folds} groups with images of each class, but {class:?} has {count}"
        );
    }
    let mut hands = deal(index, units, &vec![1.0 / folds as f64; folds], stream);
    let held = hands.swap_remove(fold);
    Ok((held, hands.concat()))
}

/// The `share` of `pool`, and the rest.
pub(super) fn two(
    index: &Index,
    groups: &Groups,
    pool: &[usize],
    share: f64,
    stream: &mut Stream,
) -> [Vec<usize>; 2] {
    let hands = deal(index, groups.within(pool), &[share, 1.0 - share], stream);
    hands.try_into().expect("there are two")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::data::SplitConfig;
    use crate::data::pixels::{Levels, Pixels};

    /// Images of `classes` classes in groups of random sizes, a third of which hold images of several classes.
    fn random(stream: &mut Stream, classes: usize, groups: usize, largest: usize) -> Index {
        let (mut labels, mut names) = (Vec::new(), Vec::new());
        for group in 0..groups {
            let mixed = stream.chance(1.0 / 3.0);
            let own = stream.below(classes);
            for _ in 0..=stream.below(largest) {
                let label = if mixed { stream.below(classes) } else { own };
                labels.push(label as i64);
                names.push(format!("group {group}"));
            }
        }
        stream.shuffle(&mut names);
        let count = labels.len();
        let pixels = Pixels::new(Levels::Bytes(vec![0; count]), [1, 1, 1]);
        let images = (0..count).map(|image| image.to_string()).collect();
        let classes = (0..classes).map(|class| class.to_string()).collect();
        let mut index = Index::new(images, labels, classes, pixels.shape(), pixels.digests());
        index.groups = Some(Groups::new(names));
        index
    }

    /// The sum that [`deal`] makes small, written out plainly.
    fn deviation(index: &Index, parts: &[&[usize]], shares: &[f64]) -> f64 {
        let count = |part: &[usize], class: Option<i64>| {
            let alike = |image: &&usize| class.is_none_or(|class| index.labels[**image] == class);
            part.iter().filter(alike).count() as f64
        };
        let all: Vec<usize> = parts.concat();
        let classes = (0..index.classes.len() as i64).map(Some);
        let kinds = classes
            .chain([None])
            .filter(|class| count(&all, *class) > 0.0);
        let squares = kinds.flat_map(|class| {
            let whole = count(&all, class);
            let of = move |(part, share): (&&[usize], &f64)| {
                (count(part, class) / whole - share).powi(2)
            };
            parts.iter().zip(shares).map(of).collect::<Vec<_>>()
        });
        squares.sum()
    }

    fn assert_whole(index: &Index, parts: &[&[usize]], of: usize) {
        let groups = index.groups.as_ref().unwrap();
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        assert!(
            all.windows(2).all(|pair| pair[0] != pair[1]),
            "an image twice"
        );
        assert_eq!(all.len(), of);
        let mut part_of = vec![None; groups.count()];
        for (number, part) in parts.iter().enumerate() {
            for &image in *part {
                let known = *part_of[groups.of(image)].get_or_insert(number);
                assert_eq!(known, number, "a group on two sides");
            }
        }
    }

    #[test]
    fn no_group_is_ever_on_two_sides_of_any_kind_of_split() {
        let mut stream = Stream::new(1, crate::rng::Purpose::Split, &[]);
        let mut made = 0;
        for round in 0..100 {
            let (classes, count) = (2 + stream.below(4), 4 + stream.below(40));
            let index = random(&mut stream, classes, count, 9);
            let stratified = |repeat| SplitConfig::Stratified {
                train: 0.6,
                val: 0.2,
                test: 0.2,
                repeat,
            };
            let folds = |fold, repeat| SplitConfig::Folds {
                folds: 3,
                fold,
                val: 0.2,
                repeat,
            };
            let inner = |fold| SplitConfig::InnerFolds {
                folds: 2,
                fold,
                repeat: 1,
                outer: Box::new(stratified(0)),
            };
            let kinds = [
                stratified(0),
                stratified(round),
                folds(0, 0),
                folds(1, 0),
                folds(2, 0),
                folds(1, round),
                inner(0),
                inner(1),
            ];
            let mut tested = Vec::new();
            let mut chosen_by = Vec::new();
            for kind in &kinds {
                // Too few groups for the folds, or for a training part with every class, are refused in words.
                let Ok(split) = Split::new(&index, kind, round) else {
                    continue;
                };
                made += 1;
                let parts = [&*split.train, &*split.val, &*split.test];
                assert_whole(&index, &parts, index.len());
                assert_eq!(Split::new(&index, kind, round).unwrap(), split);
                match kind {
                    SplitConfig::Folds { repeat: 0, .. } => tested.push(split.test),
                    SplitConfig::InnerFolds { .. } => chosen_by.push((split.val, split.test)),
                    _ => {}
                }
            }
            if tested.len() == 3 {
                let tested: Vec<&[usize]> = tested.iter().map(Vec::as_slice).collect();
                assert_whole(&index, &tested, index.len());
            }
            if let [(one, test), (other, same)] = &chosen_by[..] {
                assert_eq!(test, same);
                assert_whole(&index, &[one, other, test], index.len());
            }
        }
        assert!(made > 500, "{made}");
    }

    #[test]
    fn parts_come_as_near_to_their_shares_as_groups_allow() {
        let mut stream = Stream::new(2, crate::rng::Purpose::Split, &[]);
        let shares = [0.5, 0.25, 0.25];
        let (mut best, mut worst) = (0, 0.0f64);
        const ROUNDS: usize = 200;
        for _ in 0..ROUNDS {
            let count = 3 + stream.below(5);
            let index = random(&mut stream, 2, count, 6);
            let all: Vec<usize> = (0..index.len()).collect();
            let units = index.groups.as_ref().unwrap().within(&all);
            let found = deal(&index, units.clone(), &shares, &mut stream);
            let found: Vec<&[usize]> = found.iter().map(Vec::as_slice).collect();
            let found = deviation(&index, &found, &shares);
            // Every way to give units to three hands, each of which gets one.
            let ways = (0..3usize.pow(units.len() as u32)).filter_map(|way| {
                let mut hands = vec![Vec::new(); 3];
                for (unit, images) in units.iter().enumerate() {
                    hands[way / 3usize.pow(unit as u32) % 3].extend(images);
                }
                let hands: Vec<&[usize]> = hands.iter().map(Vec::as_slice).collect();
                let filled = hands.iter().all(|hand| !hand.is_empty());
                filled.then(|| deviation(&index, &hands, &shares))
            });
            let least = ways.fold(f64::INFINITY, f64::min);
            assert!(found >= least - 1e-9, "{found} is below {least}");
            best += usize::from(found <= least + 1e-9);
            worst = worst.max(found - least);
        }
        println!("the best way in {best} of {ROUNDS} cases, else worse by {worst:.4} at most");
        assert!(best * 10 >= ROUNDS * 9, "{best} of {ROUNDS}");
    }

    #[test]
    fn images_that_are_groups_of_their_own_are_split_in_the_asked_shares_to_the_image() {
        let mut stream = Stream::new(3, crate::rng::Purpose::Split, &[]);
        let mut index = random(&mut stream, 3, 400, 1);
        let names = (0..index.len()).map(|image| image.to_string()).collect();
        index.groups = Some(Groups::new(names));
        let split = stratified(
            &index,
            index.groups.as_ref().unwrap(),
            0.2,
            0.2,
            &mut stream,
        );
        for class in 0..3 {
            let count = |part: &[usize]| {
                part.iter()
                    .filter(|&&image| index.labels[image] == class)
                    .count()
            };
            let all = count(&(0..index.len()).collect::<Vec<_>>()) as f64;
            for (part, share) in [(&split.train, 0.6), (&split.val, 0.2), (&split.test, 0.2)] {
                assert!(
                    (count(part) as f64 - share * all).abs() <= 1.0,
                    "class {class}"
                );
            }
        }
    }
}
