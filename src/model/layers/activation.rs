//! Activation functions, as in `torch.nn.functional`.

use tch::Tensor;

use crate::config::model::ActivationKind;
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Neighbour, Phase, Script, Shape, TorchModule};

/// A function of each number.
#[derive(Debug)]
pub struct Activation {
    function: ActivationKind,
    shape: Shape,
}

impl Activation {
    /// `function` on examples of any shape.
    pub fn new(function: ActivationKind, shape: Shape) -> Activation {
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

    fn neighbour(&self) -> Neighbour {
        match self.function {
            ActivationKind::Relu => Neighbour::Relu,
            _ => Neighbour::Other,
        }
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        match self.function {
            ActivationKind::Relu => x.relu(),
            ActivationKind::Tanh => x.tanh(),
            ActivationKind::Sigmoid => x.sigmoid(),
            ActivationKind::LeakyRelu => x.leaky_relu(),
            ActivationKind::Gelu => x.gelu("none"),
            ActivationKind::Silu => x.silu(),
        }
    }

    fn script(&self) -> Script {
        match self.function {
            ActivationKind::Relu => Script::expression("ReLU", "torch.relu(x)"),
            ActivationKind::Tanh => Script::expression("Tanh", "torch.tanh(x)"),
            ActivationKind::Sigmoid => Script::expression("Sigmoid", "torch.sigmoid(x)"),
            ActivationKind::LeakyRelu => Script::expression("LeakyReLU", "torch.leaky_relu(x)"),
            ActivationKind::Gelu => Script::expression("GELU", "torch.gelu(x)"),
            ActivationKind::Silu => Script::expression("SiLU", "torch.silu(x)"),
        }
    }

    fn torch(&self) -> TorchModule {
        TorchModule::of(format!("nn.{}()", self.script().class)) // called as there
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        match self.function {
            ActivationKind::Relu => graph.node("Relu", &[x], Vec::new()),
            ActivationKind::Tanh => graph.node("Tanh", &[x], Vec::new()),
            ActivationKind::Sigmoid => graph.node("Sigmoid", &[x], Vec::new()),
            ActivationKind::LeakyRelu => {
                let slope = ("alpha", Attribute::Float(0.01));
                graph.node("LeakyRelu", &[x], vec![slope])
            }
            ActivationKind::Gelu => {
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
            ActivationKind::Silu => {
                let gate = graph.node("Sigmoid", &[x], Vec::new());
                graph.node("Mul", &[x, &gate], Vec::new())
            }
        }
    }
}

/// Whether a function never turns larger into smaller. Max pooling may then come first, with the same
/// result and a quarter of the work.
pub fn is_monotonic(function: ActivationKind) -> bool {
    match function {
        ActivationKind::Relu
        | ActivationKind::Tanh
        | ActivationKind::Sigmoid
        | ActivationKind::LeakyRelu => true,
        ActivationKind::Gelu | ActivationKind::Silu => false,
    }
}
