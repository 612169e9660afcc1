//! Activation functions, as in `torch.nn.functional`.

use tch::Tensor;

use crate::config::model::Function;
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Mode, Script, Shape};

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

    fn script(&self) -> Script {
        match self.function {
            Function::Relu => Script::expression("ReLU", "torch.relu(x)"),
            Function::Tanh => Script::expression("Tanh", "torch.tanh(x)"),
            Function::Sigmoid => Script::expression("Sigmoid", "torch.sigmoid(x)"),
            Function::LeakyRelu => Script::expression("LeakyReLU", "torch.leaky_relu(x)"),
            Function::Gelu => Script::expression("GELU", "torch.gelu(x)"),
            Function::Silu => Script::expression("SiLU", "torch.silu(x)"),
        }
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        match self.function {
            Function::Relu => graph.node("Relu", &[x], Vec::new()),
            Function::Tanh => graph.node("Tanh", &[x], Vec::new()),
            Function::Sigmoid => graph.node("Sigmoid", &[x], Vec::new()),
            Function::LeakyRelu => {
                let slope = ("alpha", Attribute::Float(0.01));
                graph.node("LeakyRelu", &[x], vec![slope])
            }
            Function::Gelu => {
                // x (1 + erf(x / sqrt 2)) / 2; the operator Gelu came with opset 20.
                let mut constant = |name: &str, value: f64| {
                    let name = format!("{name}_{}", graph.tensors.len());
                    graph.tensor(name, &Tensor::from(value as f32))
                };
                let root = constant("root_of_two", std::f64::consts::SQRT_2);
                let (one, half) = (constant("one", 1.0), constant("half", 0.5));
                let scaled = graph.node("Div", &[x, &root], Vec::new());
                let erf = graph.node("Erf", &[&scaled], Vec::new());
                let sum = graph.node("Add", &[&erf, &one], Vec::new());
                let product = graph.node("Mul", &[x, &sum], Vec::new());
                graph.node("Mul", &[&product, &half], Vec::new())
            }
            Function::Silu => {
                let gate = graph.node("Sigmoid", &[x], Vec::new());
                graph.node("Mul", &[x, &gate], Vec::new())
            }
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
