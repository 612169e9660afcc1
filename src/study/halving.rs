//! Running the points of a sweep, rung by rung: after each, those that cannot win any more are left where they are.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use super::points::Point;
use super::ranking::{Standing, rank};
use super::results::{self, Score, SweepResult};
use super::runner::{Failure, Runner};
use super::sweep::Sweep;
use super::trials::{self, Trial};
use crate::config::Experiment;

/// How a halving went.
pub struct Finish {
    /// All points, best first.
    pub standings: Vec<Standing>,
    /// Trials that failed.
    pub failed: Vec<Failure>,
    /// Where it ended.
    pub ended: Ended,
}

/// Where a halving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Behind the last rung.
    Complete,
    /// In a rung that was stopped, or given up for a trial that failed.
    Stopped,
    /// In a rung that waits for trials of other shares.
    Waiting(Rung),
}

/// A rung that waits. A study without halving has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Which one, from 1 on.
    pub number: usize,
    /// Of how many.
    pub of: usize,
    /// The epoch that trials are trained to in it.
    pub epochs: usize,
    /// Trials in it.
    pub trials: usize,
    /// Those that are done.
    pub done: usize,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.of {
            1 => write!(f, "the study")?,
            of => write!(f, "rung {} of {of} (to epoch {})", self.number, self.epochs)?,
        }
        write!(
            f,
            " has the results of {} of its {} trials",
            self.done, self.trials
        )
    }
}

/// Runs `points` of `sweep`, each with the trials of `plans`. A share of them is dealt out anew in each rung, so that all
/// calls have work as long as there is some.
///
/// # Errors
/// Settings that cannot be read; all were checked before.
pub fn halve(
    runner: &Runner,
    sweep: &Sweep,
    base: &Experiment,
    points: &[Point],
    plans: &[Vec<Trial>],
) -> Result<Finish> {
    let epochs = points
        .iter()
        .map(|point| Ok(trials::experiment(base, &point.overrides())?.train.epochs))
        .collect::<Result<Vec<usize>>>()?;
    let rungs = sweep.rungs(epochs.iter().copied().max().unwrap_or(0));
    let mode = base.checkpoint.mode;
    let mut running: Vec<usize> = (0..points.len()).collect();
    let mut out: Vec<Standing> = Vec::new();
    let mut failed = Vec::new();
    for (number, &rung) in rungs.iter().enumerate() {
        let queue: Vec<Trial> = running
            .iter()
            .flat_map(|&point| plans[point].clone())
            .collect();
        let ask = |folder: &Path| results::sweep_result(folder, rung);
        let outcome = runner.run(&queue, Some(rung), &ask, &ask);
        let given_up = !outcome.failed.is_empty() && !runner.go_on;
        failed.extend(outcome.failed);
        let done = outcome.results.len();
        let scores: Vec<&Score> = outcome
            .results
            .iter()
            .filter_map(SweepResult::score)
            .collect();
        let mut standings: Vec<Standing> = running
            .iter()
            .map(|&point| {
                let own =
                    |score: &Score| plans[point].iter().any(|trial| trial.name == score.trial);
                let own = scores.iter().filter(|score| own(score)).copied().cloned();
                Standing::new(
                    points[point].clone(),
                    rung.min(epochs[point]),
                    own.collect(),
                    plans[point].len(),
                )
            })
            .collect();
        rank(&mut standings, mode);
        let ended = if given_up || runner.interrupt.signal().is_some() {
            Some(Ended::Stopped)
        } else if runner.share.is_some() && done < queue.len() {
            Some(Ended::Waiting(Rung {
                number: number + 1,
                of: rungs.len(),
                epochs: rung,
                trials: queue.len(),
                done,
            }))
        } else {
            None
        };
        if let Some(ended) = ended {
            standings.extend(out);
            return Ok(Finish {
                standings: diverged_last(standings),
                failed,
                ended,
            });
        }
        if number + 1 < rungs.len() {
            let stays = sweep.survivors(standings.len());
            // A point that diverged does not go on, however few there are.
            let valid = standings
                .iter()
                .filter(|standing| standing.value.is_some())
                .count();
            let left = standings.split_off(stays.min(valid));
            let name = |point: &usize| &points[*point].name;
            running.retain(|point| {
                standings
                    .iter()
                    .any(|standing| standing.point.name == *name(point))
            });
            out.splice(0..0, left);
            if running.is_empty() {
                break;
            }
        } else {
            out.splice(0..0, standings);
        }
    }
    Ok(Finish {
        standings: diverged_last(out),
        failed,
        ended: Ended::Complete,
    })
}

/// Points that diverged in a later rung stand behind those that were left behind earlier, which have a value.
fn diverged_last(mut standings: Vec<Standing>) -> Vec<Standing> {
    standings.sort_by_key(|standing| standing.value.is_none());
    standings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::statistics::Spread;

    #[test]
    fn a_point_that_diverged_late_stands_behind_those_that_were_left_behind() {
        let standing = |name: &str, value: Option<f64>| {
            let point = Point {
                name: name.to_owned(),
                settings: Vec::new(),
            };
            let mut standing = Standing::new(point, 10, Vec::new(), 1);
            standing.value = value.map(|value| Spread::of(&[value]));
            standing
        };
        let finished = vec![
            standing("late", None),
            standing("left-first", Some(0.8)),
            standing("left-second", Some(0.7)),
            standing("early", None),
        ];
        let names = diverged_last(finished)
            .into_iter()
            .map(|standing| standing.point.name);
        let names: Vec<String> = names.collect();
        assert_eq!(names, ["left-first", "left-second", "late", "early"]);
    }
}
