//! The `model` section: a kind with its settings, or an explicit list of layers.
//!
//! [`LayerConfig`] is the one description of a layer in the project: the list of `kind: layers` is made
//! of it, and every other kind expands to it (`model::kinds`).

use serde::Serialize;

use super::section::{Section, at_least, below, whole, words};

/// Everything about the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConfig {
    /// Which network.
    #[serde(flatten)]
    pub kind: ModelKind,
    /// What the last layer computes.
    pub output: Output,
    /// Weights before the first step.
    pub init: Init,
}

/// Which network.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelKind {
    /// Pixels, hidden layers, classes. Without hidden layers: softmax regression.
    Ann(Dense),
    /// The same with two hidden layers or more.
    Dnn(Dense),
    /// Blocks of convolution, then hidden layers.
    Cnn {
        /// Convolution blocks, first to last.
        blocks: Vec<Block>,
        /// What follows them.
        #[serde(flatten)]
        head: Dense,
    },
    /// The picture read as a sequence by a plain recurrent network.
    Rnn {
        /// The function inside each step.
        nonlinearity: Nonlinearity,
        /// Settings shared with lstm and gru.
        #[serde(flatten)]
        recurrent: RecurrentConfig,
    },
    /// The same with long short-term memory.
    Lstm(RecurrentConfig),
    /// The same with gated recurrent units.
    Gru(RecurrentConfig),
    /// An explicit list.
    Layers {
        /// First to last; the last must give one number per class.
        layers: Vec<LayerConfig>,
    },
}

impl ModelKind {
    /// The word in files and tables.
    pub fn word(&self) -> &'static str {
        match self {
            ModelKind::Ann(_) => "ann",
            ModelKind::Dnn(_) => "dnn",
            ModelKind::Cnn { .. } => "cnn",
            ModelKind::Rnn { .. } => "rnn",
            ModelKind::Lstm(_) => "lstm",
            ModelKind::Gru(_) => "gru",
            ModelKind::Layers { .. } => "layers",
        }
    }
}

/// Fully connected layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dense {
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// What follows each hidden layer (and each convolution).
    pub activation: Function,
    /// Share of numbers dropped after each hidden layer in training.
    pub dropout: f64,
    /// Whether batch normalisation stands before each activation.
    pub batch_norm: bool,
}

/// One convolution with what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Block {
    /// Channels that come out.
    pub filters: usize,
    /// Side of the square kernel in pixels.
    pub kernel: usize,
    /// Pixels between neighbouring positions.
    pub stride: usize,
    /// What surrounds the picture.
    pub padding: Padding,
    /// Side of the max-pooling window; 1 for none.
    pub pool: usize,
}

/// How a picture is read as a sequence, and by what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecurrentConfig {
    /// What one step sees.
    pub sequence: Sequence,
    /// Side of a patch in pixels, for `sequence: patches`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_px: Option<usize>,
    /// Numbers remembered per layer and direction.
    pub hidden_size: usize,
    /// Layers on top of each other.
    pub num_layers: usize,
    /// Whether a second network reads backwards.
    pub bidirectional: bool,
    /// What is kept of all steps.
    pub pooling: Pooling,
    /// Fully connected layers after it; their dropout also stands between recurrent layers and before the first of them.
    #[serde(flatten)]
    pub head: Dense,
}

words! {
    /// What one step of a recurrent network sees.
    Sequence {
        /// A row of pixels, top to bottom.
        Rows = "rows",
        /// A column, left to right.
        Columns = "columns",
        /// A square patch, row by row.
        Patches = "patches",
    }
}

words! {
    /// What is kept of the steps of a recurrent network.
    Pooling {
        /// The final state of each direction.
        Last = "last",
        /// The mean over steps.
        Mean = "mean",
        /// The largest over steps, number by number.
        Max = "max",
    }
}

words! {
    /// The function inside a plain recurrent step.
    Nonlinearity {
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// max(0, x).
        Relu = "relu",
    }
}

words! {
    /// An activation function, as in `torch.nn`.
    Function {
        /// max(0, x).
        Relu = "relu",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// Logistic function.
        Sigmoid = "sigmoid",
        /// x for positive x, else 0.01 x.
        LeakyRelu = "leaky_relu",
        /// x Phi(x), exact.
        Gelu = "gelu",
        /// x sigmoid(x).
        Silu = "silu",
    }
}

