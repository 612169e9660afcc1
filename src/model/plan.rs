//! From an experiment to layers that know their shapes, without touching libtorch.

use crate::config::Experiment;
use crate::config::model::{LayerConfig, ModelConfig, Output};

use super::kinds::{NamedLayer, expand};
use super::layer::{Layer, Parameter, Shape};
use super::layers::{
    Activation, BatchNorm, BinaryLogits, Cell, Conv2d, Dropout, Flatten, Linear, MaxPool2d,
    PoolTime, Recurrent, ToSequence,
};

/// The most numbers a network may train: 4 GB of weights, and three times that with gradients and moments.
const MOST_PARAMETERS: usize = 1_000_000_000;

/// A network before it has weights.
#[derive(Debug)]
pub struct Plan {
    /// Dotted name and layer, first to last.
    pub layers: Vec<(String, Box<dyn Layer>)>,
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
        let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::new();
        let mut bidirectional = false;
        for NamedLayer { name, key, layer } in expand(&model.kind) {
            if let LayerConfig::Rnn { cells, .. }
            | LayerConfig::Lstm(cells)
            | LayerConfig::Gru(cells) = &layer
            {
                bidirectional = cells.bidirectional;
            }
            let layer =
                build(&layer, shape, outputs, bidirectional).map_err(|message| (key, message))?;
            shape = layer.output();
            layers.push((name, layer));
        }
        if shape != Shape::Row(outputs) {
            let message = format!(
                "the last layer gives {shape}, but {outputs} number(s) are needed; end with {{kind: linear}}"
            );
            return Err(("model.layers".to_owned(), message));
        }
        if model.output == Output::Binary {
            layers.push(("logits".to_owned(), Box::new(BinaryLogits)));
        }
        let plan = Plan { layers };
        let numbers = plan
            .parameters()
            .into_iter()
            .map(|(_, parameter)| parameter.numbers());
        let total = numbers.fold(0, usize::saturating_add);
        if total > MOST_PARAMETERS {
            let message = format!(
                "{total} parameters, and {MOST_PARAMETERS} is the most that is trained; make a layer smaller"
            );
            return Err(("model".to_owned(), message));
        }
        Ok(plan)
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
        let named = |(module, layer): &(String, Box<dyn Layer>)| {
            let full = |parameter: Parameter| (format!("{module}.{}", parameter.name), parameter);
            layer.parameters().into_iter().map(full).collect::<Vec<_>>()
        };
        self.layers.iter().flat_map(named).collect()
    }

    /// Whether a training batch of one image is too small for some layer.
    pub fn needs_two_examples(&self) -> bool {
        self.layers
            .iter()
            .any(|(_, layer)| layer.needs_two_examples())
    }
}

/// A rule of [`Experiment::load`]: the layers fit together.
///
/// # Errors
/// The key to blame, and why.
pub fn check(experiment: &Experiment) -> Result<(), (String, String)> {
    Plan::of(experiment).map(|_| ())
}

fn build(
    layer: &LayerConfig,
    input: Shape,
    outputs: usize,
    bidirectional: bool,
) -> Result<Box<dyn Layer>, String> {
    Ok(match *layer {
        LayerConfig::Flatten {} => Box::new(Flatten::new(input)),
        LayerConfig::Linear { units } => Box::new(Linear::new(units.unwrap_or(outputs), input)?),
        LayerConfig::Conv2d {
            filters,
            kernel,
            stride,
            padding,
        } => Box::new(Conv2d::new(filters, kernel, stride, padding, input)?),
        LayerConfig::BatchNorm {} => Box::new(BatchNorm::new(input)?),
        LayerConfig::MaxPool2d { size } => Box::new(MaxPool2d::new(size, input)?),
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
            Box::new(PoolTime::new(pooling, bidirectional, input)?)
        }
    })
}
