//! What a layer is: a shape in, a shape out, named parameters, a forward pass, and the same pass in
//! TorchScript, ONNX and `torch.nn`.
//!
//! A layer holds sizes, never tensors: its weights are handed to it. So shapes, parameter counts and
//! errors are known without touching libtorch, and weights have one owner (`Network`).

use tch::Tensor;

use super::graph::Graph;
use crate::bridge;

/// The shape of one example between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Channels, height, width.
    Image {
        /// Planes, such as 1 for grey and 3 for colour.
        channels: usize,
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// A sequence: steps, numbers per step.
    Steps {
        /// Steps in a sequence.
        count: usize,
        /// Numbers per step.
        size: usize,
    },
    /// One row of numbers.
    Row(usize),
}

impl Shape {
    /// How many numbers one example has.
    pub fn numbers(self) -> usize {
        match self {
            Shape::Image {
                channels,
                height,
                width,
            } => channels * height * width,
            Shape::Steps { count, size } => count * size,
            Shape::Row(size) => size,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Shape::Image {
                channels,
                height,
                width,
            } => write!(f, "[{channels}, {height}, {width}]"),
            Shape::Steps { count, size } => write!(f, "[{count}, {size}]"),
            Shape::Row(size) => write!(f, "[{size}]"),
        }
    }
}

/// What a network computes for; dropout and batch normalisation differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Weights are about to change.
    Train,
    /// They are not.
    Eval,
    /// Somebody uses the model: as its TorchScript computes, to the bit, which libtorch's own operators do.
    Serve,
}

impl Phase {
    /// As libtorch's `train` argument.
    pub fn trains(self) -> bool {
        self == Phase::Train
    }
}

/// How a parameter starts, as `torch.nn` starts it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Uniform in (-bound, bound).
    Uniform(f64),
    /// All one.
    Ones,
    /// All zero.
    Zeros,
}

/// What a tensor of a layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Trained; `model.init` applies.
    Weight,
    /// Trained; `model.init` starts it at zero.
    Bias,
    /// Trained scale and shift of a normalisation; `model.init` leaves them alone.
    Affine,
    /// Running statistics in float32, not trained.
    Buffer,
    /// A counter in int64, not trained.
    Counter,
}

impl Role {
    /// Whether gradients move it.
    pub fn trained(self) -> bool {
        matches!(self, Role::Weight | Role::Bias | Role::Affine)
    }
}

/// One named tensor of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// PyTorch's name within the module, such as `weight_ih_l0`.
    pub name: String,
    /// Length of each axis.
    pub size: Vec<i64>,
    /// What it is for.
    pub role: Role,
    /// How it starts.
    pub start: Init,
}

impl Parameter {
    /// A tensor called `name`.
    pub fn new(name: impl Into<String>, size: &[usize], role: Role, start: Init) -> Parameter {
        Parameter {
            name: name.into(),
            size: size.iter().map(|&n| n as i64).collect(),
            role,
            start,
        }
    }

    /// How many numbers it holds; the largest there is for sizes that no memory could hold.
    pub fn numbers(&self) -> usize {
        let product = |all: usize, &size: &i64| all.saturating_mul(size as usize);
        self.size.iter().fold(1, product)
    }

    /// Weight and bias of a module whose units see `fan_in` numbers each, as `nn.Linear` and `nn.Conv2d`
    /// start them: kaiming_uniform_ with a = sqrt(5) for the weight, U(-1/sqrt(fan_in), 1/sqrt(fan_in))
    /// for the bias. The formula is followed operation by operation, so that every bit agrees.
    pub fn weight_and_bias(size: &[usize]) -> Vec<Parameter> {
        let fan_in = size[1..].iter().product::<usize>() as f64;
        let slope = 5.0f64.sqrt();
        let gain = (2.0 / (1.0 + slope * slope)).sqrt();
        let bound = 3.0f64.sqrt() * (gain / fan_in.sqrt());
        vec![
            Parameter::new("weight", size, Role::Weight, Init::Uniform(bound)),
            Parameter::new(
                "bias",
                &size[..1],
                Role::Bias,
                Init::Uniform(1.0 / fan_in.sqrt()),
            ),
        ]
    }
}

/// Why a layer cannot stand where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The layer's own key to blame, if it is one alone.
    pub key: Option<&'static str>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Misfit {
    /// The value of `key` does not fit what comes in.
    pub fn of(key: &'static str, message: String) -> Misfit {
        let key = Some(key);
        Misfit { key, message }
    }
}

