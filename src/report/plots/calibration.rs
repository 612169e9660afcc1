//! Whether probabilities mean what they say.

use kuva::prelude::{LinePlot, ScatterPlot};

use super::thresholds::unit_square;
use super::{Axes, MUTED, Plot, SERIES};
use crate::train::calibration::Calibration;

/// Accuracy against confidence; larger dots are more images.
pub fn reliability(found: &Calibration, part: &str) -> Plot {
    let points = found.bins.iter().map(|bin| (bin.confidence, bin.accuracy));
    let most = found.bins.iter().map(|bin| bin.images).max().unwrap_or(1) as f64;
    let sizes = found
        .bins
        .iter()
        .map(|bin| 3.0 + 5.0 * (bin.images as f64 / most).sqrt());
    let ideal = LinePlot::new()
        .with_data([(0.0, 0.0), (1.0, 1.0)])
        .with_color(MUTED)
        .with_dotted();
    let line = LinePlot::new()
        .with_data(points.clone())
        .with_color(SERIES[0])
        .with_stroke_width(1.5);
    let dots = ScatterPlot::new()
        .with_data(points)
        .with_color(SERIES[0])
        .with_sizes(sizes.collect::<Vec<_>>())
        .with_legend("larger: more images");
    let marks = vec![
        ideal.with_legend("honest").into(),
        line.with_legend(format!("ECE {:.4}", found.error)).into(),
        dots.into(),
    ];
    let axes = Axes {
        title: format!("Reliability, {part} part"),
        x: "confidence".to_owned(),
        y: "accuracy".to_owned(),
    };
    let about = format!(
        "Accuracy against confidence; expected calibration error {:.4}.",
        found.error
    );
    unit_square(axes, "reliability", about, marks)
}
