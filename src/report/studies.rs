//! What a study says at its end, to people and in `summary.csv`.

use std::path::Path;

use anyhow::Result;

use super::table::{Table, csv_text};
use crate::messages::{escaped, shell_quote};
use crate::study::ranking::{Ranking, Standing};
use crate::study::statistics::Spread;
use crate::study::summary::Summary;

/// Points of a sweep that are shown; `summary.csv` has all.
const SHOWN: usize = 20;

/// What a study found.
pub fn study(found: &Summary, folder: &Path) -> String {
    let mut trials = Table::new(1, &["trial", "accuracy %", "loss", "wrong", "images"]);
    for result in &found.results {
        trials.add_row([
            result.trial.clone(),
            percent(result.accuracy),
            format!("{:.4}", result.loss),
            result.wrong.len().to_string(),
            result.images.to_string(),
        ]);
    }
    let mut text = format!(
        "{trials}\n\n{} trials: {} accuracy {}\n",
        found.trials,
        found.part,
        spread(&found.accuracy)
    );
    if !found.often_wrong.is_empty() {
        let often: Vec<String> = found
            .often_wrong
            .iter()
            .take(10)
            .map(|(name, times)| format!("{name} ({times})"))
            .collect();
        text += &format!("wrong in several trials: {}\n", escaped(&often.join(", ")));
    }
    text + &format!("the study is in {}", escaped(&folder.display().to_string()))
}

/// The same as CSV: a line per trial.
///
/// # Errors
/// None that is known.
pub fn study_csv(found: &Summary) -> Result<String> {
    let header = ["trial", "accuracy", "loss", "images", "wrong"].map(str::to_owned);
    let rows = found.results.iter().map(|result| {
        vec![
            result.trial.clone(),
            result.accuracy.to_string(),
            result.loss.to_string(),
            result.images.to_string(),
            result.wrong.len().to_string(),
        ]
    });
    csv_text(std::iter::once(header.to_vec()).chain(rows))
}

/// What a sweep over `base` found.
pub fn sweep(found: &Ranking, base: &Path, folder: &Path) -> String {
    let mut text = format!("{}\n\n", points(found));
    if found.points.len() > SHOWN {
        text += &format!(
            "the first {SHOWN} of {} points; summary.csv has all\n",
            found.points.len()
        );
    }
    match found.points.first().filter(|best| best.value.is_some()) {
        None => text += "training diverged at every point\n",
        Some(best) => {
            text += &as_a_run(found, best, base);
            let longest = found.points.iter().map(|standing| standing.epochs).max();
            if found.test.is_none() && Some(best.epochs) < longest {
                text += &format!(
                    "it was stopped after {} epochs, so it was not evaluated on its test part; the points trained \
                     longer diverged\n",
                    best.epochs
                );
            }
        }
    }
    if let Some(test) = &found.test {
        text += &format!("on its test part: accuracy {}\n", spread(&test.accuracy));
    }
    text + &format!("the sweep is in {}", escaped(&folder.display().to_string()))
}

/// The best points, a row each.
fn points(found: &Ranking) -> Table {
    let keys = keys(found);
    let last = ["epochs", &found.metric, "sd", "trials"];
    let mut points = Table::new(1 + keys.len(), &[&["point"], &keys[..], &last[..]].concat());
    for standing in found.points.iter().take(SHOWN) {
        let settings = standing
            .point
            .settings
            .iter()
            .map(|(_, value)| value.trim_matches('"').to_owned());
        let [value, sd] = match &standing.value {
            Some(value) => [value.mean, value.sd].map(|number| format!("{number:.4}")),
            None => ["diverged".to_owned(), "-".to_owned()],
        };
        let row = [standing.point.name.clone()].into_iter().chain(settings);
        points.add_row(row.chain([
            standing.epochs.to_string(),
            value,
            sd,
            standing.trials.len().to_string(),
        ]));
    }
    points
}

/// The keys that the sweep tried values of.
fn keys(found: &Ranking) -> Vec<&str> {
    let settings = found.points.first().map(|best| &best.point.settings);
    settings
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

/// The command that trains the best point.
fn as_a_run(found: &Ranking, best: &Standing, base: &Path) -> String {
    let settings = best
        .point
        .settings
        .iter()
        .map(|(key, value)| format!(" -s {}", shell_quote(format!("{key}={value}"))));
    format!(
        "best by {}: {}; to train it: signet train {}{}\n",
        found.metric,
        best.point.name,
        shell_quote(base),
        settings.collect::<String>()
    )
}

/// All points as CSV, best first.
///
/// # Errors
/// None that is known.
pub fn sweep_csv(found: &Ranking) -> Result<String> {
    let header = [
        &["rank", "point"],
        &keys(found)[..],
        &["epochs", "trials", "mean", "sd"],
    ];
    let header = header.concat().into_iter().map(str::to_owned).collect();
    let rows = found.points.iter().enumerate().map(|(rank, standing)| {
        let values = standing
            .point
            .settings
            .iter()
            .map(|(_, value)| value.clone());
        let metrics = match &standing.value {
            Some(value) => [value.mean, value.sd].map(|number| number.to_string()),
            None => [String::new(), String::new()],
        };
        let counts = [standing.epochs, standing.trials.len()].map(|count| count.to_string());
        [(rank + 1).to_string(), standing.point.name.clone()]
            .into_iter()
            .chain(values)
            .chain(counts)
            .chain(metrics)
            .collect()
    });
    csv_text(std::iter::once(header).chain(rows))
}

fn spread(accuracy: &Spread) -> String {
    let [low, high] = accuracy.interval.map(percent);
    format!(
        "{} +- {} % (mean, sd; 95 % interval {low} to {high}), median {}, worst {}",
        percent(accuracy.mean),
        percent(accuracy.sd),
        percent(accuracy.median),
        percent(accuracy.worst)
    )
}

/// A share in per cent.
pub fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}
