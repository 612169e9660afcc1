//! Which settings of a sweep are best; the documents `summary.json` and `summary.csv`.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::points::Point;
use super::results::{self, Evaluated, Score};
use super::statistics::Spread;
use crate::config::train::Mode;
use crate::data::split::Part;

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// What points are ranked by.
    pub metric: String,
    /// Best first: points trained longer before points stopped early, points that diverged last.
    pub points: Vec<Standing>,
    /// What the best point's trials make of the test part, which nothing has looked at before.
    pub test: Option<Tested>,
}

/// A point with the scores of its trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Name and settings.
    #[serde(flatten)]
    pub point: Point,
    /// Epochs it was trained for at most; fewer than the experiment's if it was stopped early.
    pub epochs: usize,
    /// Of the metric over its trials; none if one of them diverged.
    pub value: Option<Spread>,
    /// Mean loss on the val part at the best epoch, between points of equal value.
    pub loss: Option<f64>,
    /// Scores of its trials.
    pub trials: Vec<Score>,
}

/// The winner on the test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// Over its trials.
    pub accuracy: Spread,
    /// Each of them.
    pub trials: Vec<Evaluated>,
}

impl Standing {
    /// Of `point` after a rung that ended at `epochs`; with fewer than `wanted` trials it counts as diverged.
    pub fn new(point: Point, epochs: usize, trials: Vec<Score>, wanted: usize) -> Standing {
        let whole = trials.len() == wanted;
        let values: Vec<f64> = trials.iter().map(|reached| reached.value).collect();
        let losses = trials
            .iter()
            .map(|reached| reached.best.val.unwrap_or(reached.best.train).loss);
        Standing {
            value: whole.then(|| Spread::of(&values)),
            loss: whole.then(|| losses.sum::<f64>() / wanted as f64),
            point,
            epochs,
            trials,
        }
    }
}

impl Tested {
    /// Of the trials in `folders`; none if there is no trial, or no test part.
    ///
    /// # Errors
    /// A trial that cannot be evaluated.
    pub fn of(folders: impl Iterator<Item = PathBuf>) -> Result<Option<Tested>> {
        let mut trials = Vec::new();
        for folder in folders {
            if !results::holds_back(&folder)? {
                return Ok(None);
            }
            trials.extend(results::evaluate(&folder, Part::Test)?);
        }
        if trials.is_empty() {
            return Ok(None);
        }
        let accuracies: Vec<f64> = trials.iter().map(|trial| trial.accuracy).collect();
        Ok(Some(Tested {
            accuracy: Spread::of_shares(&accuracies),
            trials,
        }))
    }
}

/// Sorts points of one rung, best first. Between equals the lower loss wins, and then the earlier point.
pub fn rank(standings: &mut [Standing], mode: Mode) {
    let key = |standing: &Standing| match (&standing.value, mode) {
        (None, _) => f64::INFINITY,
        (Some(value), Mode::Max) => -value.mean,
        (Some(value), Mode::Min) => value.mean,
    };
    let loss = |standing: &Standing| standing.loss.unwrap_or(f64::INFINITY);
    standings.sort_by(|a, b| {
        key(a)
            .total_cmp(&key(b))
            .then(loss(a).total_cmp(&loss(b)))
            .then(a.point.name.cmp(&b.point.name))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::{EpochRecord, Metrics};

    fn standing(name: &str, trials: &[(f64, f64)], wanted: usize) -> Standing {
        let reached = |&(value, loss): &(f64, f64)| {
            let metrics = Metrics {
                loss,
                accuracy: value,
                ..Metrics::default()
            };
            Score {
                trial: name.to_owned(),
                epochs: 3,
                best: EpochRecord {
                    epoch: 3,
                    step: 9,
                    lr: 0.1,
                    train: metrics,
                    val: Some(metrics),
                },
                value,
            }
        };
        let point = Point {
            name: name.to_owned(),
            settings: Vec::new(),
        };
        Standing::new(point, 3, trials.iter().map(reached).collect(), wanted)
    }

    #[test]
    fn points_are_ranked_by_mean_then_loss_and_diverged_ones_come_last() {
        let points = || {
            vec![
                standing("diverged", &[(1.0, 0.1)], 2),
                standing("steady", &[(0.9, 0.3), (0.9, 0.3)], 2),
                standing("lucky once", &[(1.0, 0.3), (0.7, 0.3)], 2),
                standing("sure", &[(0.9, 0.2), (0.9, 0.2)], 2),
            ]
        };
        let names = |standings: &[Standing]| -> Vec<String> {
            standings
                .iter()
                .map(|standing| standing.point.name.clone())
                .collect()
        };
        let mut found = points();
        rank(&mut found, Mode::Max);
        assert_eq!(names(&found), ["sure", "steady", "lucky once", "diverged"]);
        rank(&mut found, Mode::Min);
        assert_eq!(names(&found), ["lucky once", "sure", "steady", "diverged"]);
    }
}
