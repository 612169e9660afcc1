//! Runs and studies side by side.

use anyhow::Result;
use askama::Template;

use super::study::StudyPage;
use super::{Figure, PageFrame, PageTable, or_dash};
use crate::config::train::Metric;
use crate::messages::escaped;
use crate::report::catalog;
use crate::report::plots::{self, end_of};
use crate::run::logs;
use crate::study::catalog::{CatalogEntry, RunEntry};
use crate::study::compare::Comparison;

/// Runs whose curves are drawn.
const DRAWN: usize = 7;

/// The page of `entries`, of which there are two at least.
///
/// # Errors
/// None that is known.
pub fn comparison(entries: &[CatalogEntry]) -> Result<String> {
    let found = Comparison::of(entries);
    let names: Vec<String> = found
        .columns
        .iter()
        .map(|column| column.path.display().to_string())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let metrics = catalog::metric_rows(&found, &catalog::shown);
    let metrics = metrics
        .into_iter()
        .map(|(name, cells)| [vec![name.to_owned()], cells].concat());
    let settings = found.settings.iter().map(|setting| {
        let values = setting.values.iter().map(|value| or_dash(value.clone()));
        [vec![setting.key.clone()], values.collect()].concat()
    });
    let runs: Vec<&RunEntry> = entries.iter().flat_map(CatalogEntry::runs).collect();
    let mut charts = Vec::new();
    for (metric, title, y, factor) in [
        (Metric::ValLoss, "Val loss", "mean loss", 1.0),
        (Metric::ValAccuracy, "Val accuracy", "accuracy %", 100.0),
        (Metric::TrainLoss, "Train loss", "mean loss", 1.0),
    ] {
        let curve = |run: &&RunEntry| {
            let records = logs::read(&run.path).unwrap_or_default();
            let values = records
                .iter()
                .map(|record| Some(factor * record.get(metric)?))
                .collect();
            (end_of(&run.path.display().to_string(), 24), values)
        };
        let curves: Vec<_> = runs.iter().take(DRAWN).map(curve).collect();
        let title = match runs.len() {
            ..=DRAWN => title.to_owned(),
            more => format!("{title} (the first {DRAWN} of {more})"),
        };
        let name = metric.word().replace('.', "-");
        charts.extend(
            plots::overlaid(&name, &title, y, &curves)
                .as_ref()
                .map(Figure::of)
                .transpose()?,
        );
    }
    let header = |first| [&[first][..], &names].concat();
    let remarks = catalog::paired_sentences(&found).into_iter();
    let page = StudyPage {
        frame: PageFrame {
            title: format!("{} side by side", entries.len()),
            live: false,
        },
        lead: escaped(&names.join(", ")).into_owned(),
        remarks: remarks.collect(),
        figures: Vec::new(),
        tables: vec![PageTable::new(
            "Metrics at the best epoch",
            &header("metric"),
            metrics.collect(),
        )],
        charts,
        section_title: "Settings that differ",
        settings: PageTable::new("Values in each", &header("setting"), settings.collect()),
    };
    Ok(page.render()?)
}
