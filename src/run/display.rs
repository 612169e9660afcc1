//! What a person (or a script) sees while a model trains; all of it on standard error.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::train::Metric;
use crate::train::event::{Event, Observer};
use crate::train::metrics::{EpochRecord, Metrics};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// Progress bars on a terminal that can draw them, plain lines elsewhere.
    Auto,
    /// A bar for epochs and one for steps; plain lines where bars cannot be drawn.
    Bar,
    /// One line per epoch.
    Plain,
    /// One JSON object per epoch, and one with the key `note` for each other message.
    Json,
    /// No progress.
    None,
}

impl Style {
    /// Whether bars are drawn. Off a terminal, or on one that cannot draw (TERM=dumb), lines are printed instead;
    /// who draws the bars is asked, because it would leave them out.
    pub fn draws_bars(self) -> bool {
        matches!(self, Style::Auto | Style::Bar) && !ProgressDrawTarget::stderr().is_hidden()
    }

    /// Whether people read it, who want to know what goes on besides.
    pub fn is_for_people(self) -> bool {
        !matches!(self, Style::Json | Style::None)
    }
}

/// The listener for a style; `done` epochs lie behind it, and the best of all is chosen by `metric`.
pub fn listener(
    style: Style,
    done: usize,
    epochs: usize,
    steps_per_epoch: usize,
    metric: Metric,
) -> Box<dyn Observer> {
    match style {
        Style::None => Box::new(Silent),
        style if style.draws_bars() => Box::new(Bars::new(done, epochs, steps_per_epoch, metric)),
        _ => Box::new(Lines {
            json: style == Style::Json,
            epochs,
            metric,
            began: Instant::now(),
        }),
    }
}

/// One epoch in one line, with what the best is chosen by.
pub fn plain_line(record: &EpochRecord, epochs: usize, metric: Metric, seconds: f64) -> String {
    let val = record.val.map_or(String::new(), |val| {
        format!("  val {}{}", describe(&val), chosen_by(record, metric))
    });
    let width = epochs.to_string().len();
    format!(
        "epoch {:>width$}/{epochs}  train {}{val}  lr {:.2e}  {seconds:.1} s",
        record.epoch,
        describe(&record.train),
        record.lr
    )
}

fn describe(metrics: &Metrics) -> String {
    format!(
        "loss {:.4} accuracy {:6.2} %",
        metrics.loss,
        100.0 * metrics.accuracy
    )
}

/// The value of `metric` of the val part, if it is neither its loss nor its accuracy, which are shown anyway.
fn chosen_by(record: &EpochRecord, metric: Metric) -> String {
    let name = match metric {
        Metric::ValMacroF1 => "macro F1",
        Metric::ValBalancedAccuracy => "balanced accuracy",
        Metric::TrainLoss | Metric::TrainAccuracy | Metric::ValLoss | Metric::ValAccuracy => {
            return String::new();
        }
    };
    let value = record.get(metric);
    value.map_or(String::new(), |value| {
        format!(" {name} {:6.2} %", 100.0 * value)
    })
}

struct Silent;

impl Observer for Silent {
    fn notify(&mut self, _: &Event) -> Result<()> {
        Ok(())
    }
}

struct Lines {
    json: bool,
    epochs: usize,
    metric: Metric,
    began: Instant,
}

impl Observer for Lines {
    fn notify(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::EpochStarted { .. } => self.began = Instant::now(),
            Event::EpochEnded { record, .. } => {
                let seconds = self.began.elapsed().as_secs_f64();
                if self.json {
                    let mut line = serde_json::to_value(record)?;
                    line["seconds"] = seconds.into();
                    crate::messages::record(&line);
                } else {
                    crate::status!("{}", plain_line(record, self.epochs, self.metric, seconds));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A bar called `name` with its message behind it, no longer than the terminal leaves room for.
pub fn bar_style(name: &str) -> ProgressStyle {
    const REST: usize = 80;
    let width = usize::from(console::Term::stderr().size().1);
    let width = width.saturating_sub(REST).clamp(3, 30);
    let template = format!("{name:<6}{{pos:>5}}/{{len:<5}} {{bar:{width}.cyan}} {{wide_msg}}");
    ProgressStyle::with_template(&template).expect("the template is valid for every width")
}

struct Bars {
    both: MultiProgress,
    epochs: ProgressBar,
    steps: ProgressBar,
    steps_per_epoch: usize,
    metric: Metric,
    /// Metrics of the last epoch that ended.
    last: String,
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

    fn new(done: usize, epochs: usize, steps_per_epoch: usize, metric: Metric) -> Bars {
        let both = MultiProgress::new();
        let bar = |length: usize, name: &str| {
            both.add(ProgressBar::new(length as u64).with_style(bar_style(name)))
        };
        let (epochs, steps) = (bar(epochs, "epoch"), bar(steps_per_epoch, "step"));
        epochs.set_position(done as u64);
        let now = Instant::now();
        Bars {
            both,
            epochs,
            steps,
            steps_per_epoch,
            metric,
            last: String::new(),
            taken: 0,
            began: now,
            images: 0,
            epoch_began: now,
            asked: now,
        }
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
                    let rate = self.images as f64 / self.epoch_began.elapsed().as_secs_f64();
                    self.steps.set_message(format!(
                        "{}  lr {lr:.2e}  {rate:.0} images/s",
                        describe(metrics)
                    ));
                    self.epochs
                        .set_message(format!("{}{:#} left", self.last, self.left()));
                    self.asked = Instant::now();
                }
            }
            Event::EpochEnded { record, .. } => {
                self.epochs.set_position(record.epoch as u64);
                let (part, metrics) = record.shown();
                let chosen_by = chosen_by(record, self.metric);
                self.last = format!("{part} {}{chosen_by}  ", describe(&metrics));
            }
            Event::Evaluated { .. } => {}
            Event::Finished => {
                let _ = self.both.clear();
            }
            // They stay as they were: the ^C that a terminal prints has moved the cursor, and nobody knows where to.
            Event::Paused { .. } => {
                self.both.set_draw_target(ProgressDrawTarget::hidden());
                crate::status!("");
            }
        }
        Ok(())
    }
}
