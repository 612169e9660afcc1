//! A sweep: one experiment under many settings, described in a YAML file of its own.
//!
//! `over` names keys with lists (every combination is a point) or ranges (points are drawn). Each point is
//! trained once, or under several seeds, or on inner folds; points are ranked by a metric of their val parts,
//! and nothing here ever looks at a test part.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::points::{Axis, Point, Points};
use super::trials::{self, Resampling, Trial, plan};
use crate::config::declare::keys;
use crate::config::document::{Document, Problems};
use crate::config::entry::Entry;
use crate::config::key::{Rule, at_least};
use crate::config::section::Section;
use crate::config::train::Metric;
use crate::config::{Experiment, file_name, name_from};

/// The version of the file format.
const VERSION: u64 = 1;

/// A sweep as its author wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Names the study's folder.
    pub name: String,
    /// The experiment file, from the folder of the sweep.
    pub base: PathBuf,
    /// What is tried out, in the order of the file.
    pub over: Vec<(String, Axis)>,
    /// How points are made of it.
    pub points: Points,
    /// The trials of each point; none for one, under the experiment's own seed and split.
    pub trials: Option<Resampling>,
    /// What points are ranked by; none for the experiment's `checkpoint.metric`.
    pub metric: Option<Metric>,
    /// Whether points that cannot win are stopped early.
    pub halving: Option<Halving>,
}

keys! {
    /// Successive halving (Jamieson and Talwalkar, 2016): all points are trained for a few epochs, the best of them
    /// for more, and so on. Each keeps the schedule of its full length, so that the winner is the run it would have
    /// been anyway.
    #[derive(Copy, Eq, Deserialize)]
    Halving {
        /// One of so many points goes on.
        factor: usize [= 3, at_least(2)],
        /// Epochs that every point gets.
        min_epochs: usize [= 5, at_least(1)] unit "epochs",
    }
}

impl Sweep {
    /// Reads `file`, with the document it came from to point at.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(file: &Path) -> Result<(Sweep, Document), Problems> {
        let document = Document::open(file, &[])?;
        let sweep = Sweep::read(Section::top(&document), file);
        document.verdict()?;
        Ok((sweep, document))
    }

    fn read(mut top: Section, file: &Path) -> Sweep {
        let version: Option<u64> =
            top.needed("version", "write `version: 1` as the first line", Rule::Any);
        if let Some(other) = version.filter(|version| *version != VERSION) {
            let message =
                format!("version {other} is not supported; this signet reads version {VERSION}");
            top.wrong("version", message);
        }
        let base: Option<PathBuf> = top.needed("base", "the experiment file to vary", Rule::Any);
        let example = "a key with a list of values, such as {train.optimizer.lr: [0.001, 0.01]}";
        let over: Option<Vec<(String, Axis)>> = top.needed("over", example, Rule::Any);
        if over.as_ref().is_some_and(Vec::is_empty) {
            top.wrong("over", format!("is empty; add {example}"));
        }
        let over = over.unwrap_or_default();
        let points = Points::read(top.slot("points").section(), &over);
        if let Some((key, _)) = over
            .iter()
            .find(|(_, axis)| matches!(axis, Axis::Range { .. }) && points == Points::Grid)
        {
            top.wrong(
                "over",
                format!(
                    "{key} is a range, which is sampled; set points: {{kind: random, count: 20}}"
                ),
            );
        }
        let name = top.slot("name").plain(|name: &String| file_name(name));
        let trials = top.slot("trials");
        let sweep = Sweep {
            name: name.unwrap_or_else(|| name_from(file)),
            base: file
                .parent()
                .unwrap_or(Path::new(""))
                .join(base.unwrap_or_default()),
            points,
            trials: trials
                .holds()
                .then(|| trials.section())
                .and_then(read_trials),
            metric: top.get("metric"),
            halving: top.get("halving").flatten(),
            over,
        };
        if sweep.halving.is_some() && sweep.over.iter().any(|(key, _)| key == "train.epochs") {
            top.wrong(
                "over",
                "train.epochs cannot be swept with halving, which compares points after equal numbers of epochs".to_owned(),
            );
        }
        sweep
    }

    /// What is laid over the experiment for the sweep's own sake.
    pub fn overrides(&self) -> Vec<String> {
        let mut overrides = vec!["checkpoint.keep_best=1".to_owned()];
        if let Some(metric) = &self.metric {
            overrides.push(format!("checkpoint.metric={}", metric.word()));
            overrides.push(format!("checkpoint.mode={}", metric.mode().word()));
        }
        overrides
    }

    /// The points to try: the grid of all lists, or those drawn at random.
    pub fn points(&self) -> Vec<Point> {
        self.points.of(&self.over)
    }

    /// The trials of each of `points`, every one checked: its experiment is read under all rules before anything
    /// starts. What is wrong is noted in `document`, where the key stands.
    ///
    /// # Errors
    /// Everything that is wrong with any point.
    pub fn plan(
        &self,
        base: &Experiment,
        points: &[Point],
        document: &Document,
    ) -> Result<Vec<Vec<Trial>>, Problems> {
        let mut all = Vec::new();
        for point in points {
            let problems = match trials::experiment(base, &point.overrides()) {
                Ok(experiment) => match self.trials_of(point, &experiment) {
                    Ok(trials) => {
                        all.push(trials);
                        continue;
                    }
                    Err(message) => vec![("trials".to_owned(), message)],
                },
                Err(Problems(found)) => found
                    .into_iter()
                    .map(|problem| (problem.key, problem.message))
                    .collect(),
            };
            for (key, message) in problems {
                let axes = self.over.iter().map(|(axis, _)| axis);
                let axis = axes
                    .filter(|axis| key == **axis || key.starts_with(&format!("{axis}.")))
                    .max_by_key(|axis| axis.len());
                let path = match axis {
                    Some(axis) => vec!["over".to_owned(), axis.clone()],
                    None => vec!["over".to_owned()],
                };
                let about = if axis == Some(&key) {
                    String::new()
                } else {
                    format!("{key}: ")
                };
                document.wrong_value(&path, format!("{}: {about}{message}", point.name));
            }
        }
        document.verdict()?;
        Ok(all)
    }

    fn trials_of(&self, point: &Point, experiment: &Experiment) -> Result<Vec<Trial>, String> {
        let Some(resampling) = &self.trials else {
            return Ok(vec![Trial {
                name: point.name.clone(),
                overrides: point.overrides(),
            }]);
        };
        let own = |trial: Trial| Trial {
            name: format!("{}-{}", point.name, trial.name),
            overrides: [point.overrides(), trial.overrides].concat(),
        };
        Ok(plan(experiment, resampling)?.into_iter().map(own).collect())
    }

    /// The epochs after which points are compared, of `total`; the last is `total` itself.
    pub fn rungs(&self, total: usize) -> Vec<usize> {
        let mut rungs = Vec::new();
        if let Some(Halving { factor, min_epochs }) = self.halving {
            let mut next = min_epochs;
            while next < total {
                rungs.push(next);
                next = next.saturating_mul(factor);
            }
        }
        rungs.push(total);
        rungs
    }

    /// How many of `standing` points go on to the next rung.
    pub fn survivors(&self, standing: usize) -> usize {
        self.halving
            .map_or(standing, |halving| (standing / halving.factor).max(1))
    }
}