words! {
    /// What surrounds a picture before a convolution.
    Padding {
        /// As many zeros as keep the size at stride 1; needs an odd kernel.
        Same = "same",
        /// Nothing.
        Valid = "valid",
    }
}

words! {
    /// What the last layer computes.
    Output {
        /// One logit per class.
        Classes = "classes",
        /// For two classes: one logit z, presented as [0, z], which makes softmax a sigmoid.
        Binary = "binary",
    }
}

/// Weights before the first step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Init {
    /// A named way.
    Named(NamedInit),
    /// The same law for every weight; biases are zero.
    Custom {
        /// The law.
        weights: WeightLaw,
        /// Always zero.
        bias: BiasLaw,
    },
}

words! {
    /// Initialisations that need no figures.
    NamedInit {
        /// Bit for bit what `torch.manual_seed(seed)` and `torch.nn` give.
        Pytorch = "pytorch",
    }
}

words! {
    /// Biases before the first step.
    BiasLaw {
        /// All zero.
        Zero = "zero",
    }
}

/// The law weights are drawn from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WeightLaw {
    /// All the same.
    Constant {
        /// That number.
        value: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in [low, high).
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
}

/// One layer, as an experiment describes it. Input sizes are never given: they follow from the picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LayerConfig {
    /// Everything in one row.
    Flatten {},
    /// Fully connected.
    Linear {
        /// Numbers that come out; null is as many as the classes need.
        units: Option<usize>,
    },
    /// Two-dimensional convolution.
    Conv2d {
        /// Channels that come out.
        filters: usize,
        /// Side of the square kernel in pixels.
        kernel: usize,
        /// Pixels between neighbouring positions.
        stride: usize,
        /// What surrounds the picture.
        padding: Padding,
    },
    /// Batch normalisation, of channels or of numbers.
    BatchNorm {},
    /// Largest of each window.
    MaxPool2d {
        /// Side of the square window, and its stride.
        size: usize,
    },
    /// An activation.
    Activation {
        /// Which.
        function: Function,
    },
    /// Zeroes a share of all numbers in training.
    Dropout {
        /// The share.
        p: f64,
    },
    /// A picture becomes a sequence of steps.
    ToSequence {
        /// What one step sees.
        sequence: Sequence,
        /// Side of a patch in pixels.
        #[serde(skip_serializing_if = "Option::is_none")]
        patch_px: Option<usize>,
    },
    /// Plain recurrent layers.
    Rnn {
        /// The function inside each step.
        nonlinearity: Nonlinearity,
        /// Sizes.
        #[serde(flatten)]
        cells: Cells,
    },
    /// Long short-term memory.
    Lstm(Cells),
    /// Gated recurrent units.
    Gru(Cells),
    /// A sequence becomes one row of numbers.
    PoolTime {
        /// What is kept.
        pooling: Pooling,
    },
}

/// Sizes of a stack of recurrent layers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cells {
    /// Numbers remembered per layer and direction.
    pub hidden_size: usize,
    /// Layers on top of each other.
    pub num_layers: usize,
    /// Whether a second network reads backwards.
    pub bidirectional: bool,
    /// Share dropped between layers in training.
    pub dropout: f64,
}

/// The most units, filters or cells of one layer.
const MOST_UNITS: usize = 1_000_000;

/// The largest kernel, stride, window or patch, in pixels: the largest picture.
const MOST_PIXELS: usize = 4096;

/// The most recurrent layers on top of each other.
const MOST_LAYERS: usize = 100;

const KINDS: [&str; 7] = ["ann", "dnn", "cnn", "rnn", "lstm", "gru", "layers"];

const LAYERS: [&str; 12] = [
    "flatten",
    "linear",
    "conv2d",
    "batch_norm",
    "max_pool2d",
    "activation",
    "dropout",
    "to_sequence",
    "rnn",
    "lstm",
    "gru",
    "pool_time",
];

