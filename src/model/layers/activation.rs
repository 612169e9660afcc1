//! Activation functions, as in `torch.nn.functional`.

use tch::Tensor;

use crate::config::model::Function;
use crate::model::layer::{Layer, Mode, Shape};

/// A function of each number.
#[derive(Debug)]
pub struct Activation {
    function: Function,
    shape: Shape,
}

impl Activation {
    /// `function` on examples of any shape.
    pub fn new(function: Function, shape: Shape) -> Activation {
        Activation { function, shape }
    }
}

impl Layer for Activation {
    fn title(&self) -> String {
        self.function.word().to_owned()
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Mode) -> Tensor {
        match self.function {
            Function::Relu => x.relu(),
            Function::Tanh => x.tanh(),
            Function::Sigmoid => x.sigmoid(),
            Function::LeakyRelu => x.leaky_relu(),
            Function::Gelu => x.gelu("none"),
            Function::Silu => x.silu(),
        }
    }
}

/// Whether a function never turns larger into smaller. Max pooling may then come first, with the same
/// result and a quarter of the work.
pub fn keeps_order(function: Function) -> bool {
    match function {
        Function::Relu | Function::Tanh | Function::Sigmoid | Function::LeakyRelu => true,
        Function::Gelu | Function::Silu => false,
    }
}
