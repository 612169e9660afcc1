//! A sweep: one experiment under many settings, described in a YAML file of its own.
//!
//! `over` names keys with lists (every combination is a point) or ranges (points are drawn). Each point is
//! trained once, or under several seeds, or on inner folds; points are ranked by a figure of their val parts,
//! and nothing here ever looks at a test part.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::trials::{self, Deal, Trial, plan};
use crate::config::document::{Document, Problems};
use crate::config::section::{Section, Setting, at_least, describe};
use crate::config::train::Metric;
use crate::config::{Experiment, file_name, name_from};
use crate::rng::{Purpose, Stream};

/// The version of the file format.
const VERSION: u64 = 1;

/// The most points a sweep may have.
const MOST: usize = 10_000;

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
    pub trials: Option<Deal>,
    /// What points are ranked by; none for the experiment's `checkpoint.metric`.
    pub metric: Option<String>,
    /// Whether points that cannot win are stopped early.
    pub halving: Option<Halving>,
}

/// The values of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// These, as JSON.
    Values(Vec<String>),
    /// Anything between two ends.
    Range {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Whether every factor is equally likely instead of every difference.
        log: bool,
        /// Whether whole numbers alone are drawn, both ends included.
        whole: bool,
    },
}

/// How points are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Points {
    /// Every combination of the values.
    Grid,
    /// So many, each value drawn by chance.
    Random {
        /// How many.
        count: usize,
        /// The same seed draws the same points.
        seed: u64,
    },
}

/// Successive halving (Jamieson and Talwalkar, 2016): all points are trained for a few epochs, the best of them
/// for more, and so on. Each keeps the schedule of its full length, so that the winner is the run it would have
/// been anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halving {
    /// One of so many points goes on.
    pub factor: usize,
    /// Epochs that every point gets.
    pub min_epochs: usize,
}

/// One set of settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// `point-00` and so on.
    pub name: String,
    /// Key and value, the value as JSON.
    pub settings: Vec<(String, String)>,
}

impl Point {
    /// Its settings as keys laid over an experiment.
    pub fn overrides(&self) -> Vec<String> {
        let settings = self.settings.iter();
        settings
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}

impl Setting for Axis {
    fn read(value: &Value) -> Result<Axis, String> {
        let json = |value: &Value| {
            serde_json::to_string(value).map_err(|_| "expected plain values".to_owned())
        };
        match value {
            Value::Sequence(values) if values.is_empty() => {
                Err("an empty list leaves nothing to try; name a value at least".to_owned())
            }
            Value::Sequence(values) => values
                .iter()
                .map(json)
                .collect::<Result<_, _>>()
                .map(Axis::Values),
            Value::Mapping(range) => {
                let known = ["low", "high", "scale"];
                let stranger = range
                    .keys()
                    .find(|key| !known.iter().any(|known| *key == known));
                let number = |key: &str| range.get(key).and_then(Value::as_f64);
                let whole = ["low", "high"]
                    .iter()
                    .all(|key| range.get(*key).is_some_and(Value::is_i64));
                let log = match range.get("scale").map(Value::as_str) {
                    None | Some(Some("linear")) => Some(false),
                    Some(Some("log")) => Some(true),
                    Some(_) => None,
                };
                match (number("low"), number("high"), log, stranger) {
                    (Some(low), Some(high), Some(log), None)
                        if low < high && high.is_finite() && (low > 0.0 || !log) =>
                    {
                        Ok(Axis::Range { low, high, log, whole })
                    }
                    _ => Err(
                        "expected a range such as {low: 1.0e-4, high: 1.0e-1, scale: log}, low below high, and above 0 \
                         for scale log"
                            .to_owned(),
                    ),
                }
            }
            other => Err(format!(
                "expected a list such as [0.1, 0.2] or a range such as {{low: 0.0, high: 0.5}}, found {}",
                describe(other)
            )),
        }
    }
}

impl Axis {
    fn draw(&self, stream: &mut Stream) -> String {
        match self {
            Axis::Values(values) => values[stream.below(values.len())].clone(),
            &Axis::Range {
                low,
                high,
                log,
                whole,
            } => {
                // A whole number stands for all that round to it, so that the ends are as likely as others.
                let wide = if whole { 0.5 } else { 0.0 };
                let (low, high) = (low - wide, high + wide);
                let drawn = match log {
                    true => stream.uniform(low.ln(), high.ln()).exp(),
                    false => stream.uniform(low, high),
                };
                match whole {
                    true => format!("{}", drawn.round()),
                    // Four digits are more than any of these settings is worth, and can be typed again.
                    false => {
                        serde_json::json!(format!("{drawn:.3e}").parse::<f64>().unwrap_or(drawn))
                            .to_string()
                    }
                }
            }
        }
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
        let version: Option<u64> = top.required("version", "write `version: 1` as the first line");
        if let Some(other) = version.filter(|version| *version != VERSION) {
            let message = format!("{other} is not a format this signet reads; it reads {VERSION}");
            top.wrong("version", message);
        }
        let base: Option<PathBuf> = top.required("base", "the experiment file to vary");
        let over = top.section("over").entries();
        if over.is_empty() {
            top.wrong(
                "over",
                "names nothing to try; write a key with a list, such as train.optimizer.lr: [0.001, 0.01]".to_owned(),
            );
        }
        let points = Points::read(top.section("points"), &over);
        if let Some((key, _)) = over
            .iter()
            .find(|(_, axis)| matches!(axis, Axis::Range { .. }) && points == Points::Grid)
        {
            top.wrong(
                "over",
                format!("{key} is a range, from which points are drawn; set points: {{kind: random, count: 20}}"),
            );
        }
        let sweep = Sweep {
            name: top.get_if("name", name_from(file), |name: &String| file_name(name)),
            base: file
                .parent()
                .unwrap_or(Path::new(""))
                .join(base.unwrap_or_default()),
            points,
            trials: top.optional_section("trials").and_then(read_trials),
            metric: top
                .optional("metric")
                .map(|metric: Metric| metric.word().to_owned()),
            halving: top.optional_section("halving").map(Halving::read),
            over,
        };
        if sweep.halving.is_some() && sweep.over.iter().any(|(key, _)| key == "train.epochs") {
            top.wrong(
                "over",
                "train.epochs cannot be tried out under halving, which compares points after equal epochs".to_owned(),
            );
        }
        sweep
    }

