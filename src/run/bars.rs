//! The bars that a person sees while a model trains: epochs with the best of them, steps, and the curve of the loss.

use std::time::{Duration, Instant};

use anyhow::Result;
use console::measure_text_width;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use super::display::{Outlook, chosen_by, pieces};
use super::screen;
use super::sparkline::sparkline;
use crate::config::train::{Metric, Mode};
use crate::terminal::Charset;
use crate::train::event::{Event, Observer};
use crate::train::metrics::{EpochRecord, Metrics};

/// Columns of a name, which each line begins with, and a blank.
const NAME: usize = 6;

/// Gives `bar`, in a line of `columns`, its `name` and the first of `choices` that has room behind it.
pub fn show_bar(bar: &ProgressBar, name: &str, choices: &[Vec<String>], columns: usize) {
    const CELLS: usize = 3;
    const WORDS: usize = 20;
    let digits = bar.length().unwrap_or(0).to_string().len().max(2);
    let rest = columns.saturating_sub(NAME + 2 * digits + 2);
    // In a narrow line the words are worth more than cells.
    let (cells, room) = match rest.checked_sub(CELLS + 1) {
        Some(room) if room > WORDS => (format!("{{bar:{CELLS}.cyan}} "), room),
        _ => (String::new(), rest),
    };
    let template = format!("{name:<NAME$}{{pos:>{digits}}}/{{len:<{digits}}} {cells}{{wide_msg}}");
    let style = ProgressStyle::with_template(&template).expect("the template is always valid");
    bar.set_style(match Charset::of_locale() {
        Charset::Unicode => style,
        Charset::Ascii => style.progress_chars("#-"),
    });
    bar.set_message(first_fitting(choices, room));
}

/// A bar called `name`, up to `length`, to be put on a screen.
pub fn new_bar(name: &str, length: usize) -> ProgressBar {
    let bar = ProgressBar::hidden(); // so that it is not seen in another style before
    bar.set_length(length as u64);
    show_bar(&bar, name, &[], screen::columns());
    bar
}

/// A line of words alone.
pub fn text_line(indent: &str) -> ProgressBar {
    let template = format!("{indent}{{wide_msg}}");
    let style = ProgressStyle::with_template(&template).expect("the template is always valid");
    ProgressBar::new_spinner().with_style(style)
}

/// The pieces of the first of `choices` that goes into `columns`, with two blanks between them; otherwise of the last.
fn first_fitting(choices: &[Vec<String>], columns: usize) -> String {
    let mut texts = choices.iter().map(|pieces| pieces.join("  "));
    let fits = |text: &String| measure_text_width(text) <= columns;
    let last = choices.last().map(|pieces| pieces.join("  "));
    texts.find(fits).or(last).unwrap_or_default()
}

/// The curve of `losses` and, behind it, the first of `choices` that leaves it room in `columns`.
pub fn curve(losses: &[f64], choices: &[Vec<String>], columns: usize) -> String {
    const CELLS: usize = 20;
    const LEAST: usize = 8;
    let text = first_fitting(choices, columns.saturating_sub(LEAST + 2));
    let left = columns.saturating_sub(measure_text_width(&text) + 2);
    let line = sparkline(losses, left.min(CELLS), Charset::of_locale());
    [line, text].join("  ").trim().to_owned()
}

/// The best epoch in words: short, and with the value of `metric` that it was chosen by.
pub fn best_in_words(best: &EpochRecord, metric: Metric) -> [String; 2] {
    let short = format!("best {}", best.epoch);
    let value = match (best.get(metric), metric.mode()) {
        (None, _) => return [short.clone(), short],
        (Some(loss), Mode::Min) => format!("{loss:.4}"),
        (Some(share), Mode::Max) => {
            let percent = format!("{:.1}", 100.0 * share);
            format!("{} %", percent.trim_end_matches(".0"))
        }
    };
    let long = format!("{short} ({} {value})", metric.word());
    [short, long]
}

/// Listens to a trainer and draws.
pub(super) struct Bars {
    all: MultiProgress,
    epochs: ProgressBar,
    steps: ProgressBar,
    /// Of the learning rate and the speed, and of the curve; each from when there is something to say.
    pace: Option<ProgressBar>,
    curve: Option<ProgressBar>,
    steps_per_epoch: usize,
    metric: Metric,
    /// The epochs so far, and the best of them.
    history: Vec<EpochRecord>,
    best: Option<EpochRecord>,
    /// Steps of this launch, and when it began.
    taken: usize,
    began: Instant,
    /// Images of the epoch under way, and when it began.
    images: usize,
    epoch_began: Instant,
    asked: Instant,
}

impl Bars {
    /// Often enough to look alive, seldom enough not to hold up a GPU.
    const PAUSE: Duration = Duration::from_millis(100);

    pub(super) fn new(outlook: Outlook) -> Bars {
        let all = screen::open();
        let bar = |name: &str, length: usize| all.add(new_bar(name, length));
        let (epochs, steps) = (
            bar("epoch", outlook.epochs),
            bar("step", outlook.steps_per_epoch),
        );
        epochs.set_position(outlook.progress.epoch as u64 - 1);
        screen::keep_drawn(&epochs);
        let now = Instant::now();
        let mut bars = Bars {
            all,
            epochs,
            steps,
            pace: None,
            curve: None,
            steps_per_epoch: outlook.steps_per_epoch,
            metric: outlook.metric,
            history: outlook.history,
            best: outlook.progress.ranking.first().cloned(),
            taken: 0,
            began: now,
            images: 0,
            epoch_began: now,
            asked: now,
        };
        bars.show_epochs();
        bars
    }

