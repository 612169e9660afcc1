//! What is doubtful about a data set and its split: said before a training, because its metrics would mislead.

use super::index::Index;
use super::split::{Part, Split};

/// The doubts, one sentence each.
pub fn doubts(index: &Index, split: &Split) -> Vec<String> {
    let equal = index.duplicates();
    let mut found = Vec::new();
    found.extend(in_two_classes(index, &equal));
    found.extend(on_both_sides(index, split, &equal));
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

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
