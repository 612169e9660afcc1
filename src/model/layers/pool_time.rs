//! From a sequence to one row.

use tch::Tensor;

use crate::config::model::Pooling;
use crate::model::layer::{Layer, Mode, Shape};

/// Keeps of all steps what `pooling` says.
#[derive(Debug)]
pub struct PoolTime {
    pooling: Pooling,
    size: usize,
    bidirectional: bool,
}

impl PoolTime {
    /// For sequences; those of a bidirectional layer end at both ends.
    ///
    /// # Errors
    /// Anything but a sequence.
    pub fn new(pooling: Pooling, bidirectional: bool, input: Shape) -> Result<PoolTime, String> {
        match input {
            Shape::Steps { size, .. } => Ok(PoolTime {
                pooling,
                size,
                bidirectional,
            }),
            _ => Err(format!(
                "pool_time takes sequences, but {input} comes in; put to_sequence before it"
            )),
        }
    }
}

impl Layer for PoolTime {
    fn title(&self) -> String {
        format!("PoolTime({})", self.pooling.word())
    }

    fn output(&self) -> Shape {
        Shape::Row(self.size)
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Mode) -> Tensor {
        // x: [B, T, size]
        match self.pooling {
            Pooling::Mean => x.mean_dim(&[1i64][..], false, None),
            Pooling::Max => x.amax([1], false),
            Pooling::Last if self.bidirectional => {
                // The direction that reads backwards ends at the first step.
                let half = self.size as i64 / 2;
                let forwards = x.select(1, -1).narrow(1, 0, half);
                let backwards = x.select(1, 0).narrow(1, half, half);
                Tensor::cat(&[forwards, backwards], 1)
            }
            Pooling::Last => x.select(1, -1),
        }
    }
}