impl ModelConfig {
    pub(super) fn read(mut section: Section) -> ModelConfig {
        let kind = match section.kind(&KINDS, None) {
            Some("dnn") => ModelKind::Dnn(Dense::read(&mut section, &[128, 64])),
            Some("cnn") => ModelKind::Cnn {
                blocks: Block::read_all(&mut section),
                head: Dense::read(&mut section, &[64]),
            },
            Some("rnn") => ModelKind::Rnn {
                nonlinearity: section.get("nonlinearity", Nonlinearity::Tanh),
                recurrent: RecurrentConfig::read(&mut section),
            },
            Some("lstm") => ModelKind::Lstm(RecurrentConfig::read(&mut section)),
            Some("gru") => ModelKind::Gru(RecurrentConfig::read(&mut section)),
            Some("layers") => ModelKind::Layers {
                layers: LayerConfig::read_all(&mut section),
            },
            _ => ModelKind::Ann(Dense::read(&mut section, &[64])),
        };
        if let ModelKind::Dnn(dense) = &kind
            && dense.hidden.len() < 2
        {
            section.wrong(
                "hidden",
                "a dnn has two hidden layers or more; with fewer it is kind ann".to_owned(),
            );
        }
        check_effects(&kind, &section);
        ModelConfig {
            kind,
            output: section.get("output", Output::Classes),
            init: Init::read(&mut section),
        }
    }
}

/// Notes settings of hidden layers where there are none: they would change nothing, and look as if they did.
fn check_effects(kind: &ModelKind, section: &Section) {
    let (head, dropout_matters) = match kind {
        ModelKind::Ann(head) | ModelKind::Dnn(head) => (head, false),
        ModelKind::Rnn { recurrent, .. } => (&recurrent.head, true),
        ModelKind::Lstm(recurrent) | ModelKind::Gru(recurrent) => (&recurrent.head, true),
        ModelKind::Cnn { .. } | ModelKind::Layers { .. } => return,
    };
    if !head.hidden.is_empty() {
        return;
    }
    let idle = [
        ("activation", head.activation != Function::Relu),
        ("batch_norm", head.batch_norm),
        ("dropout", head.dropout > 0.0 && !dropout_matters),
    ];
    for (key, _) in idle.into_iter().filter(|(_, set)| *set) {
        let message =
            "belongs to hidden layers, and model.hidden is empty; add some, or take this out";
        section.wrong(key, message.to_owned());
    }
}

impl Dense {
    fn read(section: &mut Section, hidden: &[usize]) -> Dense {
        Dense {
            hidden: section
                .values_if("hidden", whole(1, MOST_UNITS))
                .unwrap_or(hidden.to_vec()),
            activation: section.get("activation", Function::Relu),
            dropout: section.get_if("dropout", 0.0, below(0.0, 1.0)),
            batch_norm: section.get("batch_norm", false),
        }
    }
}

impl Block {
    fn read_all(section: &mut Section) -> Vec<Block> {
        let Some(blocks) = section.sections("blocks") else {
            let block = |filters| Block {
                filters,
                kernel: 3,
                stride: 1,
                padding: Padding::Same,
                pool: 2,
            };
            return vec![block(16), block(32)];
        };
        if blocks.is_empty() {
            section.wrong(
                "blocks",
                "a cnn needs at least one block; without convolution it is kind ann".to_owned(),
            );
        }
        blocks.into_iter().map(Block::read).collect()
    }

    fn read(mut section: Section) -> Block {
        Block {
            filters: section.get_if("filters", 16, whole(1, MOST_UNITS)),
            kernel: section.get_if("kernel", 3, whole(1, MOST_PIXELS)),
            stride: section.get_if("stride", 1, whole(1, MOST_PIXELS)),
            padding: section.get("padding", Padding::Same),
            pool: section.get_if("pool", 2, whole(1, MOST_PIXELS)),
        }
    }
}

impl RecurrentConfig {
    fn read(section: &mut Section) -> RecurrentConfig {
        let sequence = section.get("sequence", Sequence::Rows);
        RecurrentConfig {
            sequence,
            patch_px: read_patch(section, sequence),
            hidden_size: section.get_if("hidden_size", 64, whole(1, MOST_UNITS)),
            num_layers: section.get_if("num_layers", 1, whole(1, MOST_LAYERS)),
            bidirectional: section.get("bidirectional", false),
            pooling: section.get("pooling", Pooling::Last),
            head: Dense::read(section, &[]),
        }
    }
}