    /// What is laid over the experiment for the sweep's own sake.
    pub fn overrides(&self) -> Vec<String> {
        let mut overrides = vec![
            "log.jsonl=true".to_owned(),
            "checkpoint.keep_best=1".to_owned(),
        ];
        if let Some(metric) = &self.metric {
            let mode = if metric.ends_with("loss") {
                "min"
            } else {
                "max"
            };
            overrides.push(format!("checkpoint.metric={metric}"));
            overrides.push(format!("checkpoint.mode={mode}"));
        }
        overrides
    }

    /// All points, in the order of the file, the last key varying fastest, or as they are drawn.
    pub fn points(&self) -> Vec<Point> {
        let settings: Vec<Vec<String>> = match self.points {
            Points::Grid => {
                let mut all = vec![Vec::new()];
                for (_, axis) in &self.over {
                    let Axis::Values(values) = axis else { continue };
                    let longer = all.iter().flat_map(|settings: &Vec<String>| {
                        values
                            .iter()
                            .map(move |value| [settings.clone(), vec![value.clone()]].concat())
                    });
                    all = longer.collect();
                }
                all
            }
            Points::Random { count, seed } => (0..count)
                .map(|point| {
                    let mut stream = Stream::new(seed, Purpose::Sweep, &[point as u64]);
                    let axes = self.over.iter();
                    axes.map(|(_, axis)| axis.draw(&mut stream)).collect()
                })
                .collect(),
        };
        let width = (settings.len().max(1) - 1).to_string().len().max(2);
        let point = |(index, values): (usize, Vec<String>)| Point {
            name: format!("point-{index:0width$}"),
            settings: self
                .over
                .iter()
                .map(|(key, _)| key.clone())
                .zip(values)
                .collect(),
        };
        settings.into_iter().enumerate().map(point).collect()
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
        let Some(deal) = &self.trials else {
            return Ok(vec![Trial {
                name: point.name.clone(),
                overrides: point.overrides(),
            }]);
        };
        let own = |trial: Trial| Trial {
            name: format!("{}-{}", point.name, trial.name),
            overrides: [point.overrides(), trial.overrides].concat(),
        };
        Ok(plan(experiment, deal)?.into_iter().map(own).collect())
    }

