//! The learning rate of every step, as a function of values.

use std::f64::consts::PI;

use super::progress::{ExtendMode, Progress};
use crate::config::train::Schedule;

/// Where a schedule stands, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Steps of the schedule before this one.
    pub step: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Epochs of the whole schedule.
    pub epochs: usize,
    /// Whether it begins with its warm-up; a restarted one does not.
    pub warmup: bool,
    /// How often a plateau has been met.
    pub drops: u32,
}

impl Position {
    /// Of the next step of a run that has `epochs` epochs. Counted in images, so that it holds when the
    /// size of batches has changed since.
    pub fn new(
        progress: &Progress,
        steps_per_epoch: usize,
        batch_size: usize,
        epochs: usize,
    ) -> Position {
        let whole = (progress.epoch - 1) * steps_per_epoch;
        let step = whole + progress.images.div_ceil(batch_size);
        let totals = progress.extensions.iter().map(|extension| extension.epochs);
        let mut totals = totals.chain([epochs]);
        let (mut start, mut length, mut warmup) = (0, totals.next().unwrap_or(epochs), true);
        for (extension, total) in progress.extensions.iter().zip(totals) {
            match extension.how {
                ExtendMode::Hold => {}
                ExtendMode::Stretch => length = total - start,
                ExtendMode::Restart if step < extension.epochs * steps_per_epoch => {}
                ExtendMode::Restart => {
                    (start, length, warmup) = (extension.epochs, total - extension.epochs, false)
                }
            }
        }
        Position {
            // A schedule that was stretched to nothing is at its end.
            step: (step - start * steps_per_epoch).min((length * steps_per_epoch).max(1) - 1),
            steps_per_epoch,
            epochs: length,
            warmup,
            drops: progress.drops,
        }
    }
}

/// Whether the rates of `schedule` depend on the number of epochs.
pub fn depends_on_epochs(schedule: &Schedule) -> bool {
    matches!(
        schedule,
        Schedule::Cosine { .. } | Schedule::OneCycle { .. }
    )
}

/// The rate of the step at `at`, with `lr` the rate the optimiser was given. Formulas and conventions are
/// those of `torch.optim.lr_scheduler`; cosine and one_cycle advance with every step, as its documentation
/// advises for the latter, the others with every epoch. Plateau is `ReduceLROnPlateau` with `threshold=0`: any
/// improvement counts.
pub fn rate(schedule: &Schedule, lr: f64, at: Position) -> f64 {
    let total = at.steps_per_epoch * at.epochs;
    let epoch = at.step / at.steps_per_epoch;
    let warmup = |epochs: f64| {
        if at.warmup {
            (epochs * at.steps_per_epoch as f64).round() as usize
        } else {
            0
        }
    };
    let (warmup_steps, rate) = match *schedule {
        Schedule::Constant { warmup_epochs } => (warmup(warmup_epochs), lr),
        Schedule::Step {
            warmup_epochs,
            every_epochs,
            gamma,
        } => (
            warmup(warmup_epochs),
            lr * gamma.powi((epoch / every_epochs) as i32),
        ),
        Schedule::Exponential {
            warmup_epochs,
            gamma,
        } => (warmup(warmup_epochs), lr * gamma.powi(epoch as i32)),
        Schedule::Cosine {
            warmup_epochs,
            min_lr,
        } => {
            let warmup = warmup(warmup_epochs);
            // A warm-up as long as the schedule, or longer than one that is held, leaves no step to fall in.
            let falls = total.saturating_sub(warmup).max(1) as f64;
            let done = at.step.saturating_sub(warmup) as f64 / falls;
            (warmup, anneal(lr, min_lr, done))
        }
        Schedule::Plateau {
            warmup_epochs,
            factor,
            min_lr,
            ..
        } => (
            warmup(warmup_epochs),
            (lr * factor.powi(at.drops as i32)).max(min_lr),
        ),
        Schedule::OneCycle {
            pct_start,
            div_factor,
            final_div_factor,
        } => {
            let start = lr / div_factor;
            let top = pct_start * total as f64 - 1.0;
            let end = total as f64 - 1.0;
            let step = at.step as f64;
            let rate = if step > top {
                anneal(lr, start / final_div_factor, (step - top) / (end - top))
            } else if top > 0.0 {
                anneal(start, lr, step / top)
            } else {
                lr
            };
            (0, rate)
        }
    };
    if at.step < warmup_steps {
        rate * (at.step + 1) as f64 / warmup_steps as f64
    } else {
        rate
    }
}

