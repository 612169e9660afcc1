//! What an epoch after the other gave.

use kuva::prelude::{LinePlot, MarkerShape, Plot as Mark, ReferenceLine, ScatterPlot};

use super::{Axes, CurveReading, Curves, MUTED, Plot, SERIES, label, short, whole_step};
use crate::train::metrics::EpochRecord;

/// Names of runs in a legend are cut to so many letters.
const NAME: usize = 24;

/// What is marked on curves.
#[derive(Debug, Clone, Default)]
pub struct CurveMarks {
    /// The best epoch.
    pub best: Option<usize>,
    /// The first epoch that each launch but the first ended.
    pub resumed: Vec<usize>,
}

/// A curve: its name, and a value for each epoch; none where there is none, or no finite one.
type Curve<'a> = (&'a str, Vec<Option<f64>>);

/// Mean loss of the train and the val part.
pub fn loss(records: &[EpochRecord], marks: &CurveMarks) -> Option<Plot> {
    let curves = [
        ("train", values(records, |record| Some(record.train.loss))),
        ("val", values(records, |record| Some(record.val?.loss))),
    ];
    drawn("loss", "Loss", "mean loss", records, &curves, marks)
}

/// Accuracy of the train and the val part, in per cent.
pub fn accuracy(records: &[EpochRecord], marks: &CurveMarks) -> Option<Plot> {
    let curves = [
        (
            "train",
            values(records, |record| Some(100.0 * record.train.accuracy)),
        ),
        (
            "val",
            values(records, |record| Some(100.0 * record.val?.accuracy)),
        ),
    ];
    drawn(
        "accuracy",
        "Accuracy",
        "accuracy %",
        records,
        &curves,
        marks,
    )
}

/// Learning rate of each epoch's last step.
pub fn learning_rate(records: &[EpochRecord], marks: &CurveMarks) -> Option<Plot> {
    let curves = [("lr", values(records, |record| Some(record.lr)))];
    let marks = CurveMarks {
        best: None,
        resumed: marks.resumed.clone(),
    };
    drawn(
        "learning-rate",
        "Learning rate",
        "learning rate",
        records,
        &curves,
        &marks,
    )
}

/// One metric of several runs, each with its name and a value for each epoch.
pub fn overlaid(
    name: &str,
    title: &str,
    y: &str,
    runs: &[(String, Vec<Option<f64>>)],
) -> Option<Plot> {
    let epochs = runs.iter().map(|(_, values)| values.len()).max()?;
    let epochs: Vec<usize> = (1..=epochs).collect();
    let curves: Vec<Curve> = runs
        .iter()
        .map(|(name, values)| (name.as_str(), values.clone()))
        .collect();
    lines(name, title, y, &epochs, &curves, &CurveMarks::default())
}

fn values(
    records: &[EpochRecord],
    value: impl Fn(&EpochRecord) -> Option<f64>,
) -> Vec<Option<f64>> {
    records.iter().map(value).collect()
}

fn drawn(
    name: &str,
    title: &str,
    y: &str,
    records: &[EpochRecord],
    curves: &[Curve],
    marks: &CurveMarks,
) -> Option<Plot> {
    let epochs: Vec<usize> = records.iter().map(|record| record.epoch).collect();
    lines(name, title, y, &epochs, curves, marks)
}

