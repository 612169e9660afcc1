//! From an experiment to layers that know their shapes, without touching libtorch.

use crate::config::Experiment;
use crate::config::model::{LayerConfig, ModelConfig, Output};

use super::kinds::{KeyedLayer, Module, expand};
use super::layer::{Layer, Misfit, Parameter, Shape};
use super::layers::{
    Activation, BatchNorm, BinaryLogits, Cell, Conv2d, Dropout, Flatten, GlobalAvgPool, Linear,
    Pool2d, PoolTime, PoolWindow, Recurrent, ToSequence,
};
use super::node::{Leaf, Node};

/// The most numbers a network may train: 4 GB of weights, and three times that with gradients and moments.
const MOST_PARAMETERS: usize = 1_000_000_000;

/// A network before it has weights.
#[derive(Debug)]
pub struct Plan {
    /// The chain of everything between normalised pixels and logits.
    pub root: Node,
}

impl Plan {
    /// Lays out `model` for images of `input` and `classes` classes.
    ///
    /// # Errors
    /// The key to blame, and why the layers do not fit together.
    pub fn new(
        model: &ModelConfig,
        input: [usize; 3],
        classes: usize,
    ) -> Result<Plan, (String, String)> {
        let [channels, height, width] = input;
        let mut shape = Shape::Image {
            channels,
            height,
            width,
        };
        let outputs = match model.output {
            Output::Classes => classes,
            Output::Binary if classes == 2 => 1,
            Output::Binary => {
                let message = format!(
                    "binary is one logit for two classes, but there are {classes}; use output: classes"
                );
                return Err(("model.output".to_owned(), message));
            }
        };
        let mut layout = Layout {
            outputs,
            bidirectional: false,
            tensors: 0,
        };
        let mut members = Vec::new();
        for (name, module) in expand(&model.kind) {
            let node = match module {
                Module::Single(layer) => layout.node(name, &layer, &mut shape)?,
                Module::Sequential(layers) => layout.chain(name, &layers, &mut shape)?,
            };
            members.push((name.to_owned(), node));
        }
        if shape != Shape::Row(outputs) {
            let message = format!(
                "the last layer gives {shape}, but {outputs} number(s) are needed; end with {{kind: linear}}"
            );
            return Err(("model.layers".to_owned(), message));
        }
        if model.output == Output::Binary {
            let name = "logits".to_owned();
            let logits = layout.leaf(&name, Box::new(BinaryLogits));
            members.push((name, logits));
        }
        let plan = Plan {
            root: Node::Chain(members),
        };
        plan.check_size()?;
        Ok(plan)
    }

    fn check_size(&self) -> Result<(), (String, String)> {
        let parameters = self.parameters().into_iter();
        let numbers = parameters.map(|(_, parameter)| parameter.numbers());
        let total = numbers.fold(0, usize::saturating_add);
        if total > MOST_PARAMETERS {
            let message = format!(
                "{total} parameters, and {MOST_PARAMETERS} is the most that is trained; make a layer smaller"
            );
            return Err(("model".to_owned(), message));
        }
        Ok(())
    }

    /// Lays out the model of `experiment` before its images are found: where they say which classes there are, two stand
    /// in for them.
    ///
    /// # Errors
    /// The key to blame, and why.
    pub fn of(experiment: &Experiment) -> Result<Plan, (String, String)> {
        let image = &experiment.data.image;
        let input = [image.depth(), image.height, image.width];
        let classes = experiment.data.classes.as_ref().map_or(2, Vec::len);
        Plan::new(&experiment.model, input, classes)
    }

    /// Every tensor with its full dotted name, in the order in which `torch.nn` makes them.
    pub fn parameters(&self) -> Vec<(String, Parameter)> {
        self.root.parameters()
    }

    /// Floating point operations of a training step on `batch` images: a multiplication and an addition for each product,
    /// forward once and backward twice, for the gradients of inputs and of weights.
    pub fn work(&self, batch: usize) -> f64 {
        let leaves = self.root.leaves();
        let products: f64 = leaves.iter().map(|leaf| leaf.layer.products() as f64).sum();
        6.0 * products * batch as f64
    }

    /// Whether a training batch of one image is too small for some layer.
    pub fn needs_two_examples(&self) -> bool {
        let leaves = self.root.leaves();
        leaves.iter().any(|leaf| leaf.layer.needs_two_examples())
    }
}

/// A rule of [`Experiment::load`]: the layers fit together.
///
/// # Errors
/// The key to blame, and why.
pub fn check(experiment: &Experiment) -> Result<(), (String, String)> {
    Plan::of(experiment).map(|_| ())
}

/// A tree under construction. `shape`, where it is handed around, is that of one example, before the call what comes in
/// and after it what goes out; errors are the key to blame, and why.
struct Layout {
    /// Numbers that the last layer gives.
    outputs: usize,
    /// Whether the last recurrent layer reads both ways.
    bidirectional: bool,
    /// Tensors of the layers so far.
    tensors: usize,
}

