//! What many runs of one experiment gave.

use kuva::prelude::{
    BarPlot, Histogram, LegendPosition, LinePlot, Plot as Mark, ReferenceLine, ScatterPlot,
};

use super::{Axes, MUTED, Plot, SERIES, end_of, label, round_step, short, whole_step};
use crate::study::results::Evaluated;
use crate::study::statistics::Spread;
use crate::train::evaluation::wilson;

/// Trials whose names stand at the axis; of more, their numbers.
const NAMED: usize = 16;

/// Accuracy of each trial with its 95 % Wilson interval, and their mean.
pub fn accuracy_by_trial(results: &[Evaluated], mean: f64, part: &str) -> Option<Plot> {
    if results.is_empty() {
        return None;
    }
    let points = results
        .iter()
        .enumerate()
        .map(|(number, found)| (number as f64 + 1.0, 100.0 * found.accuracy));
    let intervals = results.iter().map(|found| {
        let right = found.images - found.wrong.len();
        let [low, high] = wilson(right, found.images);
        (
            100.0 * (found.accuracy - low).max(0.0),
            100.0 * (high - found.accuracy).max(0.0),
        )
    });
    let dots = ScatterPlot::new()
        .with_data(points)
        .with_y_err_asymmetric(intervals);
    let ends = [
        (0.5, 100.0 * mean),
        (results.len() as f64 + 0.5, 100.0 * mean),
    ];
    let line = LinePlot::new()
        .with_data(ends)
        .with_color(MUTED)
        .with_dashed();
    let marks: Vec<Mark> = vec![
        dots.with_color(SERIES[0]).with_size(5.0).into(),
        line.with_legend("mean").into(),
    ];
    let axes = Axes {
        title: format!("Accuracy by trial, {part} part, 95 % intervals"),
        x: "trial".to_owned(),
        y: "accuracy %".to_owned(),
    };
    let mut layout = axes
        .layout(&marks)
        .with_x_axis_min(0.5)
        .with_x_axis_max(results.len() as f64 + 0.5)
        .with_x_tick_step(whole_step(results.len()));
    if results.len() <= NAMED {
        let names = results
            .iter()
            .map(|found| label(&found.trial, 20))
            .collect();
        layout = layout.with_x_categories(names).with_x_tick_rotate(-40.0);
    }
    let about = format!(
        "Accuracy of {} trials; mean {:.2} %.",
        results.len(),
        100.0 * mean
    );
    Some(axes.plot("accuracy-by-trial", about, marks, layout, None))
}

/// How often which accuracy was met.
pub fn accuracy_distribution(accuracies: &[f64], part: &str) -> Option<Plot> {
    let percent: Vec<f64> = accuracies.iter().map(|accuracy| 100.0 * accuracy).collect();
    let low = percent.iter().copied().reduce(f64::min)?;
    let high = percent.iter().copied().reduce(f64::max)?;
    let spread = Spread::of(&percent);
    let bins = (1.0 + (percent.len() as f64).log2()).ceil(); // Sturges, 1926
    let step = round_step(((high - low) / bins).max(0.1));
    let (first, last) = ((low / step).floor(), (high / step).floor() + 1.0);
    let histogram = Histogram::new()
        .with_data(percent.clone())
        .with_range((first * step, last * step))
        .with_bins((last - first) as usize);
    let marks: Vec<Mark> = vec![histogram.with_color(SERIES[5]).into()];
    let axes = Axes {
        title: format!("Distribution of accuracy, {part} part"),
        x: "accuracy %".to_owned(),
        y: "trials".to_owned(),
    };
    let mean = ReferenceLine::vertical(spread.mean).with_color(SERIES[1]);
    let layout = axes
        .layout(&marks)
        .with_reference_line(mean.with_label(format!("mean {:.2}", spread.mean)))
        .with_y_tick_step(whole_step(percent.len()));
    let about = format!(
        "Accuracy of {} trials from {low:.2} to {high:.2} %, mean {:.2}, standard deviation {:.2}.",
        percent.len(),
        spread.mean,
        spread.sd
    );
    Some(axes.plot("accuracy-distribution", about, marks, layout, None))
}

