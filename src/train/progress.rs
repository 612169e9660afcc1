//! Where a training stands: what the loop remembers beside weights and moments, as plain values.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::metrics::EpochRecord;
use super::patience::Patience;
use crate::config::Experiment;
use crate::config::run::CheckpointConfig;
use crate::config::train::{Mode, Schedule};

/// Position, memory of the best epochs, and the counters that wait for better ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The epoch under way, from 1; one past the last epoch when all are done.
    pub epoch: usize,
    /// Images of that epoch that have been learned from.
    #[serde(alias = "pictures")] // as version 0.2 says
    pub images: usize,
    /// Steps taken in all.
    pub step: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// The best epochs so far, best first, as many as `checkpoint.keep_best` (at least one).
    pub ranking: Vec<EpochRecord>,
    /// The last epoch that ended.
    pub last: Option<EpochRecord>,
    /// Waits for early stopping.
    pub patience: Patience,
    /// Waits for the next drop of a plateau schedule.
    pub plateau: Patience,
    /// Drops of the plateau schedule so far.
    pub drops: u32,
    /// How the run was made longer, if it was.
    pub extensions: Vec<Extension>,
}

/// A run that was made longer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    /// Its epochs before.
    pub epochs: usize,
    /// What became of a schedule that depends on their number.
    pub how: ExtendMode,
}

/// What becomes of a schedule that depends on the number of epochs when that number changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ExtendMode {
    /// Ends at its original last epoch; further epochs keep its last learning rate.
    Hold,
    /// Ends at its original last epoch and starts again over the further epochs.
    Restart,
    /// Is computed over the new number of epochs, as if it had been planned so.
    Stretch,
}

impl Progress {
    /// Before the first step.
    pub fn start() -> Progress {
        Progress {
            epoch: 1,
            images: 0,
            step: 0,
            lr: 0.0,
            ranking: Vec::new(),
            last: None,
            patience: Patience::default(),
            plateau: Patience::default(),
            drops: 0,
            extensions: Vec::new(),
        }
    }

    /// Takes in the end of an epoch and moves to the next.
    pub fn end_epoch(&mut self, record: &EpochRecord, experiment: &Experiment) {
        rank(&mut self.ranking, record, &experiment.checkpoint);
        if let Some(early) = &experiment.train.early_stopping
            && let Some(value) = record.get(early.metric)
        {
            self.patience
                .observe(value, early.metric.mode(), early.min_delta);
        }
        if let Schedule::Plateau {
            metric, patience, ..
        } = experiment.train.schedule
            && let Some(value) = record.get(metric)
        {
            self.plateau.observe(value, metric.mode(), 0.0);
            if self.plateau.waited > patience {
                self.plateau.waited = 0;
                self.drops += 1;
            }
        }
        self.last = Some(record.clone());
        self.epoch += 1;
        self.images = 0;
    }

    /// Whether the best epoch is the one that ended last.
    pub fn improved(&self) -> bool {
        self.last.is_some() && self.ranking.first() == self.last.as_ref()
    }

    /// Whether early stopping has run out of patience.
    pub fn stopped_early(&self, experiment: &Experiment) -> bool {
        let early = experiment.train.early_stopping.as_ref();
        self.images == 0 && early.is_some_and(|early| self.patience.waited >= early.patience)
    }

    /// Whether nothing is left to do.
    pub fn complete(&self, experiment: &Experiment) -> bool {
        self.epoch > experiment.train.epochs || self.stopped_early(experiment)
    }

    /// Makes memory of metrics fit settings that were changed between two launches: a counter that
    /// waited for another metric starts anew, and the best epochs are ranked by the new one.
    pub fn adapt(&mut self, before: &Experiment, now: &Experiment) {
        let early = |experiment: &Experiment| {
            let early = experiment.train.early_stopping.as_ref();
            early.map(|early| early.metric)
        };
        if early(before) != early(now) {
            self.patience = Patience::default();
        }
        let plateau = |experiment: &Experiment| match experiment.train.schedule {
            Schedule::Plateau { metric, .. } => Some(metric),
            _ => None,
        };
        if plateau(before) != plateau(now) {
            self.plateau = Patience::default();
        }
        for record in std::mem::take(&mut self.ranking) {
            rank(&mut self.ranking, &record, &now.checkpoint);
        }
    }
}

/// The best of `records` by `config`, if there are any.
pub fn best(records: Vec<EpochRecord>, config: &CheckpointConfig) -> Option<EpochRecord> {
    let mut ranking = Vec::new();
    for record in records {
        rank(&mut ranking, &record, config);
    }
    ranking.into_iter().next()
}

