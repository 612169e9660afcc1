//! What is printed at the end of a study.

use std::path::Path;

use super::table::Table;
use crate::messages::{escaped, shell_quote};
use crate::study::ranking::Ranking;
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

/// What a sweep over `base` found.
pub fn sweep(found: &Ranking, base: &Path, folder: &Path) -> String {
    let keys = found.points.first().map(|best| &best.point.settings);
    let keys: Vec<&str> = keys
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    let last = ["epochs", &found.metric, "sd", "trials"];
    let mut points = Table::new(1 + keys.len(), &[&["point"], &keys[..], &last[..]].concat());
    for standing in found.points.iter().take(SHOWN) {
        let settings = standing
            .point
            .settings
            .iter()
            .map(|(_, value)| value.trim_matches('"').to_owned());
        let [value, sd] = match &standing.value {
            Some(value) => [value.mean, value.sd].map(|figure| format!("{figure:.4}")),
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
    let mut text = format!("{points}\n\n");
    if found.points.len() > SHOWN {
        text += &format!(
            "the first {SHOWN} of {} points; summary.csv has all\n",
            found.points.len()
        );
    }
    match found.points.first().filter(|best| best.value.is_some()) {
        None => text += "no point came to its end without diverging\n",
        Some(best) => {
            let settings = best
                .point
                .settings
                .iter()
                .map(|(key, value)| format!(" -s {}", shell_quote(format!("{key}={value}"))));
            text += &format!(
                "best by {}: {}; as a run: signet train {}{}\n",
                found.metric,
                best.point.name,
                shell_quote(base),
                settings.collect::<String>()
            );
        }
    }
    let longest = found.points.iter().map(|standing| standing.epochs).max();
    let left_behind = found
        .points
        .first()
        .filter(|best| found.test.is_none() && best.value.is_some() && Some(best.epochs) < longest);
    if let Some(best) = left_behind {
        text += &format!(
            "it was left behind after {} epochs, so its test part was not looked at: those that went on diverged\n",
            best.epochs
        );
    }
    if let Some(test) = &found.test {
        text += &format!(
            "its test part, looked at once: accuracy {}\n",
            spread(&test.accuracy)
        );
    }
    text + &format!("the sweep is in {}", escaped(&folder.display().to_string()))
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