/// Half a cosine from `from` to `to`; `done` runs from 0 to 1.
fn anneal(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * done).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::progress::Extension;

    fn rates(schedule: &Schedule, steps: &[usize]) -> Vec<f64> {
        let at = |step| Position {
            step,
            steps_per_epoch: 2,
            epochs: 10,
            warmup: true,
            drops: 0,
        };
        steps
            .iter()
            .map(|&step| rate(schedule, 0.1, at(step)))
            .collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        let apart = found
            .iter()
            .zip(expected)
            .any(|(a, b)| (a - b).abs() > 1e-12);
        assert!(
            !apart && found.len() == expected.len(),
            "{found:?} against {expected:?}"
        );
    }

    #[test]
    fn rates_are_those_of_pytorch() {
        // o = torch.optim.SGD([p], 0.1); s = torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20)
        // then s.get_last_lr()[0] after 0, 3, 5, 12 and 19 steps
        let one_cycle = Schedule::OneCycle {
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
        };
        close(
            &rates(&one_cycle, &[0, 3, 5, 12, 19]),
            &[
                0.004,
                0.06683281572999748,
                0.1,
                0.05000020000000001,
                4.0000000000000003e-07,
            ],
        );
        // s = CosineAnnealingLR(o, T_max=20, eta_min=0.01), after 0, 5, 10, 19 steps
        let cosine = Schedule::Cosine {
            warmup_epochs: 0.0,
            min_lr: 0.01,
        };
        close(
            &rates(&cosine, &[0, 5, 10, 19]),
            &[0.1, 0.08681980515339464, 0.055, 0.010554024673218806],
        );
        // StepLR(o, 3, 0.5) and ExponentialLR(o, 0.9), after 0, 2, 3, 9 epochs
        let step = Schedule::Step {
            warmup_epochs: 0.0,
            every_epochs: 3,
            gamma: 0.5,
        };
        close(&rates(&step, &[0, 4, 6, 18]), &[0.1, 0.1, 0.05, 0.0125]);
        let exponential = Schedule::Exponential {
            warmup_epochs: 0.0,
            gamma: 0.9,
        };
        close(
            &rates(&exponential, &[0, 4, 6, 18]),
            &[0.1, 0.081, 0.0729, 0.0387420489],
        );
    }

    #[test]
    fn warmup_grows_in_a_straight_line_to_the_rate_asked_for() {
        let constant = Schedule::Constant { warmup_epochs: 2.0 };
        close(
            &rates(&constant, &[0, 1, 2, 3, 4]),
            &[0.025, 0.05, 0.075, 0.1, 0.1],
        );
    }

    #[test]
    fn a_longer_run_holds_restarts_or_stretches_its_schedule_as_it_was_told() {
        let position = |extensions: &[(usize, ExtendMode)], epoch| {
            let mut progress = Progress::start();
            progress.epoch = epoch;
            let extension = |&(epochs, how)| Extension { epochs, how };
            progress.extensions = extensions.iter().map(extension).collect();
            let at = Position::new(&progress, 5, 32, 60);
            (at.step, at.epochs, at.warmup)
        };
        use crate::train::progress::ExtendMode::{Hold, Restart, Stretch};
        let cases = [
            (vec![], 31, (150, 60, true), "no extension"),
            (vec![(40, Hold)], 31, (150, 40, true), "before the old end"),
            (
                vec![(40, Hold)],
                51,
                (199, 40, true),
                "held at the last step",
            ),
            (
                vec![(40, Restart)],
                40,
                (195, 40, true),
                "the old cycle ends first",
            ),
            (
                vec![(40, Restart)],
                41,
                (0, 20, false),
                "a new cycle, without warm-up",
            ),
            (
                vec![(40, Stretch)],
                31,
                (150, 60, true),
                "as if it had always been 60",
            ),
            (
                vec![(30, Restart), (50, Restart)],
                56,
                (25, 10, false),
                "twice restarted",
            ),
            (
                vec![(30, Restart), (50, Stretch)],
                56,
                (125, 30, false),
                "restarted, then stretched",
            ),
        ];
        for (extensions, epoch, expected, why) in cases {
            assert_eq!(position(&extensions, epoch), expected, "{why}");
        }
    }

    #[test]
    fn a_schedule_that_is_shorter_than_its_warm_up_or_than_a_step_has_a_rate() {
        let position = |extensions: &[(usize, ExtendMode)], epochs| {
            let extension = |&(epochs, how)| Extension { epochs, how };
            let mut progress = Progress::start();
            progress.epoch = epochs;
            progress.extensions = extensions.iter().map(extension).collect();
            Position::new(&progress, 5, 32, epochs)
        };
        let cosine = Schedule::Cosine {
            warmup_epochs: 10.0,
            min_lr: 0.0,
        };
        // Four epochs, held; the warm-up of ten that it got later is cut off at its third part.
        let held = rate(&cosine, 1.0, position(&[(4, ExtendMode::Hold)], 40));
        assert_eq!(held, 20.0 / 50.0);
        // Restarted after 12 epochs, then stretched to 12: nothing is left of it.
        let nothing = [
            (12, ExtendMode::Restart),
            (16, ExtendMode::Stretch),
            (12, ExtendMode::Hold),
        ];
        assert!(rate(&cosine, 1.0, position(&nothing, 20)).is_finite());
    }
}
