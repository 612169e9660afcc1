//! Training: the loop (`trainer`), told in events (`event`), with its optimiser, schedule and metrics.

pub mod event;
pub mod metrics;
pub mod optimizer;
pub mod schedule;
pub mod trainer;
pub mod watch;
