//! `timing.jsonl`: the seconds of each epoch, and which launch of the run took them.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::distributed::Ranks;

/// The log's name in a run directory.
pub const TIMING: &str = "timing.jsonl";

/// One line of `timing.jsonl`, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochTiming {
    /// Counts from 1.
    pub epoch: usize,
    /// The launch that ended the epoch; counts from 1. Versions up to 0.2 did not write it.
    #[serde(default = "first")]
    pub launch: usize,
    /// Of the whole epoch: its steps and its evaluation.
    pub seconds: f64,
    /// Of its steps.
    pub steps: f64,
    /// Of those, in exchanges with other processes, with what they were waited for; none where there is one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<f64>,
    /// Of its evaluation.
    pub evaluation: f64,
    /// Since the epoch before it in this launch, or since its start: what listeners do, such as checkpoints.
    pub between: f64,
}

fn first() -> usize {
    1
}

/// The epochs that `timing.jsonl` of the run in `folder` tells of; none where there is no such file, and without lines that
/// are not signet's: nothing depends on them.
pub fn read(folder: &Path) -> Vec<EpochTiming> {
    let text = disk::read_text(&folder.join(TIMING)).unwrap_or_default();
    let lines = text.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// When the epoch under way began, when its last step so far was taken, and when the one before it ended.
pub(super) struct Clock {
    launch: usize,
    began: Instant,
    stepped: Instant,
    ended: Instant,
    /// What the processes had exchanged for when the epoch began, and at its last step so far.
    exchanged: [Duration; 2],
}

impl Clock {
    /// Of another launch of the run in `folder`.
    pub(super) fn new(folder: &Path) -> Clock {
        let now = Instant::now();
        Clock {
            launch: read(folder).last().map_or(1, |last| last.launch + 1),
            began: now,
            stepped: now,
            ended: now,
            exchanged: [Duration::ZERO; 2],
        }
    }

    /// An epoch of `ranks` begins.
    pub(super) fn begin(&mut self, ranks: &Ranks) {
        self.began = Instant::now();
        self.stepped = self.began; // there may be no step left
        self.exchanged = [ranks.exchanged(); 2];
    }

    /// They have taken a step.
    pub(super) fn step(&mut self, ranks: &Ranks) {
        self.stepped = Instant::now();
        self.exchanged[1] = ranks.exchanged();
    }

    /// The times of `epoch`, which ends now.
    pub(super) fn end(&mut self, epoch: usize, ranks: &Ranks) -> EpochTiming {
        let [before, after] = self.exchanged;
        let now = Instant::now();
        let seconds = |from: Instant, to: Instant| (to - from).as_secs_f64();
        let timing = EpochTiming {
            epoch,
            launch: self.launch,
            seconds: seconds(self.began, now),
            steps: seconds(self.began, self.stepped),
            exchange: (ranks.world() > 1).then(|| (after - before).as_secs_f64()),
            evaluation: seconds(self.stepped, now),
            between: seconds(self.ended, self.began),
        };
        self.ended = now;
        timing
    }
}
