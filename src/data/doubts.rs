//! What is doubtful about a data set and its split: said before a training, because its metrics would mislead.

use super::index::Index;
use super::split::{Part, Split};
use crate::config::data::SplitConfig;

/// The doubts, one sentence each.
pub fn doubts(index: &Index, split: &Split, config: &SplitConfig) -> Vec<String> {
    let equal = index.duplicates();
    let mut found = Vec::new();
    found.extend(in_two_classes(index, &equal));
    found.extend(on_both_sides(index, split, &equal));
    found.extend(far_from_shares(index, split, config));
    for (name, part) in [("val", &split.val), ("test", &split.test)] {
        let lacking = index.lacks(part);
        if !part.is_empty() && !lacking.is_empty() {
            let lacking = lacking.join(", ");
            found.push(format!(
                "the {name} part has no image of {lacking}, so its metrics say nothing of that"
            ));
        }
    }
    found
}

/// Equal pixels under two labels, one of which is wrong.
fn in_two_classes(index: &Index, equal: &[Vec<usize>]) -> Option<String> {
    let two = |group: &&Vec<usize>| {
        group
            .iter()
            .any(|&i| index.labels[i] != index.labels[group[0]])
    };
    let doubtful: Vec<&Vec<usize>> = equal.iter().filter(two).collect();
    let first = *doubtful.first()?;
    let other = first
        .iter()
        .find(|&&i| index.labels[i] != index.labels[first[0]])?;
    Some(format!(
        "equal images lie in two classes ({}), such as {} and {}; one of the two is wrong",
        times(doubtful.len()),
        index.names[first[0]],
        index.names[*other]
    ))
}

/// Equal pixels that are trained on and tested with.
fn on_both_sides(index: &Index, split: &Split, equal: &[Vec<usize>]) -> Option<String> {
    let mut part_of = vec![None; index.len()];
    for (name, part) in split.parts() {
        part.iter().for_each(|&image| part_of[image] = Some(name));
    }
    let pair = |group: &Vec<usize>| {
        let train = group.iter().find(|&&i| part_of[i] == Some(Part::Train))?;
        let held_back = group
            .iter()
            .find(|&&i| matches!(part_of[i], Some(Part::Val | Part::Test)))?;
        Some((*train, *held_back))
    };
    let pairs: Vec<(usize, usize)> = equal.iter().filter_map(pair).collect();
    let &(train, held_back) = pairs.first()?;
    let part = part_of[held_back]?;
    Some(format!(
        "equal images lie in the train part and in a part that is held back ({}), such as {} and, in {part}, {}; metrics of \
         that part look better than they are",
        times(pairs.len()),
        index.names[train],
        index.names[held_back]
    ))
}

/// Parts that groups keep from the shares that were asked for, by more than an image and a tenth of the part.
fn far_from_shares(index: &Index, split: &Split, config: &SplitConfig) -> Option<String> {
    let (groups, shares) = (index.groups.as_ref()?, config.shares()?);
    let asked = shares.map(|share| share * index.len() as f64);
    let found = split.parts().map(|(_, part)| part.len());
    let mut pairs = found.iter().zip(asked);
    if pairs.all(|(found, asked)| (*found as f64 - asked).abs() <= (0.1 * asked).max(1.0)) {
        return None;
    }
    let largest = groups.within(&(0..index.len()).collect::<Vec<_>>());
    let largest = largest.into_iter().max_by_key(Vec::len)?;
    let words = |numbers: [String; 3]| numbers.join(", ");
    Some(format!(
        "groups allow no better parts than {} images, where {} were asked for (train, val, test); the largest group, {:?}, \
         has {}",
        words(found.map(|count| count.to_string())),
        words(asked.map(|count| format!("{count:.0}"))),
        groups.name_of(largest[0]),
        largest.len()
    ))
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
