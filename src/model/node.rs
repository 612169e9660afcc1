//! A network as a tree, named as PyTorch names modules.
//!
//! A leaf is a layer. A chain is an `nn.Sequential`, or the network itself: its members run in order. A residual adds
//! what comes in, or what its shortcut makes of it, to what its body gives (He et al., 2016, equation 1 and 2).
//!
//! Names are a file format. The members of a list are counted from 0, the two sides of a residual are called `body`
//! and `shortcut`, and steps are joined by dots: `layers.3.body.0.weight`. They are those of
//!
//! ```python
//! class Residual(nn.Module):
//!     def __init__(self, body, shortcut=None):
//!         super().__init__()
//!         self.body = nn.Sequential(*body)
//!         self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()
//!
//!     def forward(self, x):
//!         return self.body(x) + self.shortcut(x)
//! ```
//!
//! so such a module takes the weights with `load_state_dict(strict=True)`. The body comes first in everything that has
//! an order: initial weights, tensors, dropout.

use std::ops::Range;

use tch::Tensor;

use super::fusion;
use super::graph::Graph;
use super::layer::{Layer, Parameter, Phase};

/// A layer in its place.
#[derive(Debug)]
pub struct Leaf {
    /// Dotted name of the module, such as `features.0`.
    pub name: String,
    /// What it computes.
    pub layer: Box<dyn Layer>,
    /// Where its tensors lie among those of the network.
    range: Range<usize>,
}

impl Leaf {
    /// A layer whose tensors begin at `first` among those of the network.
    pub fn new(name: String, layer: Box<dyn Layer>, first: usize) -> Leaf {
        let range = first..first + layer.parameters().len();
        Leaf { name, layer, range }
    }

    /// The tensors of this layer, or whatever else there is one of for each tensor of the network; `all` are in the
    /// order of [`Node::parameters`].
    pub fn own<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        &all[self.range.clone()]
    }

    /// The number behind the last of its tensors.
    pub fn end(&self) -> usize {
        self.range.end
    }
}

/// A network, or a part of one.
#[derive(Debug)]
pub enum Node {
    /// One layer.
    Leaf(Leaf),
    /// Named members, first to last.
    Chain(Vec<(String, Node)>),
    /// The body's result plus the input, which goes through the shortcut if there is one.
    Residual {
        /// Gives the shape that the residual gives.
        body: Box<Node>,
        /// Gives the same shape; without it the input has that shape.
        shortcut: Option<Box<Node>>,
    },
}

impl Node {
    /// All layers, in the order in which `torch.nn` makes them.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Node::Leaf(leaf) => vec![leaf],
            Node::Chain(members) => members.iter().flat_map(|(_, node)| node.leaves()).collect(),
            Node::Residual { body, shortcut } => {
                let sides = std::iter::once(body).chain(shortcut);
                sides.flat_map(|side| side.leaves()).collect()
            }
        }
    }

    /// Every tensor with its full dotted name, in the order in which `torch.nn` makes them.
    pub fn parameters(&self) -> Vec<(String, Parameter)> {
        let named = |leaf: &Leaf| {
            let full =
                |parameter: Parameter| (format!("{}.{}", leaf.name, parameter.name), parameter);
            let parameters = leaf.layer.parameters().into_iter();
            parameters.map(full).collect::<Vec<_>>()
        };
        self.leaves().into_iter().flat_map(named).collect()
    }

    /// `[B, input...]` to `[B, output...]`; `all` are the tensors of the network.
    pub fn forward(&self, all: &[Tensor], x: &Tensor, phase: Phase) -> Tensor {
        match self {
            Node::Leaf(leaf) => leaf.layer.forward(leaf.own(all), x, phase),
            Node::Chain(members) => fusion::forward(members, all, x, phase),
            Node::Residual { body, shortcut } => {
                let result = body.forward(all, x, phase);
                match shortcut {
                    Some(shortcut) => result + shortcut.forward(all, x, phase),
                    None => result + x,
                }
            }
        }
    }

    /// The same in ONNX, in evaluation: adds nodes to `graph` that read the value called `x`, and hands back the name
    /// of their result.
    pub fn onnx(&self, graph: &mut Graph, all: &[Tensor], x: &str) -> String {
        match self {
            Node::Leaf(leaf) => leaf.layer.onnx(graph, &leaf.name, leaf.own(all), x),
            Node::Chain(members) => {
                let start = x.to_owned();
                let next = |x: String, (_, node): &(String, Node)| node.onnx(graph, all, &x);
                members.iter().fold(start, next)
            }
            Node::Residual { body, shortcut } => {
                let result = body.onnx(graph, all, x);
                let other = match shortcut {
                    Some(shortcut) => shortcut.onnx(graph, all, x),
                    None => x.to_owned(),
                };
                graph.node("Add", &[&result, &other], Vec::new())
            }
        }
    }
}
