//! scikit-learn's `train_test_split`, index for index, on numpy's legacy generator.

use rand_mt::Mt;

use super::Split;

/// scikit-learn's `train_test_split(range(count), test_size=test, random_state=random_state)`, and, for a
/// val part, the same call again on its training part. The order within parts is scikit-learn's.
pub(super) fn sklearn(count: usize, test: f64, val: f64, random_state: u32) -> Split {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sklearn_split_is_scikit_learns_index_for_index() {
        // train, test = train_test_split(range(410), test_size=0.15, random_state=42); test[:7], train[:5]
        let split = sklearn(410, 0.15, 0.0, 42);
        assert_eq!(split.test[..7], [172, 137, 126, 94, 72, 33, 380]);
        assert_eq!(split.train[..5], [346, 76, 389, 57, 184]);
        assert_eq!((split.train.len(), split.test.len()), (348, 62));
    }
}
