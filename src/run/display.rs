//! What a person (or a script) sees while a model trains; all of it on standard error.

use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use indicatif::ProgressDrawTarget;

use super::bars::Bars;
use crate::config::train::Metric;
use crate::train::event::{Event, Observer};
use crate::train::metrics::{EpochRecord, Metrics};
use crate::train::progress::Progress;

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

/// What lies behind a launch, and what before it.
pub struct Outlook<'a> {
    /// Where it begins.
    pub progress: &'a Progress,
    /// The epochs of earlier launches.
    pub history: Vec<EpochRecord>,
    /// Epochs in all.
    pub epochs: usize,
    /// Steps of each.
    pub steps_per_epoch: usize,
    /// What the best epoch is chosen by.
    pub metric: Metric,
}

/// The listener for a style.
pub fn listener(style: Style, outlook: Outlook) -> Box<dyn Observer> {
    let (epochs, metric) = (outlook.epochs, outlook.metric);
    match style {
        Style::None => Box::new(Silent),
        style if style.draws_bars() => Box::new(Bars::new(outlook)),
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
        let chosen_by =
            chosen_by(record, metric).map_or(String::new(), |value| format!(" {value}"));
        format!("  val {}{chosen_by}", describe(&val))
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
    pieces(metrics).join(" ")
}

/// Loss and accuracy, each with its name.
pub(super) fn pieces(metrics: &Metrics) -> [String; 2] {
    [
        format!("loss {:.4}", metrics.loss),
        format!("accuracy {:6.2} %", 100.0 * metrics.accuracy),
    ]
}

/// The value of `metric` of the val part, if it is neither its loss nor its accuracy, which are shown anyway.
pub(super) fn chosen_by(record: &EpochRecord, metric: Metric) -> Option<String> {
    let name = match metric {
        Metric::ValMacroF1 => "macro F1",
        Metric::ValBalancedAccuracy => "balanced accuracy",
        Metric::TrainLoss | Metric::TrainAccuracy | Metric::ValLoss | Metric::ValAccuracy => {
            return None;
        }
    };
    let value = record.get(metric)?;
    Some(format!("{name} {:6.2} %", 100.0 * value))
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
            Event::EpochEnded { record, state, .. } => {
                let seconds = self.began.elapsed().as_secs_f64();
                if self.json {
                    let mut line = serde_json::to_value(record)?;
                    line["seconds"] = seconds.into();
                    crate::messages::record(&line);
                } else {
                    let line = plain_line(record, self.epochs, self.metric, seconds);
                    let mark = if state.progress.improved() {
                        "  best"
                    } else {
                        ""
                    };
                    crate::status!("{line}{mark}");
                }
            }
            _ => {}
        }
        Ok(())
    }
}
