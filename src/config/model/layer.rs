//! [`LayerConfig`], the one description of a layer in the project: the list of `kind: layers` is made of it, and every
//! other kind expands to it (`crate::model::kinds`).

use serde::Serialize;

use crate::config::section::Section;
use crate::config::setting::{below, whole, words};

/// One layer, as an experiment describes it. Input sizes are never given: they follow from the image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LayerConfig {
    /// Everything in one row.
    Flatten {},
    /// `torch.nn.Linear`: [B, n] to [B, units].
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
        /// What surrounds the image.
        padding: Padding,
    },
    /// Batch normalisation, of channels or of numbers.
    BatchNorm {},
    /// Largest of each window.
    MaxPool2d {
        /// Side of the square window, and its stride.
        size: usize,
    },
    /// An activation function, applied to each number.
    Activation {
        /// The function, `relu` by default.
        function: ActivationKind,
    },
    /// Zeroes a share of all numbers in training.
    Dropout {
        /// Probability that a number is set to 0 in training, 0 to below 1.
        p: f64,
    },
    /// An image becomes a sequence of steps.
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
        /// Sizes, number of layers and directions.
        #[serde(flatten)]
        cells: RnnSizes,
    },
    /// Long short-term memory.
    Lstm(RnnSizes),
    /// Gated recurrent units.
    Gru(RnnSizes),
    /// A sequence becomes one row of numbers.
    PoolTime {
        /// What is kept.
        pooling: Pooling,
    },
}

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

impl LayerConfig {
    pub(super) fn read_all(section: &mut Section) -> Vec<LayerConfig> {
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
                function: section.get("function", ActivationKind::Relu),
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
                cells: RnnSizes::read(&mut section),
            },
            "lstm" => LayerConfig::Lstm(RnnSizes::read(&mut section)),
            "gru" => LayerConfig::Gru(RnnSizes::read(&mut section)),
            _ => LayerConfig::PoolTime {
                pooling: section.get("pooling", Pooling::Last),
            },
        })
    }
}

/// Sizes of a stack of recurrent layers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RnnSizes {
    /// Numbers remembered per layer and direction.
    pub hidden_size: usize,
    /// Layers on top of each other.
    pub num_layers: usize,
    /// Whether a second network reads backwards.
    pub bidirectional: bool,
    /// Share dropped between layers in training.
    pub dropout: f64,
}

impl RnnSizes {
    fn read(section: &mut Section) -> RnnSizes {
        let cells = RnnSizes {
            hidden_size: section.get_if("hidden_size", 64, whole(1, MOST_UNITS)),
            num_layers: section.get_if("num_layers", 1, whole(1, MOST_LAYERS)),
            bidirectional: section.get("bidirectional", false),
            dropout: section.get_if("dropout", 0.0, below(0.0, 1.0)),
        };
        if cells.num_layers == 1 && cells.dropout > 0.0 {
            let message = "applies between recurrent layers, and there is only one; add {kind: dropout} after it instead";
            section.wrong("dropout", message.to_owned());
        }
        cells
    }
}

words! {
    /// An activation function, as in `torch.nn`.
    ActivationKind {
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
    /// What surrounds an image before a convolution.
    Padding {
        /// As many zeros as keep the size at stride 1; needs an odd kernel.
        Same = "same",
        /// No padding: at stride 1 the output is smaller by kernel - 1.
        Valid = "valid",
    }
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

/// The side of a patch, a key that exists for `sequence: patches` alone.
pub(super) fn read_patch(section: &mut Section, sequence: Sequence) -> Option<usize> {
    (sequence == Sequence::Patches).then(|| section.get_if("patch_px", 8, whole(1, MOST_PIXELS)))
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

/// The most units, filters or cells of one layer.
pub(super) const MOST_UNITS: usize = 1_000_000;

/// The largest kernel, stride, window or patch, in pixels: the largest image.
pub(super) const MOST_PIXELS: usize = 4096;

/// The most recurrent layers on top of each other.
pub(super) const MOST_LAYERS: usize = 100;
