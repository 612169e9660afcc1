//! Training: the loop (`trainer`), one `step` of it, which CUDA may `replay`, and what it remembers (`progress`, `snapshot`), told
//! in events (`event`), with its optimiser, schedule and metrics, what a model gets right, image by image (`evaluation`), and what
//! its probabilities are worth (`calibration`, `thresholds`).

pub mod calibration;
pub mod class_counts;
mod contribution;
pub mod evaluation;
pub mod event;
pub mod loss;
pub mod metrics;
pub mod optimizer;
pub mod patience;
pub mod progress;
pub mod replay;
pub mod schedule;
pub mod snapshot;
mod step;
pub mod thresholds;
pub mod trainer;