    /// Writes what is known of the epochs, for the terminal as wide as it is now.
    fn show_epochs(&mut self) {
        let columns = screen::columns();
        let left = (self.taken > 0).then(|| format!("{:#} left", self.left()));
        let best = self.best.as_ref();
        let best = best.map(|best| best_in_words(best, self.metric));
        let choices: Vec<Vec<String>> = match (left, best) {
            (None, None) => Vec::new(),
            (Some(left), None) => vec![vec![left]],
            (None, Some([short, long])) => vec![vec![long], vec![short]],
            (Some(left), Some([short, long])) => vec![
                vec![left.clone(), long],
                vec![left, short.clone()],
                vec![short],
            ],
        };
        show_bar(&self.epochs, "epoch", &choices, columns);
        self.show_curve(columns);
    }

    fn show_curve(&mut self, columns: usize) {
        let Some(last) = self.history.last() else {
            return;
        };
        let (part, metrics) = last.shown();
        let [loss, accuracy] = pieces(&metrics);
        let mut choices = vec![vec![loss.clone(), accuracy.clone()], vec![loss.clone()]];
        if let Some(value) = chosen_by(last, self.metric) {
            choices.insert(0, vec![loss, accuracy, value]);
        }
        let curve = curve(
            &losses(&self.history),
            &choices,
            columns.saturating_sub(NAME),
        );
        let line = || self.all.add(text_line(""));
        let line = self.curve.get_or_insert_with(line);
        line.set_message(format!("{:<NAME$}{curve}", part.to_string()));
    }

    /// Writes what is known of the steps, likewise.
    fn show_steps(&mut self, metrics: &Metrics, lr: f64) {
        let columns = screen::columns();
        let [loss, accuracy] = pieces(metrics);
        let choices = [vec![loss.clone(), accuracy], vec![loss]];
        show_bar(&self.steps, "step", &choices, columns);
        let rate = self.images as f64 / self.epoch_began.elapsed().as_secs_f64();
        let (lr, rate) = (
            format!("{:<NAME$}{lr:.2e}", "lr"),
            format!("{rate:.0} images/s"),
        );
        let line = || self.all.insert_after(&self.steps, text_line(""));
        let line = self.pace.get_or_insert_with(line);
        line.set_message(first_fitting(&[vec![lr.clone(), rate], vec![lr]], columns));
    }

    /// The time that the rest takes at the pace of this launch; early stopping may end it sooner.
    fn left(&self) -> HumanDuration {
        let epochs = self.epochs.length().unwrap_or(0) - self.epochs.position();
        let all = epochs as usize * self.steps_per_epoch;
        let rest = all.saturating_sub(self.steps.position() as usize % self.steps_per_epoch);
        HumanDuration(
            self.began
                .elapsed()
                .mul_f64(rest as f64 / self.taken.max(1) as f64),
        )
    }
}

impl Observer for Bars {
    fn wants_metrics(&self) -> bool {
        self.asked.elapsed() > Self::PAUSE
    }

    fn notify(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::EpochStarted { .. } => {
                self.steps.set_position(0);
                self.images = 0;
                self.epoch_began = Instant::now();
            }
            Event::Stepped {
                step,
                images,
                lr,
                metrics,
                ..
            } => {
                self.images += images;
                self.taken += 1;
                self.steps.set_position(*step as u64);
                if let Some(metrics) = metrics {
                    self.show_steps(metrics, *lr);
                    self.show_epochs();
                    self.asked = Instant::now();
                }
            }
            Event::EpochEnded { record, state, .. } => {
                self.epochs.set_position(record.epoch as u64);
                self.history.push((*record).clone());
                self.best = state.progress.ranking.first().cloned();
                self.show_epochs();
            }
            Event::Evaluated { .. } => {}
            // The ^C that a terminal prints stands in the first line, and goes with the bars.
            Event::Finished | Event::Paused { .. } => screen::clear(&self.all, &self.epochs),
        }
        Ok(())
    }
}

/// The losses that are shown of epochs.
pub fn losses(history: &[EpochRecord]) -> Vec<f64> {
    history.iter().map(|record| record.shown().1.loss).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_line_keeps_its_curve_and_loses_words() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let choices = ["loss accuracy best", "loss best", "best"].map(words);
        let losses: Vec<f64> = (0..40).rev().map(f64::from).collect();
        let cases = [
            (60, 20, "loss  accuracy  best"),
            (30, 8, "loss  accuracy  best"),
            (29, 17, "loss  best"),
            (16, 10, "best"),
            (9, 3, "best"),
            (4, 0, "best"),
        ];
        for (columns, cells, text) in cases {
            let shown = curve(&losses, &choices, columns);
            let (line, words) = shown.split_at(shown.len() - text.len());
            assert_eq!(words, text, "{columns}");
            assert_eq!(line.trim().chars().count(), cells, "{columns}");
        }
    }

    #[test]
    fn the_best_epoch_has_the_value_it_was_chosen_by() {
        let metrics = Metrics {
            loss: 0.0173,
            accuracy: 0.984,
            ..Metrics::default()
        };
        let record = EpochRecord {
            epoch: 8,
            step: 72,
            lr: 0.1,
            train: metrics,
            val: Some(metrics),
        };
        let cases = [
            (Metric::ValAccuracy, "best 8 (val.accuracy 98.4 %)"),
            (Metric::ValLoss, "best 8 (val.loss 0.0173)"),
            (Metric::ValMacroF1, "best 8"), // nobody computed it
        ];
        for (metric, expected) in cases {
            assert_eq!(best_in_words(&record, metric), ["best 8", expected]);
        }
    }
}
