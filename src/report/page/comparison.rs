//! Runs and studies side by side.

use anyhow::Result;
use askama::Template;

use super::study::StudyPage;
use super::{Figure, PageFrame, PageTable, or_dash};
use crate::config::train::Metric;
use crate::messages::escaped;
use crate::report::catalog;
use crate::report::overlays::overlay;
use crate::study::catalog::{CatalogEntry, RunEntry};
use crate::study::compare::Comparison;

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
    let metrics_drawn = [Metric::ValLoss, Metric::ValAccuracy, Metric::TrainLoss].into_iter();
    let path = |run: &RunEntry| run.path.display().to_string();
    let charts = metrics_drawn.filter_map(|metric| overlay(metric, &runs, path));
    let charts = charts
        .map(|plot| Figure::of(&plot))
        .collect::<Result<_>>()?;
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