impl From<String> for Misfit {
    fn from(message: String) -> Misfit {
        Misfit { key: None, message }
    }
}

/// A layer's class in a TorchScript archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Name of the class.
    pub class: &'static str,
    /// Body of `forward(self, x: Tensor) -> Tensor`, a statement per line.
    pub forward: String,
}

impl Script {
    /// A class whose forward pass is one expression of `x`.
    pub fn expression(class: &'static str, expression: impl std::fmt::Display) -> Script {
        Script {
            class,
            forward: format!("return {expression}"),
        }
    }
}

/// A layer as a module of `torch.nn`, in Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchModule {
    /// An expression that makes it, such as `nn.Linear(64, 10)`.
    pub call: String,
    /// Source of its class, where `torch.nn` has none such.
    pub class: Option<String>,
}

impl TorchModule {
    /// One of a class of `torch.nn`.
    pub fn of(call: impl Into<String>) -> TorchModule {
        TorchModule {
            call: call.into(),
            class: None,
        }
    }

    /// What computes an expression of `x` and has no tensors.
    pub fn function(expression: impl std::fmt::Display) -> TorchModule {
        const CLASS: &str = "\
class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)
";
        TorchModule {
            call: format!("Function(lambda x: {expression})"),
            class: Some(CLASS.to_owned()),
        }
    }
}

/// What a layer is to the one beside it: some two are less work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// ReLU.
    Relu,
    /// Max pooling by windows with a side of so many pixels.
    MaxPool(usize),
    /// Nothing that matters.
    Other,
}

/// `factor * y + shift` for each channel or number `y`.
#[derive(Debug)]
pub struct Affine {
    /// `[C]`.
    pub factor: Tensor,
    /// `[C]`.
    pub shift: Tensor,
}

impl Affine {
    /// Weight `[C, ...]` and bias `[C]` of a sum that is as this makes the sum with `weights`, which may have no bias.
    pub(super) fn fold(&self, weights: &[Tensor]) -> Vec<Tensor> {
        let mut each = vec![1; weights[0].dim()];
        each[0] = -1;
        let bias = match weights.get(1) {
            Some(bias) => bias * &self.factor + &self.shift,
            None => self.shift.shallow_clone(),
        };
        vec![&weights[0] * self.factor.view(&each[..]), bias]
    }
}

/// One layer. Adding a kind is adding a file under `layers/`.
pub trait Layer: std::fmt::Debug {
    /// What a table calls it, such as `Linear(64)`.
    fn title(&self) -> String;

    /// The shape of one example behind it.
    fn output(&self) -> Shape;

    /// Its tensors, in the order in which `torch.nn` makes them.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Products of two numbers in its pass over one example, if they are most of its work.
    fn products(&self) -> usize {
        0
    }

    /// Whether a training batch of one example is too small for it.
    fn needs_two_examples(&self) -> bool {
        false
    }

    /// What a neighbour in a chain may have to know.
    fn neighbour(&self) -> Neighbour {
        Neighbour::Other
    }

    /// Lays out its tensors as its kernels on CUDA want them, once and for all; their numbers stay.
    fn lay_out_for_cuda(&self, _weights: &[Tensor]) {}

    /// What it does in evaluation, if that is to scale and shift each channel of an image or number of a row.
    fn affine(&self, _weights: &[Tensor]) -> Option<Affine> {
        None
    }

    /// Weights with which its result is as `next` makes it, if it is a weighted sum.
    fn folded(&self, _weights: &[Tensor], _next: &Affine) -> Option<Vec<Tensor>> {
        None
    }

    /// `[B, input...]` to `[B, output...]`; `weights` are those of `parameters`, in that order.
    fn forward(&self, weights: &[Tensor], x: &Tensor, mode: Phase) -> Tensor;

    /// The same in training, then max pooling by windows with a side of `size` pixels, and ReLU.
    fn forward_pooled_relu(&self, weights: &[Tensor], x: &Tensor, size: usize) -> Tensor {
        let x = self.forward(weights, x, Phase::Train);
        bridge::pool_relu(&x, size).expect("the plan has checked the shapes")
    }

    /// The same in TorchScript.
    fn script(&self) -> Script;

    /// The same as a module of `torch.nn`, which takes its tensors by their names.
    fn torch(&self) -> TorchModule;

    /// The same in ONNX, in evaluation: adds nodes to `graph` that read the value called `x`, and hands back
    /// the name of their result. `module` is the layer's dotted name, `weights` are as for `forward`.
    fn onnx(&self, graph: &mut Graph, module: &str, weights: &[Tensor], x: &str) -> String;
}
