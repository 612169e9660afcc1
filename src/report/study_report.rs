//! Everything a page or a plot says about one study.

use std::path::Path;

use anyhow::Result;

use super::overlays::overlay;
use super::plots::{self, Plot};
use crate::config::train::Metric;
use crate::study::catalog::{Findings, RunEntry, StudyEntry};

/// A study, as it is told of.
pub struct StudyReport {
    /// What it is, and what it found.
    pub study: StudyEntry,
}

impl StudyReport {
    /// Of the study in `folder`.
    ///
    /// # Errors
    /// A folder that is no study.
    pub fn gather(folder: &Path) -> Result<StudyReport> {
        Ok(StudyReport {
            study: StudyEntry::open(folder)?,
        })
    }

    /// Every plot there is something to draw for.
    pub fn plots(&self) -> Vec<Plot> {
        let mut plots = Vec::new();
        match &self.study.summary {
            Some(Findings::Resampling(found)) => {
                let accuracies: Vec<f64> =
                    found.results.iter().map(|result| result.accuracy).collect();
                let part = found.part.word();
                plots.extend(plots::accuracy_by_trial(
                    &found.results,
                    found.accuracy.mean,
                    part,
                ));
                plots.extend(plots::accuracy_distribution(&accuracies, part));
                plots.extend(plots::wrong_images(&found.often_wrong, found.trials));
            }
            Some(Findings::Sweep(found)) => {
                let keys = found
                    .points
                    .first()
                    .map_or(0, |best| best.point.settings.len());
                for key in 0..keys {
                    let values = found.points.iter().filter_map(|standing| {
                        let (_, value) = standing.point.settings.get(key)?;
                        Some((value.clone(), standing.value?))
                    });
                    let name = &found.points[0].point.settings[key].0;
                    plots.extend(plots::against_key(
                        name,
                        &found.metric,
                        &values.collect::<Vec<_>>(),
                    ));
                }
            }
            None => {}
        }
        let begun: Vec<&RunEntry> = self.study.begun.iter().collect();
        let name = |run: &RunEntry| {
            let name = run.path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let metrics = [Metric::ValLoss, Metric::ValAccuracy].into_iter();
        plots.extend(metrics.filter_map(|metric| overlay(metric, &begun, name)));
        plots
    }
}