/// The side of a patch, a key that exists for `sequence: patches` alone.
fn read_patch(section: &mut Section, sequence: Sequence) -> Option<usize> {
    (sequence == Sequence::Patches).then(|| section.get_if("patch_px", 8, whole(1, MOST_PIXELS)))
}

impl Init {
    fn read(section: &mut Section) -> Init {
        if !section.holds_section("init") {
            return Init::Named(section.get("init", NamedInit::Pytorch));
        }
        let mut init = section.section("init");
        let bias = init.get("bias", BiasLaw::Zero);
        let mut weights = init.section("weights");
        let law = match weights.kind(&["constant", "normal", "uniform"], None) {
            Some("constant") => WeightLaw::Constant {
                value: weights.get("value", 0.01),
            },
            Some("uniform") => {
                let low = weights.get("low", -0.05);
                WeightLaw::Uniform {
                    low,
                    high: weights.get_if("high", 0.05, at_least(low)),
                }
            }
            _ => WeightLaw::Normal {
                mean: weights.get("mean", 0.0),
                std: weights.get_if("std", 0.1, at_least(0.0)),
            },
        };
        Init::Custom { weights: law, bias }
    }
}

impl LayerConfig {
    fn read_all(section: &mut Section) -> Vec<LayerConfig> {
        match section.sections("layers") {
            Some(layers) if !layers.is_empty() => {
                layers.into_iter().filter_map(LayerConfig::read).collect()
            }
            _ => {
                section.wrong(
                    "layers",
                    "missing: a list such as [{kind: flatten}, {kind: linear}]".to_owned(),
                );
                Vec::new()
            }
        }
    }

    fn read(mut section: Section) -> Option<LayerConfig> {
        Some(match section.kind(&LAYERS, None)? {
            "flatten" => LayerConfig::Flatten {},
            "linear" => LayerConfig::Linear {
                units: section.optional_if("units", whole(1, MOST_UNITS)),
            },
            "conv2d" => LayerConfig::Conv2d {
                filters: section.get_if("filters", 16, whole(1, MOST_UNITS)),
                kernel: section.get_if("kernel", 3, whole(1, MOST_PIXELS)),
                stride: section.get_if("stride", 1, whole(1, MOST_PIXELS)),
                padding: section.get("padding", Padding::Same),
            },
            "batch_norm" => LayerConfig::BatchNorm {},
            "max_pool2d" => LayerConfig::MaxPool2d {
                size: section.get_if("size", 2, whole(1, MOST_PIXELS)),
            },
            "activation" => LayerConfig::Activation {
                function: section.get("function", Function::Relu),
            },
            "dropout" => LayerConfig::Dropout {
                p: section.get_if("p", 0.5, below(0.0, 1.0)),
            },
            "to_sequence" => {
                let sequence = section.get("sequence", Sequence::Rows);
                LayerConfig::ToSequence {
                    sequence,
                    patch_px: read_patch(&mut section, sequence),
                }
            }
            "rnn" => LayerConfig::Rnn {
                nonlinearity: section.get("nonlinearity", Nonlinearity::Tanh),
                cells: Cells::read(&mut section),
            },
            "lstm" => LayerConfig::Lstm(Cells::read(&mut section)),
            "gru" => LayerConfig::Gru(Cells::read(&mut section)),
            _ => LayerConfig::PoolTime {
                pooling: section.get("pooling", Pooling::Last),
            },
        })
    }
}

impl Cells {
    fn read(section: &mut Section) -> Cells {
        let cells = Cells {
            hidden_size: section.get_if("hidden_size", 64, whole(1, MOST_UNITS)),
            num_layers: section.get_if("num_layers", 1, whole(1, MOST_LAYERS)),
            bidirectional: section.get("bidirectional", false),
            dropout: section.get_if("dropout", 0.0, below(0.0, 1.0)),
        };
        if cells.num_layers == 1 && cells.dropout > 0.0 {
            let message = "stands between recurrent layers, and there is one; add {kind: dropout} behind it instead";
            section.wrong("dropout", message.to_owned());
        }
        cells
    }
}
