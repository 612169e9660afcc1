//! Two classes under every threshold.

use kuva::prelude::{LinePlot, Plot as Mark};

use super::{Axes, MUTED, Plot, SERIES, short};
use crate::train::thresholds::Thresholds;

/// Share of positives found against share of negatives taken for positive.
pub fn roc(found: &Thresholds, positive: &str) -> Plot {
    let area = format!("area {:.4}", found.roc_auc());
    let marks = against(found.roc(), area, [(0.0, 0.0), (1.0, 1.0)]);
    let axes = Axes {
        title: format!("ROC: finding {}", short(positive, 24)),
        x: "false positive rate".to_owned(),
        y: "true positive rate".to_owned(),
    };
    let about = format!(
        "Receiver operating characteristic, area under the curve {:.4}.",
        found.roc_auc()
    );
    unit_square(axes, "roc", about, marks)
}

/// Precision against recall.
pub fn precision_recall(found: &Thresholds, positive: &str) -> Plot {
    let average = found.average_precision();
    // Up to a recall, precision is that of the threshold which reaches it, as the average has it.
    let mut points = Vec::new();
    let mut before = 0.0;
    for (recall, precision) in found.precision_recall() {
        points.extend([(before, precision), (recall, precision)]);
        before = recall;
    }
    let chance = [(0.0, found.prevalence()), (1.0, found.prevalence())];
    let marks = against(points, format!("average {average:.4}"), chance);
    let axes = Axes {
        title: format!("Precision and recall: finding {}", short(positive, 24)),
        x: "recall".to_owned(),
        y: "precision".to_owned(),
    };
    let about = format!("Precision against recall, average precision {average:.4}.");
    unit_square(axes, "precision-recall", about, marks)
}

/// A curve with what is said of it, and what chance would give.
fn against(curve: Vec<(f64, f64)>, said: String, chance: [(f64, f64); 2]) -> Vec<Mark> {
    let curve = LinePlot::new().with_data(curve).with_color(SERIES[0]);
    let chance = LinePlot::new().with_data(chance).with_color(MUTED);
    vec![
        curve.with_stroke_width(2.0).with_legend(said).into(),
        chance.with_dotted().with_legend("chance").into(),
    ]
}

/// What axes show beyond 0 and 1, so that lines and dots there are whole.
const MARGIN: f64 = 0.05;

/// A plot whose axes both run from 0 to 1.
pub(super) fn unit_square(axes: Axes, name: &str, about: String, marks: Vec<Mark>) -> Plot {
    let layout = axes
        .layout(&marks)
        .with_x_axis_min(-MARGIN)
        .with_x_axis_max(1.0 + MARGIN)
        .with_y_axis_min(-MARGIN)
        .with_y_axis_max(1.0 + MARGIN)
        .with_x_tick_step(0.2)
        .with_y_tick_step(0.2)
        .with_clamp_axis();
    axes.plot(name, about, marks, layout, None)
}