fn read_trials(mut section: Section) -> Option<Resampling> {
    match section.kind(&["seeds", "folds"], None)? {
        "seeds" => {
            let seeds: Vec<u64> = section.get("seeds").unwrap_or_default();
            if seeds.is_empty() || (1..seeds.len()).any(|i| seeds[..i].contains(&seeds[i])) {
                section.wrong(
                    "seeds",
                    "needs different seeds, such as [1, 2, 3]".to_owned(),
                );
            }
            Some(Resampling::Seeds { seeds })
        }
        _ => Some(Resampling::InnerFolds {
            folds: Entry::read(section.slot("folds"), at_least(2)).unwrap_or(5),
            repeats: Entry::read(section.slot("repeats"), at_least(1)).unwrap_or(1),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sweep, Vec<String>> {
        let document = Document::parse("s.yaml".into(), text.into(), &[]).unwrap();
        let sweep = Sweep::read(Section::top(&document), Path::new("s.yaml"));
        let verdict = document.verdict();
        verdict
            .map(|()| sweep)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rungs_grow_by_the_factor_and_one_point_at_least_goes_on() {
        let text =
            "version: 1\nbase: b.yaml\nover: {a: [1]}\nhalving: {factor: 3, min_epochs: 4}\n";
        let sweep = read(text).unwrap();
        assert_eq!(sweep.rungs(40), [4, 12, 36, 40]);
        assert_eq!(sweep.rungs(4), [4]);
        assert_eq!(
            [9, 3, 2, 1].map(|standing| sweep.survivors(standing)),
            [3, 1, 1, 1]
        );
    }

    #[test]
    fn everything_wrong_with_a_sweep_is_said_at_once_with_its_place() {
        let text = "version: 1\nbase: b.yaml\nover:\n  a: []\n  b: {low: 3, high: 1}\n  c: {low: 0.0, high: 1.0}\n  d: 5\npoint: {kind: random}\nmetric: test.accuracy\ntrials: {kind: seeds, seeds: [1, 1]}\n";
        let problems = read(text).unwrap_err();
        let expected = [
            "s.yaml:4:6: over.a: the list is empty",
            "s.yaml:5:6: over.b: expected a range such as",
            "s.yaml:7:6: over.d: expected a list such as",
            "s.yaml:8:1: point: not a key of this file; did you mean points?",
            "s.yaml:9:9: metric: test.accuracy is not one of",
            "s.yaml:10:30: trials.seeds: needs different seeds",
        ];
        for words in expected {
            assert!(
                problems.iter().any(|problem| problem.starts_with(words)),
                "{words}: {problems:#?}"
            );
        }
    }
}