impl Layout {
    fn leaf(&mut self, name: &str, layer: Box<dyn Layer>) -> Node {
        let leaf = Leaf::new(name.to_owned(), layer, self.tensors);
        self.tensors = leaf.end();
        Node::Leaf(leaf)
    }

    fn chain(
        &mut self,
        name: &str,
        layers: &[KeyedLayer],
        shape: &mut Shape,
    ) -> Result<Node, (String, String)> {
        let mut members = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let node = self.node(&format!("{name}.{index}"), layer, shape)?;
            members.push((index.to_string(), node));
        }
        Ok(Node::Chain(members))
    }

    fn node(
        &mut self,
        name: &str,
        KeyedLayer { key, layer }: &KeyedLayer,
        shape: &mut Shape,
    ) -> Result<Node, (String, String)> {
        if let LayerConfig::Residual { body, shortcut } = layer {
            return self.residual(name, key, body, shortcut.as_deref(), shape);
        }
        let layer = self.build(layer, *shape).map_err(|misfit| {
            let key = match misfit.key {
                Some(inner) => format!("{key}.{inner}"),
                None => key.clone(),
            };
            (key, misfit.message)
        })?;
        *shape = layer.output();
        Ok(self.leaf(name, layer))
    }

    fn residual(
        &mut self,
        name: &str,
        key: &str,
        body: &[LayerConfig],
        shortcut: Option<&[LayerConfig]>,
        shape: &mut Shape,
    ) -> Result<Node, (String, String)> {
        let input = *shape;
        let mut side = |part: &str, layers: &[LayerConfig], shape: &mut Shape| {
            let layers = KeyedLayer::list(&format!("{key}.{part}"), layers);
            self.chain(&format!("{name}.{part}"), &layers, shape)
        };
        let body = side("body", body, shape)?;
        let mut other = input;
        let shortcut = match shortcut {
            Some(layers) => Some(side("shortcut", layers, &mut other)?),
            None => None,
        };
        if other == *shape {
            let [body, shortcut] = [Some(body), shortcut].map(|side| side.map(Box::new));
            let body = body.expect("every residual has a body");
            return Ok(Node::Residual { body, shortcut });
        }
        let message = match shortcut {
            Some(_) => format!(
                "gives {other}, but the body gives {shape}, and the two are added; let both give the same shape"
            ),
            None => format!(
                "missing: {input} comes in, but the body gives {shape}, and the two are added; give a shortcut that \
                 turns one into the other, such as [{{kind: conv2d, filters: .., kernel: 1, stride: .., bias: false}}]"
            ),
        };
        Err((format!("{key}.shortcut"), message))
    }

    fn build(&mut self, layer: &LayerConfig, input: Shape) -> Result<Box<dyn Layer>, Misfit> {
        if let LayerConfig::Rnn { cells, .. } | LayerConfig::Lstm(cells) | LayerConfig::Gru(cells) =
            layer
        {
            self.bidirectional = cells.bidirectional;
        }
        Ok(match *layer {
            LayerConfig::Flatten {} => Box::new(Flatten::new(input)),
            LayerConfig::Linear { units } => {
                Box::new(Linear::new(units.unwrap_or(self.outputs), input)?)
            }
            LayerConfig::Conv2d(config) => Box::new(Conv2d::new(config, input)?),
            LayerConfig::BatchNorm {} => Box::new(BatchNorm::new(input)?),
            LayerConfig::MaxPool2d { size } => Box::new(Pool2d::new(PoolWindow::Max, size, input)?),
            LayerConfig::AvgPool2d { size } => {
                Box::new(Pool2d::new(PoolWindow::Average, size, input)?)
            }
            LayerConfig::GlobalAvgPool {} => Box::new(GlobalAvgPool::new(input)?),
            LayerConfig::Activation { function } => Box::new(Activation::new(function, input)),
            LayerConfig::Dropout { p } => Box::new(Dropout::new(p, input)),
            LayerConfig::ToSequence { sequence, patch_px } => {
                Box::new(ToSequence::new(sequence, patch_px, input)?)
            }
            LayerConfig::Rnn {
                nonlinearity,
                cells,
            } => Box::new(Recurrent::new(Cell::Rnn(nonlinearity), cells, input)?),
            LayerConfig::Lstm(cells) => Box::new(Recurrent::new(Cell::Lstm, cells, input)?),
            LayerConfig::Gru(cells) => Box::new(Recurrent::new(Cell::Gru, cells, input)?),
            LayerConfig::PoolTime { pooling } => {
                Box::new(PoolTime::new(pooling, self.bidirectional, input)?)
            }
            LayerConfig::Residual { .. } => unreachable!("a residual is no leaf"),
        })
    }
}
