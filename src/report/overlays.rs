//! One metric over the epochs of several runs, drawn together.

use super::plots::{self, Plot, end_of};
use crate::config::train::{Metric, Mode};
use crate::run::logs;
use crate::study::catalog::RunEntry;

/// Runs that are drawn: as many as there are colours.
const DRAWN: usize = 7;

/// Letters of a run's name in a legend.
const NAME: usize = 24;

/// The curves of `metric` of the first `runs`, each called what `name` says; none where no run has a value.
pub fn overlay(
    metric: Metric,
    runs: &[&RunEntry],
    name: impl Fn(&RunEntry) -> String,
) -> Option<Plot> {
    let (y, factor) = match metric.mode() {
        Mode::Min => ("mean loss", 1.0),
        Mode::Max => ("share %", 100.0),
    };
    let curve = |run: &&RunEntry| {
        let records = logs::read(&run.path).unwrap_or_default();
        let values = records
            .iter()
            .map(|record| Some(factor * record.get(metric)?));
        (end_of(&name(run), NAME), values.collect())
    };
    let curves: Vec<_> = runs.iter().take(DRAWN).map(curve).collect();
    let mut title = metric.word().replace('.', " ");
    if runs.len() > DRAWN {
        title += &format!(" (the first {DRAWN} of {})", runs.len());
    }
    plots::overlaid(&metric.word().replace('.', "-"), &title, y, &curves)
}
