//! Watching one metric: is it still getting better?

use serde::{Deserialize, Serialize};

use crate::config::train::Mode;

/// The best value so far, and how long ago it was met.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Patience {
    /// None before the first value.
    pub best: Option<f64>,
    /// Values since the best one.
    pub waited: usize,
}

impl Patience {
    /// Takes the next value; it is better if it beats the best by more than `min_delta`.
    pub fn observe(&mut self, value: f64, mode: Mode, min_delta: f64) -> bool {
        let gain = |best: f64| match mode {
            Mode::Min => best - value,
            Mode::Max => value - best,
        };
        let better = self.best.is_none_or(|best| gain(best) > min_delta);
        if better {
            *self = Patience {
                best: Some(value),
                waited: 0,
            };
        } else {
            self.waited += 1;
        }
        better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_must_beat_the_best_by_more_than_the_delta() {
        let cases = [
            (
                Mode::Min,
                0.0,
                [3.0, 2.0, 2.0, 2.5],
                [true, true, false, false],
                2,
                "equal is not better",
            ),
            (
                Mode::Max,
                0.0,
                [0.5, 0.6, 0.6, 0.7],
                [true, true, false, true],
                0,
                "higher is better",
            ),
            (
                Mode::Min,
                0.5,
                [3.0, 2.6, 2.4, 2.3],
                [true, false, true, false],
                1,
                "measured from the best",
            ),
        ];
        for (mode, min_delta, values, expected, waited, why) in cases {
            let mut watch = Patience::default();
            assert_eq!(
                values.map(|value| watch.observe(value, mode, min_delta)),
                expected,
                "{why}"
            );
            assert_eq!(watch.waited, waited, "{why}");
        }
    }
}
