//! The `model` section: a kind with its settings, or an explicit list of layers.

mod init;
mod layer;

use serde::Serialize;

pub use init::{BiasLaw, CustomInit, InitConfig, NamedInit, WeightInit};
pub use layer::{
    ActivationKind, ConvConfig, LayerConfig, Nonlinearity, Padding, Pooling, RnnSizes, Sequence,
};

use super::declare::{keys, kinds};
use super::entry::Entry;
use super::key::{Kind, Kinds, Rule, Shape};
use super::section::{Section, Slot};
use super::setting::words;
use layer::{MOST_LAYERS, MOST_PIXELS, MOST_UNITS};

/// Everything about the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConfig {
    /// The kind of network with its settings.
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

kinds! {
    /// The kinds of networks, each with its own settings.
    ModelKind {
        /// Pixels, hidden layers, classes. Without hidden layers: softmax regression.
        "ann" Ann(Dense; &[64]),
        /// The same with two hidden layers or more.
        "dnn" Dnn(Dense; &[128, 64]),
        /// Blocks of convolution, then hidden layers.
        "cnn" Cnn {
            /// Convolution blocks, first to last.
            blocks: Vec<Block> [= vec![Block::usual(16), Block::usual(32)]; "[{filters: 16}, {filters: 32}]"],
            /// What follows them.
            #[serde(flatten)]
            head: Dense [flatten with &[64]],
        },
        /// The image read as a sequence by a plain recurrent network.
        "rnn" Rnn {
            /// The function inside each step.
            nonlinearity: Nonlinearity [= Nonlinearity::Tanh],
            /// Settings shared with lstm and gru.
            #[serde(flatten)]
            recurrent: RecurrentConfig [flatten],
        },
        /// The same with long short-term memory.
        "lstm" Lstm(RecurrentConfig),
        /// The same with gated recurrent units.
        "gru" Gru(RecurrentConfig),
        /// The layers as listed.
        "layers" Layers {
            /// First to last; the last must give one number per class.
            layers: Vec<LayerConfig> [needs "a list such as [{kind: flatten}, {kind: linear}]", FILLED],
        },
    }
    check(kind, section) {
        if let ModelKind::Cnn { blocks, .. } = kind
            && blocks.is_empty()
        {
            let message = "a cnn has at least one block; use kind: ann for a network without convolutions";
            section.wrong("blocks", message.to_owned());
        }
        if let ModelKind::Dnn(dense) = kind
            && dense.hidden.len() < 2
        {
            let message = "a dnn has at least two hidden layers; use kind: ann for fewer";
            section.wrong("hidden", message.to_owned());
        }
        check_effects(kind, section);
    }
}

impl ModelConfig {
    /// The kinds of networks.
    pub(super) const KINDS: Kinds = Kinds {
        name: "ModelConfig",
        all: ModelConfig::declared,
        ..ModelKind::KINDS
    };

    /// The kinds of networks, each with the keys that all have.
    fn declared() -> Vec<Kind> {
        let mut kinds = ModelKind::declared();
        for kind in &mut kinds {
            kind.keys.extend(ModelCommon::declared());
        }
        kinds
    }
}

impl Entry for ModelConfig {
    fn shape(_: Rule) -> Shape {
        Shape::Kinds(ModelConfig::KINDS)
    }

    fn read(slot: Slot, _: Rule) -> Option<ModelConfig> {
        let mut section = slot.section();
        let kind = ModelKind::of(&mut section);
        let ModelCommon { output, init } = ModelCommon::of(&mut section);
        Some(ModelConfig {
            kind: kind.unwrap_or(ModelKind::Layers { layers: Vec::new() }),
            output,
            init,
        })
    }
}

keys! {
    /// What all networks have.
    ModelCommon {
        /// What the last layer computes.
        output: Output [= Output::Classes],
        /// Weights before the first step.
        init: InitConfig [= InitConfig::Named(NamedInit::Pytorch)],
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
            "applies to hidden layers, and model.hidden is empty; add some, or remove this key";
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

keys! {
    /// Fully connected layers.
    Dense(usual_hidden: &[usize]) {
        /// Units of each hidden layer.
        hidden: Vec<usize> [= usual_hidden.to_vec(), within(1, MOST_UNITS)],
        /// What follows each hidden layer (and each convolution).
        activation: ActivationKind [= ActivationKind::Relu],
        /// Share of numbers dropped after each hidden layer in training.
        dropout: f64 [= 0.0, below(0.0, 1.0)] resume Branch,
        /// Whether batch normalisation stands before each activation.
        batch_norm: bool [= false],
    }
}

keys! {
    /// One convolution with what belongs to it.
    Block {
        /// The convolution itself.
        #[serde(flatten)]
        convolution: ConvConfig [flatten],
        /// Side of the max-pooling window; 1 for none.
        pool: usize [= 2, within(1, MOST_PIXELS)] unit "px",
    }
}

impl Block {
    fn usual(filters: usize) -> Block {
        let convolution = ConvConfig {
            filters,
            kernel: 3,
            stride: 1,
            padding: Padding::Same,
            groups: 1,
            bias: true,
        };
        Block {
            convolution,
            pool: 2,
        }
    }
}

keys! {
    /// How an image is read as a sequence, and by what.
    RecurrentConfig {
        /// What one step sees.
        sequence: Sequence [= Sequence::Rows],
        /// Side of a patch, for `sequence: patches`.
        #[serde(skip_serializing_if = "Option::is_none")]
        patch_px: Option<usize> [if sequence == Sequence::Patches; = 8, within(1, MOST_PIXELS)] unit "px",
        /// Numbers remembered per layer and direction.
        hidden_size: usize [= 64, within(1, MOST_UNITS)],
        /// Layers on top of each other.
        num_layers: usize [= 1, within(1, MOST_LAYERS)],
        /// Whether a second network reads backwards.
        bidirectional: bool [= false],
        /// What is kept of all steps.
        pooling: Pooling [= Pooling::Last],
        /// Fully connected layers after it; their dropout also stands between recurrent layers and before the first of them.
        #[serde(flatten)]
        head: Dense [flatten with &[]],
    }
}