/// Puts `record` where it belongs among the best. Between equals the lower loss wins, since small val
/// parts are often recognised completely by many epochs, and then the earlier epoch.
fn rank(ranking: &mut Vec<EpochRecord>, record: &EpochRecord, config: &CheckpointConfig) {
    let value = |record: &EpochRecord| match (record.get(config.metric), config.mode) {
        (None, _) => f64::INFINITY, // refused before a training begins
        (Some(value), Mode::Max) => -value,
        (Some(value), Mode::Min) => value,
    };
    let loss = |record: &EpochRecord| record.val.unwrap_or(record.train).loss;
    let beats = |other: &EpochRecord| {
        let values = value(record).total_cmp(&value(other));
        values
            .then(loss(record).total_cmp(&loss(other)))
            .then(record.epoch.cmp(&other.epoch))
            .is_lt()
    };
    let place = ranking.iter().position(beats).unwrap_or(ranking.len());
    ranking.insert(place, record.clone());
    ranking.truncate(config.keep_best.max(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::config::document::Document;
    use crate::config::run::Every;
    use crate::config::train::Metric;
    use crate::train::metrics::Metrics;
    use crate::train::schedule::{Position, rate};

    fn record(epoch: usize, accuracy: f64, loss: f64) -> EpochRecord {
        let metrics = Metrics {
            loss,
            accuracy,
            ..Metrics::default()
        };
        EpochRecord {
            epoch,
            step: epoch * 10,
            lr: 0.1,
            train: metrics,
            val: Some(metrics),
        }
    }

    #[test]
    fn the_best_epochs_are_ranked_by_metric_then_loss_then_age() {
        let cases = [
            (
                Metric::ValAccuracy,
                Mode::Max,
                vec![3, 4],
                "equal accuracy: lower loss; equal loss: earlier",
            ),
            (Metric::ValLoss, Mode::Min, vec![5, 1], "loss alone"),
            (Metric::ValLoss, Mode::Max, vec![2, 3], "the mode decides"),
        ];
        for (metric, mode, expected, why) in cases {
            let config = CheckpointConfig {
                every: Every::Auto,
                keep_last: 1,
                keep_best: 2,
                metric,
                mode,
            };
            let mut ranking = Vec::new();
            let met = [(0.8, 0.2), (0.9, 0.5), (0.9, 0.4), (0.9, 0.4), (0.7, 0.1)];
            for (index, (accuracy, loss)) in met.into_iter().enumerate() {
                rank(&mut ranking, &record(index + 1, accuracy, loss), &config);
            }
            let epochs: Vec<usize> = ranking.iter().map(|record| record.epoch).collect();
            assert_eq!(epochs, expected, "{why}");
        }
    }

    #[test]
    fn a_progress_survives_its_own_json_bit_for_bit() {
        let mut progress = Progress::start();
        // 0.1 + 0.2 and 1/3 have no short decimal form.
        progress.ranking = vec![record(3, 1.0 / 3.0, 0.1 + 0.2)];
        progress.last = Some(record(7, f64::MIN_POSITIVE, 1e300 / 7.0));
        progress.patience = Patience {
            best: Some(std::f64::consts::PI / 1e5),
            waited: 3,
        };
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
    }

    #[test]
    fn plateau_drops_when_reduce_lr_on_plateau_does() {
        // optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        // schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0)
        // for loss in losses: schedule.step(loss); print(optimizer.param_groups[0]["lr"])
        let losses = [1.0, 0.9, 0.9, 0.95, 0.92, 0.91, 0.8, 0.81, 0.82, 0.83, 0.84];
        let rates = [
            1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625,
        ];
        let text = "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: ann}\n\
                    train: {schedule: {kind: plateau, factor: 0.5, patience: 1}}\n";
        let document = Document::parse("x.yaml".into(), text.into(), &[]).unwrap();
        let experiment = Experiment::from_document(&document, Path::new("x.yaml"), &[]).unwrap();
        let mut progress = Progress::start();
        for (index, (loss, expected)) in losses.into_iter().zip(rates).enumerate() {
            progress.end_epoch(&record(index + 1, 0.5, loss), &experiment);
            let at = Position::new(&progress, 10, 32, 40);
            let rate = rate(&experiment.train.schedule, 1.0, at);
            assert_eq!(rate, expected, "after epoch {}", index + 1);
        }
    }
}
