//! Which checkpoints to write and which to keep, as functions of values.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::run::{CheckpointConfig, Every};
use crate::train::progress::Progress;

/// What happened, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A step in mid-epoch.
    Step,
    /// An epoch ended; whether it is among the best, whether it is the last.
    Epoch {
        /// It entered the ranking.
        ranked: bool,
        /// No epoch follows.
        complete: bool,
    },
}

/// Whether to write a checkpoint now. An epoch that is among the best or the last one always gets one.
pub fn due(every: Every, occasion: Occasion, progress: &Progress, since: Duration) -> bool {
    let by_interval = match every {
        Every::Epochs(count) => {
            occasion != Occasion::Step && (progress.epoch - 1).is_multiple_of(count)
        }
        Every::Steps(count) => progress.step.is_multiple_of(count),
        Every::Minutes(count) => since >= Duration::from_secs(60 * count as u64),
    };
    let deserved = matches!(
        occasion,
        Occasion::Epoch { ranked, complete } if ranked || complete
    );
    by_interval || deserved
}

/// Of the checkpoints taken at `steps`, those to remove: all but the newest and the best.
pub fn superfluous(
    steps: &[usize],
    progress: &Progress,
    config: &CheckpointConfig,
) -> BTreeSet<usize> {
    let mut newest: Vec<usize> = steps.to_vec();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let best = progress.ranking.iter().take(config.keep_best);
    let kept: BTreeSet<usize> = newest
        .iter()
        .take(config.keep_last)
        .copied()
        .chain(best.map(|record| record.step))
        .collect();
    steps
        .iter()
        .copied()
        .filter(|step| !kept.contains(step))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::train::{Metric, Mode};
    use crate::train::metrics::{EpochRecord, Metrics};

    #[test]
    fn checkpoints_are_due_by_interval_or_by_merit() {
        let at = |epoch, step| Progress {
            epoch,
            step,
            ..Progress::start()
        };
        let plain = Occasion::Epoch {
            ranked: false,
            complete: false,
        };
        let best = Occasion::Epoch {
            ranked: true,
            complete: false,
        };
        let last = Occasion::Epoch {
            ranked: false,
            complete: true,
        };
        let minute = Duration::from_secs(60);
        let cases = [
            (
                Every::Epochs(2),
                Occasion::Step,
                at(3, 20),
                minute,
                false,
                "not in mid-epoch",
            ),
            (
                Every::Epochs(2),
                plain,
                at(2, 10),
                minute,
                false,
                "one epoch of two",
            ),
            (
                Every::Epochs(2),
                plain,
                at(3, 20),
                minute,
                true,
                "two of two",
            ),
            (
                Every::Epochs(2),
                best,
                at(2, 10),
                minute,
                true,
                "the best deserves it",
            ),
            (
                Every::Epochs(2),
                last,
                at(2, 10),
                minute,
                true,
                "the last deserves it",
            ),
            (
                Every::Steps(7),
                Occasion::Step,
                at(1, 14),
                minute,
                true,
                "in mid-epoch",
            ),
            (
                Every::Steps(7),
                Occasion::Step,
                at(1, 15),
                minute,
                false,
                "between",
            ),
            (
                Every::Minutes(2),
                Occasion::Step,
                at(1, 15),
                minute,
                false,
                "too early",
            ),
            (
                Every::Minutes(1),
                Occasion::Step,
                at(1, 15),
                minute,
                true,
                "the minute is over",
            ),
        ];
        for (every, occasion, progress, since, expected, why) in cases {
            assert_eq!(due(every, occasion, &progress, since), expected, "{why}");
        }
    }

    #[test]
    fn the_newest_and_the_best_stay() {
        let metrics = Metrics {
            loss: 0.1,
            accuracy: 1.0,
        };
        let record = |step| EpochRecord {
            epoch: 1,
            step,
            lr: 0.1,
            train: metrics,
            val: None,
        };
        let cases = [
            (
                vec![0, 9, 18, 27],
                vec![9],
                2,
                vec![0],
                "two newest and the best",
            ),
            (
                vec![0, 9, 18, 27],
                vec![27],
                2,
                vec![0, 9],
                "the best is among the newest",
            ),
            (
                vec![27, 0, 18, 9],
                vec![],
                1,
                vec![0, 9, 18],
                "in any order, without a best",
            ),
            (vec![9], vec![9, 18], 5, vec![], "nothing to remove"),
        ];
        for (steps, best, keep_last, expected, why) in cases {
            let mut progress = Progress::start();
            progress.ranking = best.iter().map(|&step| record(step)).collect();
            let config = CheckpointConfig {
                every: Every::Epochs(1),
                keep_last,
                keep_best: 2,
                metric: Metric::ValAccuracy,
                mode: Mode::Max,
            };
            let removed: Vec<usize> = superfluous(&steps, &progress, &config)
                .into_iter()
                .collect();
            assert_eq!(removed, expected, "{why}");
        }
    }
}