/// Images that were wrong in more than one trial, most often first.
pub fn wrong_images(often: &[(String, usize)], trials: usize) -> Option<Plot> {
    const SHOWN: usize = 20;
    let shown = &often[..often.len().min(SHOWN)];
    let most = shown.first()?.1;
    // Bars are stacked from below.
    let bars = shown
        .iter()
        .rev()
        .map(|(name, times)| (label(&end_of(name, 28), 28), *times as f64));
    let chart = BarPlot::new()
        .with_bars(bars)
        .with_horizontal(true)
        .with_color(SERIES[1]);
    let marks: Vec<Mark> = vec![chart.into()];
    let axes = Axes {
        title: format!("Wrong in several of {trials} trials"),
        x: "trials".to_owned(),
        y: String::new(),
    };
    let layout = axes
        .layout(&marks)
        .with_height(110.0 + 22.0 * shown.len() as f64)
        .with_x_tick_step(whole_step(most));
    let named = shown
        .iter()
        .take(5)
        .map(|(name, times)| format!("{name} ({times})"));
    let about = format!(
        "Images wrong most often: {}.",
        named.collect::<Vec<_>>().join(", ")
    );
    Some(axes.plot("wrong-images", about, marks, layout, None))
}

/// A metric against the values of a swept key, as JSON, with its mean and standard deviation over trials at each point.
pub fn against_key(key: &str, metric: &str, points: &[(String, Spread)]) -> Option<Plot> {
    if points.is_empty() {
        return None;
    }
    let mut values: Vec<&String> = points.iter().map(|(value, _)| value).collect();
    let number = |value: &str| value.parse::<f64>().ok();
    values.sort_by(|a, b| {
        let numbers = number(a).zip(number(b));
        numbers.map_or_else(|| a.cmp(b), |(a, b)| a.total_cmp(&b))
    });
    values.dedup();
    // Values of a list are met again and again, and stand side by side; those drawn from a range lie on a scale.
    let scale: Option<Vec<f64>> = if values.len() < points.len() || points.len() < 3 {
        None
    } else {
        points.iter().map(|(value, _)| number(value)).collect()
    };
    let place = |(at, value): (usize, &String)| match &scale {
        Some(numbers) => numbers[at],
        None => 1.0 + values.iter().position(|known| *known == value).unwrap_or(0) as f64,
    };
    let x: Vec<f64> = points
        .iter()
        .map(|(value, _)| value)
        .enumerate()
        .map(place)
        .collect();
    let data = x
        .iter()
        .copied()
        .zip(points.iter().map(|(_, spread)| spread.mean));
    let dots = ScatterPlot::new()
        .with_data(data)
        .with_y_err(points.iter().map(|(_, spread)| spread.sd))
        .with_color(SERIES[0])
        .with_marker_opacity(0.8)
        .with_size(4.5);
    let marks: Vec<Mark> = vec![dots.into()];
    let axes = Axes {
        title: format!("{metric} against {}", short(key, 40)),
        x: key.to_owned(),
        y: metric.to_owned(),
    };
    let mut layout = axes
        .layout(&marks)
        .with_legend_position(LegendPosition::InsideTopRight);
    let least = x.iter().copied().fold(f64::INFINITY, f64::min);
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match scale {
        None => {
            let names = values
                .iter()
                .map(|value| label(value.trim_matches('"'), 20));
            layout = layout
                .with_x_categories(names.collect())
                .with_x_axis_min(0.5)
                .with_x_axis_max(values.len() as f64 + 0.5);
        }
        Some(_) if least > 0.0 && most / least >= 50.0 => layout = layout.with_log_x(),
        Some(_) => {
            let margin = 0.04 * (most - least);
            layout = layout
                .with_x_axis_min(least - margin)
                .with_x_axis_max(most + margin);
        }
    }
    let best = points.iter().map(|(_, spread)| spread.mean);
    let (low, high) = (
        best.clone().fold(f64::INFINITY, f64::min),
        best.fold(f64::NEG_INFINITY, f64::max),
    );
    let about = format!(
        "{metric} from {low:.4} to {high:.4} over {} points, against {key}.",
        points.len()
    );
    let name = format!("{}-by-{}", metric.replace('.', "-"), key.replace('.', "-"));
    Some(axes.plot(&name, about, marks, layout, None))
}
