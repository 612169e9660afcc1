//! The `model` section: a kind with its settings, or an explicit list of layers.

mod init;
mod layer;

use serde::Serialize;

pub use init::{BiasLaw, InitConfig, NamedInit, WeightInit};
pub use layer::{
    ActivationKind, ConvConfig, LAYER_KINDS, LayerConfig, Nonlinearity, Padding, Pooling, RnnSizes,
    Sequence,
};

use super::section::Section;
use super::setting::{below, whole, words};
use layer::{MOST_LAYERS, MOST_PIXELS, MOST_UNITS, read_patch};

/// Everything about the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConfig {
    /// Which network.
    #[serde(flatten)]
    pub kind: ModelKind,
    /// What the last layer computes.
    pub output: Output,
    /// Weights before the first step.
    pub init: InitConfig,
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
    /// The image read as a sequence by a plain recurrent network.
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

const KINDS: [&str; 7] = ["ann", "dnn", "cnn", "rnn", "lstm", "gru", "layers"];

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
                layers: LayerConfig::read_all(
                    &mut section,
                    "layers",
                    "[{kind: flatten}, {kind: linear}]",
                ),
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
            init: InitConfig::read(&mut section),
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
        ("activation", head.activation != ActivationKind::Relu),
        ("batch_norm", head.batch_norm),
        ("dropout", head.dropout > 0.0 && !dropout_matters),
    ];
    for (key, _) in idle.into_iter().filter(|(_, set)| *set) {
        let message =
            "belongs to hidden layers, and model.hidden is empty; add some, or take this out";
        section.wrong(key, message.to_owned());
    }
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
    pub activation: ActivationKind,
    /// Share of numbers dropped after each hidden layer in training.
    pub dropout: f64,
    /// Whether batch normalisation stands before each activation.
    pub batch_norm: bool,
}

impl Dense {
    fn read(section: &mut Section, hidden: &[usize]) -> Dense {
        Dense {
            hidden: section
                .values_if("hidden", whole(1, MOST_UNITS))
                .unwrap_or(hidden.to_vec()),
            activation: section.get("activation", ActivationKind::Relu),
            dropout: section.get_if("dropout", 0.0, below(0.0, 1.0)),
            batch_norm: section.get("batch_norm", false),
        }
    }
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
    /// What surrounds the image.
    pub padding: Padding,
    /// Side of the max-pooling window; 1 for none.
    pub pool: usize,
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

/// How an image is read as a sequence, and by what.
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
