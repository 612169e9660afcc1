//! The points of a sweep: sets of settings, as every combination of listed values or drawn by chance.

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use crate::config::entry::Entry;
use crate::config::key::{Rule, Shape, within};
use crate::config::section::Section;
use crate::config::setting::{Setting, describe};
use crate::rng::{Purpose, Stream};

/// The most points a sweep may have.
const MOST: usize = 10_000;

/// The values of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// These, as JSON.
    Values(Vec<String>),
    /// Anything between two ends.
    Range {
        /// Smallest value, included.
        low: f64,
        /// Largest value.
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
        /// Number of points to draw.
        count: usize,
        /// The same seed draws the same points.
        seed: u64,
    },
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
    fn shape(_: Rule) -> Shape {
        Shape::Form(
            "a list such as [0.1, 0.2], or a range such as {low: 0.0, high: 0.5}",
            &[],
        )
    }

    fn read(value: &Value) -> Result<Axis, String> {
        let json = |value: &Value| {
            serde_json::to_string(value).map_err(|_| "expected plain values".to_owned())
        };
        match value {
            Value::Sequence(values) if values.is_empty() => {
                Err("the list is empty; add at least one value".to_owned())
            }
            Value::Sequence(values) => values
                .iter()
                .map(json)
                .collect::<Result<_, _>>()
                .map(Axis::Values),
            Value::Mapping(range) => {
                let known = ["low", "high", "scale"];
                let unexpected = range
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
                match (number("low"), number("high"), log, unexpected) {
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
                let drawn = if log {
                    stream.uniform(low.ln(), high.ln()).exp()
                } else {
                    stream.uniform(low, high)
                };
                if whole {
                    format!("{}", drawn.round())
                } else {
                    // Four digits are more than any of these settings is worth, and can be typed again.
                    let digits = format!("{drawn:.3e}").parse::<f64>().unwrap_or(drawn);
                    serde_json::json!(digits).to_string()
                }
            }
        }
    }
}

impl Points {
    /// Reads the section `points`.
    pub fn read(mut section: Section, over: &[(String, Axis)]) -> Points {
        if section.kind(&["grid", "random"], Some("grid")) == Some("random") {
            return Points::Random {
                count: Entry::read(section.slot("count"), within(1, MOST as u32)).unwrap_or(20),
                seed: section.get("seed").unwrap_or(0),
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

    /// The points over the keys of `over`: in their order, the last key varying fastest, or as they are drawn.
    pub fn of(&self, over: &[(String, Axis)]) -> Vec<Point> {
        let settings: Vec<Vec<String>> = match *self {
            Points::Grid => {
                let mut all = vec![Vec::new()];
                for (_, axis) in over {
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
                    let axes = over.iter();
                    axes.map(|(_, axis)| axis.draw(&mut stream)).collect()
                })
                .collect(),
        };
        let width = (settings.len().max(1) - 1).to_string().len().max(2);
        let point = |(index, values): (usize, Vec<String>)| Point {
            name: format!("point-{index:0width$}"),
            settings: over
                .iter()
                .map(|(key, _)| key.clone())
                .zip(values)
                .collect(),
        };
        settings.into_iter().enumerate().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Document;

    fn points(text: &str) -> Vec<Point> {
        let document = Document::parse("s.yaml".into(), text.into(), &[]).unwrap();
        let mut top = Section::top(&document);
        let over: Vec<(String, Axis)> = top.get("over").unwrap();
        let points = Points::read(top.slot("points").section(), &over);
        drop(top);
        document.verdict().unwrap();
        points.of(&over)
    }

    #[test]
    fn a_grid_is_every_combination_and_the_last_key_varies_fastest() {
        let points = points("over: {a: [1, 2], b: [x, {kind: y}, null]}");
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
        let text = "over:\n  lr: {low: 1.0e-4, high: 1.0e-1, scale: log}\n  units: {low: 1, high: 3}\n  kind: [a, b]\npoints: {kind: random, count: 3000, seed: 4}\n";
        let again = points(text);
        let points = points(text);
        assert_eq!(points, again);
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
}
