//! One display for all trials of a study.

use std::path::Path;
use std::sync::Mutex;

use indicatif::{HumanDuration, MultiProgress, ProgressBar};

use super::results::TrialResult;
use crate::config::run::CheckpointConfig;
use crate::run::bars::{best_in_words, curve, losses, new_bar, show_bar, text_line};
use crate::run::display::Style;
use crate::run::{logs, screen};
use crate::train::metrics::EpochRecord;
use crate::train::progress;

/// Shows which trials run, how far they are, and what the finished ones say together.
pub struct Display {
    style: Style,
    /// What the best epoch of a trial is chosen by.
    checkpoint: CheckpointConfig,
    bars: Option<(MultiProgress, ProgressBar)>,
    running: Mutex<Vec<Running>>,
}

/// A trial under way.
struct Running {
    trial: String,
    line: ProgressBar,
    /// Its epochs so far.
    history: Vec<EpochRecord>,
}

impl Display {
    /// Before the first trial.
    pub fn new(style: Style, checkpoint: &CheckpointConfig) -> Display {
        let bars = style.draws_bars().then(|| {
            let all = screen::open();
            let top = all.add(new_bar("trial", 0));
            (all, top)
        });
        Display {
            style,
            checkpoint: checkpoint.clone(),
            bars,
            running: Mutex::default(),
        }
    }

    /// So many trials follow.
    pub fn begin(&self, trials: usize) {
        if let Some((all, top)) = &self.bars {
            top.reset();
            top.set_length(trials as u64);
            top.set_message("");
            all.set_draw_target(screen::target());
            screen::keep_drawn(top);
        }
    }

    /// The trial in `folder` has ended an epoch; `record` is its line of progress.
    pub fn epoch(&self, folder: &Path, record: &EpochRecord) {
        let (Some((all, _)), Ok(mut running)) = (&self.bars, self.running.lock()) else {
            return;
        };
        let trial = folder.file_name().unwrap_or_default().to_string_lossy();
        let known = running.iter().position(|known| known.trial == trial);
        let index = known.unwrap_or_else(|| {
            // Earlier launches have left some; what cannot be read is not shown.
            let mut history = logs::read(folder).unwrap_or_default();
            history.retain(|earlier| earlier.epoch < record.epoch);
            running.push(Running {
                trial: trial.into_owned(),
                line: all.add(text_line("  ")),
                history,
            });
            running.len() - 1
        });
        let found = &mut running[index];
        found.history.push(record.clone());
        let columns = screen::columns().saturating_sub(2);
        found
            .line
            .set_message(found.words(&self.checkpoint, columns));
    }

    /// `trial` has its result, the last of `so_far`.
    pub fn done<F: TrialResult>(&self, trial: &str, so_far: &[F], trials: usize) {
        self.left(trial);
        let Some(last) = so_far.last() else { return };
        if let Some((_, top)) = &self.bars {
            top.set_position(so_far.len() as u64);
            // Known only now: before the first trial has ended nobody can say how long they take.
            let left = HumanDuration(top.eta());
            let (together, left) = (F::together(so_far), format!("{left:#} left"));
            let choices = [vec![together.clone(), left], vec![together]];
            show_bar(top, "trial", &choices, screen::columns());
            return;
        }
        match self.style {
            Style::None => {}
            Style::Json => crate::status!("{}", serde_json::json!(last)),
            _ => crate::status!(
                "{trial}  {}  ({} of {trials}, {})",
                last.line(),
                so_far.len(),
                F::together(so_far)
            ),
        }
    }

    /// `trial` runs no longer.
    pub fn left(&self, trial: &str) {
        if let Ok(mut running) = self.running.lock() {
            running.retain(|known| {
                let stays = known.trial != trial;
                if !stays {
                    known.line.finish_and_clear();
                }
                stays
            });
        }
    }

    /// Clears the screen of bars, up to the next [`Display::begin`].
    pub fn clear(&self) {
        if let Some((all, top)) = &self.bars {
            screen::clear(all, top);
        }
    }
}

impl Running {
    /// Its line of `columns`: how far it is, the curve of its loss, and its best epoch by `checkpoint`.
    fn words(&self, checkpoint: &CheckpointConfig, columns: usize) -> String {
        let Some(last) = self.history.last() else {
            return String::new();
        };
        let (part, metrics) = last.shown();
        let begin = format!("{}  epoch {}  ", self.trial, last.epoch);
        let accuracy = format!("{part} accuracy {:5.1} %", 100.0 * metrics.accuracy);
        let best = progress::best(self.history.clone(), checkpoint);
        let [short, long] = best_in_words(best.as_ref().unwrap_or(last), checkpoint.metric);
        let choices = [
            vec![accuracy.clone(), long],
            vec![accuracy, short.clone()],
            vec![short],
        ];
        let room = columns.saturating_sub(begin.len());
        begin + &curve(&losses(&self.history), &choices, room)
    }
}
