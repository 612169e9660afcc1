//! One display for all trials of a study.

use std::sync::Mutex;

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::results::TrialResult;
use crate::run::display::{Style, bar_style};
use crate::train::metrics::EpochRecord;

/// Shows which trials run, how far they are, and what the finished ones say together.
pub struct Display {
    style: Style,
    bars: Option<(MultiProgress, ProgressBar)>,
    running: Mutex<Vec<(String, ProgressBar)>>,
}

impl Display {
    /// Before the first trial.
    pub fn new(style: Style) -> Display {
        let bars = style.draws_bars().then(|| {
            let all = MultiProgress::new();
            let top = all.add(ProgressBar::new(0).with_style(bar_style("trials")));
            (all, top)
        });
        Display {
            style,
            bars,
            running: Mutex::default(),
        }
    }

    /// So many trials follow.
    pub fn begin(&self, trials: usize) {
        if let Some((_, top)) = &self.bars {
            top.set_length(trials as u64);
            top.set_position(0);
            top.reset_eta();
        }
    }

    /// A trial has ended an epoch; `record` is its line of progress.
    pub fn epoch(&self, trial: &str, record: &EpochRecord) {
        let (Some((all, _)), Ok(mut running)) = (&self.bars, self.running.lock()) else {
            return;
        };
        let known = running.iter().position(|(name, _)| name == trial);
        let index = known.unwrap_or_else(|| {
            let style = ProgressStyle::with_template("  {msg}").expect("the template is fixed");
            let line = all.add(ProgressBar::new_spinner().with_style(style));
            running.push((trial.to_owned(), line));
            running.len() - 1
        });
        let (part, metrics) = record.shown();
        let accuracy = 100.0 * metrics.accuracy;
        running[index].1.set_message(format!(
            "{trial}  epoch {}  {part} accuracy {accuracy:6.2} %",
            record.epoch
        ));
    }

    /// `trial` has its result, the last of `so_far`.
    pub fn done<F: TrialResult>(&self, trial: &str, so_far: &[F], trials: usize) {
        self.left(trial);
        let Some(last) = so_far.last() else { return };
        if let Some((_, top)) = &self.bars {
            top.set_position(so_far.len() as u64);
            // Known only now: before the first trial has ended nobody can say how long they take.
            let left = HumanDuration(top.eta());
            top.set_message(format!("{}  {left:#} left", F::together(so_far)));
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
            running.retain(|(name, bar)| {
                let stays = name != trial;
                if !stays {
                    bar.finish_and_clear();
                }
                stays
            });
        }
    }

    /// Clears the screen of bars.
    pub fn clear(&self) {
        if let Some((all, top)) = &self.bars {
            top.finish_and_clear();
            let _ = all.clear();
        }
    }

    /// Leaves the bars as they are: a ^C has moved the cursor, and nobody knows where to.
    pub fn leave(&self) {
        if let Some((all, _)) = self.bars.as_ref().filter(|(all, _)| !all.is_hidden()) {
            all.set_draw_target(ProgressDrawTarget::hidden());
            crate::status!("");
        }
    }
}