/// Lines over epochs; none where no value is finite.
fn lines(
    name: &str,
    title: &str,
    y: &str,
    epochs: &[usize],
    curves: &[Curve],
    marks: &CurveMarks,
) -> Option<Plot> {
    let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
    let mut drawn: Vec<Mark> = Vec::new();
    let mut best_points = Vec::new();
    for (number, (name, values)) in curves.iter().enumerate() {
        let points: Vec<(usize, Option<f64>)> = epochs
            .iter()
            .copied()
            .zip(values.iter().map(finite))
            .collect();
        // A value that is missing or infinite leaves a gap.
        let whole = points.split(|(_, value)| value.is_none());
        let mut first = true;
        for piece in whole.filter(|piece| !piece.is_empty()) {
            let piece: Vec<(f64, f64)> = piece
                .iter()
                .filter_map(|(epoch, value)| Some((*epoch as f64, (*value)?)))
                .collect();
            let color = SERIES[number % SERIES.len()];
            if let [point] = piece[..] {
                let dot = ScatterPlot::new()
                    .with_data([point])
                    .with_color(color)
                    .with_size(3.5);
                drawn.push(
                    if first {
                        dot.with_legend(label(name, NAME))
                    } else {
                        dot
                    }
                    .into(),
                );
                first = false;
                continue;
            }
            let line = LinePlot::new()
                .with_data(piece)
                .with_color(color)
                .with_stroke_width(2.0);
            let line = match number % 4 {
                0 => line,
                1 => line.with_dashed(),
                2 => line.with_dashdot(),
                _ => line.with_dotted(),
            };
            drawn.push(
                if first {
                    line.with_legend(label(name, NAME))
                } else {
                    line
                }
                .into(),
            );
            first = false;
        }
        let at_best = points.iter().find(|(epoch, _)| Some(*epoch) == marks.best);
        best_points.extend(at_best.and_then(|(epoch, value)| Some((*epoch as f64, (*value)?))));
    }
    if drawn.is_empty() {
        return None;
    }
    if let (Some(epoch), false) = (marks.best, best_points.is_empty()) {
        let best = ScatterPlot::new()
            .with_data(best_points)
            .with_color(SERIES[2])
            .with_marker(MarkerShape::Diamond)
            .with_size(6.0);
        drawn.push(best.with_legend(format!("best epoch ({epoch})")).into());
    }
    let (first, last) = (*epochs.first()?, *epochs.last()?);
    let known = |values: &Vec<Option<f64>>| values.iter().filter_map(finite).collect::<Vec<_>>();
    let all: Vec<f64> = curves
        .iter()
        .flat_map(|(_, values)| known(values))
        .collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low == high {
        // Around a level line there is room above and below, which the library leaves for what it draws.
        let around = if low == 0.0 { 1.0 } else { 0.5 * low.abs() };
        let ends = [low - around, high + around].map(|y| (first as f64, y));
        let unseen = ScatterPlot::new().with_data(ends).with_color("none");
        drawn.push(unseen.with_size(0.0).into());
    }
    let axes = Axes {
        title: title.to_owned(),
        x: "epoch".to_owned(),
        y: y.to_owned(),
    };
    let margin = 0.5f64.max(0.02 * (last - first) as f64); // a mark at the end is whole
    let mut layout = axes
        .layout(&drawn)
        .with_x_axis_min(first as f64 - margin)
        .with_x_axis_max(last as f64 + margin)
        .with_x_tick_step(whole_step(last - first + 1));
    const NAMED: usize = 3; // labels of more would lie on each other
    for epoch in &marks.resumed {
        let mut line = ReferenceLine::vertical(*epoch as f64 - 0.5).with_color(MUTED);
        if marks.resumed.len() <= NAMED {
            line = line.with_label("resumed");
        }
        layout = layout.with_reference_line(line);
    }
    let readings = Curves {
        x: epochs.iter().map(|&epoch| epoch as f64).collect(),
        series: curves
            .iter()
            .map(|(name, values)| CurveReading {
                name: short(name, NAME),
                y: values.iter().map(finite).collect(),
            })
            .collect(),
    };
    let about = about(title, curves, epochs, marks);
    Some(axes.plot(name, about, drawn, layout, Some(readings)))
}

/// The first and last value of each curve, in a sentence.
fn about(title: &str, curves: &[Curve], epochs: &[usize], marks: &CurveMarks) -> String {
    let of_curve = |(name, values): &Curve| {
        let known: Vec<(&usize, f64)> = epochs
            .iter()
            .zip(values)
            .filter_map(|(epoch, value)| Some((epoch, (*value)?)))
            .collect();
        let ((first, from), (last, to)) = (known.first()?, known.last()?);
        Some(format!(
            "{name} from {from:.4} in epoch {first} to {to:.4} in epoch {last}"
        ))
    };
    const SAID: usize = 6;
    let said: Vec<String> = curves.iter().take(SAID).filter_map(of_curve).collect();
    let best = marks
        .best
        .map_or(String::new(), |epoch| format!("; best epoch {epoch}"));
    format!("{title} by epoch: {}{best}.", said.join("; "))
}
