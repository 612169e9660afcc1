//! Dropout (Srivastava et al., 2014), as `nn.Dropout`.

use tch::Tensor;

use crate::bridge;
use crate::model::graph::Graph;
use crate::model::layer::{Layer, Phase, Script, Shape, TorchModule};

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

    fn forward(&self, _: &[Tensor], x: &Tensor, mode: Phase) -> Tensor {
        if mode.trains() {
            return bridge::dropout(x, self.p).expect("p is a share");
        }
        x.shallow_clone()
    }

    fn script(&self) -> Script {
        Script::expression(
            "Dropout",
            format!("torch.dropout(x, {:?}, self.training)", self.p),
        )
    }

    fn torch(&self) -> TorchModule {
        TorchModule::of(format!("nn.Dropout({:?})", self.p))
    }

    fn onnx(&self, _: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        x.to_owned() // in evaluation it does nothing
    }
}
