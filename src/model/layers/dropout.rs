//! Dropout (Srivastava et al., 2014), as `nn.Dropout`.

use tch::Tensor;

use crate::model::layer::{Layer, Mode, Shape};

/// Zeroes a share of all numbers in training and scales the rest up.
#[derive(Debug)]
pub struct Dropout {
    p: f64,
    shape: Shape,
}

impl Dropout {
    /// Drops the share `p` of examples of any shape.
    pub fn new(p: f64, shape: Shape) -> Dropout {
        Dropout { p, shape }
    }
}

impl Layer for Dropout {
    fn title(&self) -> String {
        format!("Dropout({})", self.p)
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, mode: Mode) -> Tensor {
        x.dropout(self.p, mode.trains())
    }
}
