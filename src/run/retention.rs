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

/// What becomes of the state of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is written.
    Write,
    /// It stays in memory until the next one is written, which comes behind it. A process that is killed before goes on
    /// from an earlier checkpoint, and comes by here again.
    Hold,
    /// Nothing.
    Pass,
}

/// The shortest time between two checkpoints of [`Every::Auto`]: what a process that is killed may lose, with the epoch
/// under way. Writing one takes a tenth of a second, on a slow disk.
const PAUSE: Duration = Duration::from_secs(5);

/// What becomes of the state now, `since` the last checkpoint. The last epoch is always written, and one that is among the
/// best always kept.
pub fn keeping(every: Every, occasion: Occasion, progress: &Progress, since: Duration) -> Keeping {
    let by_interval = match every {
        Every::Auto => occasion != Occasion::Step && since >= PAUSE,
        Every::Epochs(count) => {
            occasion != Occasion::Step && (progress.epoch - 1).is_multiple_of(count)
        }
        Every::Steps(count) => progress.step.is_multiple_of(count),
        Every::Minutes(count) => since >= Duration::from_secs(60 * count as u64),
    };
    match occasion {
        Occasion::Epoch { complete: true, .. } => Keeping::Write,
        _ if by_interval => Keeping::Write,
        Occasion::Epoch { ranked: true, .. } => Keeping::Hold,
        Occasion::Epoch { .. } | Occasion::Step => Keeping::Pass,
    }
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
    fn checkpoints_are_written_by_interval_and_held_by_merit() {
        let epoch = |ranked, complete| Occasion::Epoch { ranked, complete };
        let (plain, best, last) = (epoch(false, false), epoch(true, false), epoch(false, true));
        let (epochs, steps) = (Every::Epochs(2), Every::Steps(7));
        // (every, occasion, (epoch, step), seconds since the last, what becomes of it)
        let cases = [
            (epochs, Occasion::Step, (3, 20), 60, Keeping::Pass),
            (epochs, plain, (2, 10), 60, Keeping::Pass),
            (epochs, plain, (3, 20), 60, Keeping::Write),
            (epochs, best, (2, 10), 60, Keeping::Hold),
            (epochs, best, (3, 10), 60, Keeping::Write),
            (epochs, last, (2, 10), 60, Keeping::Write),
            (steps, Occasion::Step, (1, 14), 60, Keeping::Write),
            (steps, Occasion::Step, (1, 15), 60, Keeping::Pass),
            (
                Every::Minutes(2),
                Occasion::Step,
                (1, 15),
                60,
                Keeping::Pass,
            ),
            (
                Every::Minutes(1),
                Occasion::Step,
                (1, 15),
                60,
                Keeping::Write,
            ),
            (Every::Auto, Occasion::Step, (1, 15), 60, Keeping::Pass),
            (Every::Auto, plain, (2, 10), 4, Keeping::Pass),
            (Every::Auto, best, (2, 10), 4, Keeping::Hold),
            (Every::Auto, plain, (2, 10), 5, Keeping::Write),
            (Every::Auto, last, (2, 10), 0, Keeping::Write),
        ];
        for (every, occasion, (epoch, step), seconds, expected) in cases {
            let progress = Progress {
                epoch,
                step,
                ..Progress::start()
            };
            let found = keeping(every, occasion, &progress, Duration::from_secs(seconds));
            assert_eq!(
                found, expected,
                "{every:?} {occasion:?} {epoch} {step} {seconds}"
            );
        }
    }

    #[test]
    fn the_newest_and_the_best_stay() {
        let metrics = Metrics {
            loss: 0.1,
            accuracy: 1.0,
            ..Metrics::default()
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
