//! What the trials of a study say together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::results::Evaluated;
use super::statistics::Spread;
use crate::data::split::Part;

/// All of them together; the document `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The part of each trial that is counted: test, or val in a study on inner folds.
    pub part: Part,
    /// Number of trials with a result.
    pub trials: usize,
    /// Of their accuracies on that part.
    #[serde(flatten)]
    pub accuracy: Spread,
    /// Images that were wrong in more than one trial, with the number of trials, most first.
    pub often_wrong: Vec<(String, usize)>,
    /// Results, in the order of the trials.
    pub results: Vec<Evaluated>,
}

impl Summary {
    /// Of `results` on `part`, of which there must be one at least.
    pub fn of(part: Part, results: Vec<Evaluated>) -> Summary {
        let accuracies: Vec<f64> = results.iter().map(|result| result.accuracy).collect();
        let mut wrong: BTreeMap<&String, usize> = BTreeMap::new();
        for name in results.iter().flat_map(|result| &result.wrong) {
            *wrong.entry(name).or_default() += 1;
        }
        let mut often_wrong: Vec<(String, usize)> = wrong
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(name, times)| (name.clone(), times))
            .collect();
        often_wrong.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Summary {
            part,
            trials: results.len(),
            accuracy: Spread::of_shares(&accuracies),
            often_wrong,
            results,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_wrong_more_than_once_are_named_most_often_first() {
        let wrong = [vec!["b", "a"], vec!["b"], vec!["b", "a", "c"]];
        let results = wrong.iter().enumerate().map(|(trial, names)| Evaluated {
            trial: trial.to_string(),
            step: 10,
            accuracy: 0.9,
            loss: 0.1,
            images: 10,
            wrong: names.iter().map(|&name| name.to_owned()).collect(),
        });
        let summary = Summary::of(Part::Test, results.collect());
        assert_eq!(
            summary.often_wrong,
            [("b".to_owned(), 3), ("a".to_owned(), 2)]
        );
    }
}
