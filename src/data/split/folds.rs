//! Folds: every image in the test part of one of K splits, or, for choosing settings, in its val part.

use anyhow::{Result, ensure};

use super::{Split, grouped};
use crate::data::index::Index;
use crate::rng::Stream;

/// The hand called `fold` is the test part, and the share `val` of the others, class by class, the val part.
pub(super) fn in_folds(
    index: &Index,
    folds: usize,
    fold: usize,
    val: f64,
    stream: &mut Stream,
) -> Result<Split> {
    let all: Vec<usize> = (0..index.len()).collect();
    if let Some(groups) = &index.groups {
        let (test, rest) = grouped::fold(index, groups, &all, (folds, fold), stream)?;
        let [val, train] = grouped::two(index, groups, &rest, val, stream);
        return Ok(Split { train, val, test }.in_order());
    }
    let (test, rest) = hand_out(index, &all, folds, fold, stream)?;
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
pub(super) fn in_inner_folds(
    index: &Index,
    outer: Split,
    folds: usize,
    fold: usize,
    stream: &mut Stream,
) -> Result<Split> {
    let mut pool = [outer.train, outer.val].concat();
    pool.sort_unstable();
    let (val, train) = match &index.groups {
        Some(groups) => grouped::fold(index, groups, &pool, (folds, fold), stream)?,
        None => {
            let (held, rest) = hand_out(index, &pool, folds, fold, stream)?;
            (held, rest.concat())
        }
    };
    let split = Split {
        train,
        val,
        test: outer.test,
    };
    Ok(split.in_order())
}

/// Deals each class of `pool` out to `folds` hands, one image after the other. Answers with the hand called
/// `fold` and, by class, with the others.
fn hand_out(
    index: &Index,
    pool: &[usize],
    folds: usize,
    fold: usize,
    stream: &mut Stream,
) -> Result<(Vec<usize>, Vec<Vec<usize>>)> {
    let (mut held, mut rest) = (Vec::new(), Vec::new());
    let mut hand = 0; // goes on from class to class, so that no fold gets the odd image of each
    for (label, class) in index.classes.iter().enumerate() {
        let of_class = |image: &usize| index.labels[*image] == label as i64;
        let mut own: Vec<usize> = pool.iter().copied().filter(of_class).collect();
        ensure!(
            own.len() >= folds,
            "data.split.folds: {folds} folds need {folds} images of each class, but {class:?} has {}",
            own.len()
        );
        stream.shuffle(&mut own);
        let mut others = Vec::new();
        for image in own {
            if hand % folds == fold {
                held.push(image)
            } else {
                others.push(image)
            }
            hand += 1;
        }
        rest.push(others);
    }
    Ok((held, rest))
}

#[cfg(test)]
mod tests {
    use crate::config::data::SplitConfig;
    use crate::data::split::Split;
    use crate::data::split::tests::index;

    #[test]
    fn folds_test_every_image_once_and_give_every_fold_its_share() {
        let index = index([103, 51]);
        let split = |fold, repeat| {
            let config = SplitConfig::Folds {
                folds: 5,
                fold,
                val: 0.2,
                repeat,
            };
            Split::new(&index, &config, 1).unwrap()
        };
        let mut tested = Vec::new();
        for fold in 0..5 {
            let split = split(fold, 0);
            let ones = |part: &[usize]| {
                part.iter()
                    .filter(|&&image| index.labels[image] == 1)
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
        assert_ne!(split(0, 1), split(0, 0), "a repeat splits anew");
        let few = SplitConfig::Folds {
            folds: 52,
            fold: 0,
            val: 0.2,
            repeat: 0,
        };
        let message = Split::new(&index, &few, 1).unwrap_err().to_string();
        assert_eq!(
            message,
            "data.split.folds: 52 folds need 52 images of each class, but \"b\" has 51"
        );
    }

    #[test]
    fn inner_folds_choose_by_every_image_once_and_never_by_the_test_part() {
        let index = index([103, 51]);
        let sklearn = SplitConfig::Sklearn {
            test: 0.15,
            val: 0.1,
            random_state: 42,
        };
        let outer = Split::new(&index, &sklearn, 1).unwrap();
        let mut chosen_by = Vec::new();
        for fold in 0..3 {
            let config = SplitConfig::InnerFolds {
                folds: 3,
                fold,
                repeat: 0,
                outer: Box::new(sklearn.clone()),
            };
            let split = Split::new(&index, &config, 1).unwrap();
            assert_eq!(split.test.len(), outer.test.len());
            assert!(split.test.iter().all(|image| outer.test.contains(image)));
            assert_eq!(split.train.len() + split.val.len(), 154 - 24);
            chosen_by.extend(split.val);
        }
        chosen_by.sort_unstable();
        let mut expected = [outer.train, outer.val].concat();
        expected.sort_unstable();
        assert_eq!(chosen_by, expected);
    }
}