    /// The epochs after which points are compared, of `total`; the last is `total` itself.
    pub fn rungs(&self, total: usize) -> Vec<usize> {
        let mut rungs = Vec::new();
        if let Some(Halving { factor, min_epochs }) = self.halving {
            let mut next = min_epochs;
            while next < total {
                rungs.push(next);
                next *= factor;
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

impl Points {
    fn read(mut section: Section, over: &[(String, Axis)]) -> Points {
        if section.kind(&["grid", "random"], Some("grid")) == Some("random") {
            return Points::Random {
                count: section.get_if("count", 20, |count| match count {
                    1..=MOST => Ok(()),
                    _ => Err(format!("1 to {MOST} points")),
                }),
                seed: section.get("seed", 0),
            };
        }
        let sizes = over.iter().map(|(_, axis)| match axis {
            Axis::Values(values) => values.len(),
            Axis::Range { .. } => 1,
        });
        let total = sizes.fold(1usize, usize::saturating_mul);
        if total > MOST {
            section.wrong(
                "kind",
                format!("a grid of {total} points is more than {MOST}; draw some of them: {{kind: random, count: 100}}"),
            );
        }
        Points::Grid
    }
}

fn read_trials(mut section: Section) -> Option<Deal> {
    match section.kind(&["seeds", "folds"], None)? {
        "seeds" => {
            let seeds: Vec<u64> = section.values_if("seeds", |_| Ok(())).unwrap_or_default();
            if seeds.is_empty() || (1..seeds.len()).any(|i| seeds[..i].contains(&seeds[i])) {
                section.wrong(
                    "seeds",
                    "needs different seeds, such as [1, 2, 3]".to_owned(),
                );
            }
            Some(Deal::Seeds { seeds })
        }
        _ => Some(Deal::InnerFolds {
            folds: section.get_if("folds", 5, at_least(2)),
            repeats: section.get_if("repeats", 1, at_least(1)),
        }),
    }
}

impl Halving {
    fn read(mut section: Section) -> Halving {
        Halving {
            factor: section.get_if("factor", 3, at_least(2)),
            min_epochs: section.get_if("min_epochs", 5, at_least(1)),
        }
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
    fn a_grid_is_every_combination_and_the_last_key_varies_fastest() {
        let text = "version: 1\nbase: b.yaml\nover: {a: [1, 2], b: [x, {kind: y}, null]}\n";
        let points = read(text).unwrap().points();
        let settings: Vec<String> = points
            .iter()
            .map(|point| point.overrides().join(" "))
            .collect();
        assert_eq!(
            settings,
            [
                "a=1 b=\"x\"",
                "a=1 b={\"kind\":\"y\"}",
                "a=1 b=null",
                "a=2 b=\"x\"",
                "a=2 b={\"kind\":\"y\"}",
                "a=2 b=null"
            ]
        );
        assert_eq!(points[5].name, "point-05");
    }

    #[test]
    fn drawn_points_lie_in_their_ranges_and_are_the_same_again() {
        let text = "version: 1\nbase: b.yaml\nover:\n  lr: {low: 1.0e-4, high: 1.0e-1, scale: log}\n  units: {low: 1, high: 3}\n  kind: [a, b]\npoints: {kind: random, count: 3000, seed: 4}\n";
        let sweep = read(text).unwrap();
        let points = sweep.points();
        assert_eq!(points, sweep.points());
        let mut below = 0;
        let mut units = [0; 4];
        for point in &points {
            let lr: f64 = point.settings[0].1.parse().unwrap();
            assert!((1e-4..=1e-1).contains(&lr), "{lr}");
            below += usize::from(lr < 1e-3);
            units[point.settings[1].1.parse::<usize>().unwrap()] += 1;
        }
        // A third of the factors and a third of the numbers each; four standard deviations of 3000 draws are 103.
        assert!(below.abs_diff(1000) < 103, "{below}");
        assert!(
            units[1..]
                .iter()
                .all(|&count: &i32| count.abs_diff(1000) < 103),
            "{units:?}"
        );
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
            "s.yaml:4:6: over.a: an empty list",
            "s.yaml:5:6: over.b: expected a range such as",
            "s.yaml:7:6: over.d: expected a list such as",
            "s.yaml:8:1: point: not a key of this file; did you mean points?",
            "s.yaml:9:9: metric: test.accuracy is none of",
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
