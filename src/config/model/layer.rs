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
    /// Fully connected.
    Linear {
        /// Numbers that come out; null is as many as the classes need.
        units: Option<usize>,
    },
    /// Two-dimensional convolution.
    Conv2d(ConvConfig),
    /// Batch normalisation, of channels or of numbers.
    BatchNorm {},
    /// Largest of each window.
    MaxPool2d {
        /// Side of the square window, and its stride.
        size: usize,
    },
    /// Mean of each window.
    AvgPool2d {
        /// Side of the square window, and its stride.
        size: usize,
    },
    /// Mean of each channel: `[C, H, W]` becomes `[C, 1, 1]`, as in `nn.AdaptiveAvgPool2d(1)`.
    GlobalAvgPool {},
    /// An activation.
    Activation {
        /// Which.
        function: ActivationKind,
    },
    /// Zeroes a share of all numbers in training.
    Dropout {
        /// The share.
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
        /// Sizes.
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
    /// Adds what comes in, or what the shortcut makes of it, to what the body makes of it.
    Residual {
        /// Layers, first to last.
        body: Vec<LayerConfig>,
        /// Layers that give the shape that the body gives; without them what comes in has that shape.
        #[serde(skip_serializing_if = "Option::is_none")]
        shortcut: Option<Vec<LayerConfig>>,
    },
}

/// The words of all kinds of layers.
pub const LAYER_KINDS: [&str; 15] = [
    "flatten",
    "linear",
    "conv2d",
    "batch_norm",
    "max_pool2d",
    "avg_pool2d",
    "global_avg_pool",
    "activation",
    "dropout",
    "to_sequence",
    "rnn",
    "lstm",
    "gru",
    "pool_time",
    "residual",
];

impl LayerConfig {
    /// The list under `key`, which must not be empty; `example` shows one.
    pub(super) fn read_all(
        section: &mut Section,
        key: &'static str,
        example: &str,
    ) -> Vec<LayerConfig> {
        if !section.holds(key) {
            section.wrong(key, format!("missing: a list such as {example}"));
        }
        LayerConfig::read_optional(section, key, example).unwrap_or_default()
    }

    /// As [`LayerConfig::read_all`], or nothing if there is no such key.
    fn read_optional(
        section: &mut Section,
        key: &'static str,
        example: &str,
    ) -> Option<Vec<LayerConfig>> {
        let layers = section.sections(key)?;
        if layers.is_empty() {
            section.wrong(key, format!("empty: give a list such as {example}"));
        }
        Some(layers.into_iter().filter_map(LayerConfig::read).collect())
    }

    fn read(mut section: Section) -> Option<LayerConfig> {
        Some(match section.kind(&LAYER_KINDS, None)? {
            "flatten" => LayerConfig::Flatten {},
            "linear" => LayerConfig::Linear {
                units: section.optional_if("units", whole(1, MOST_UNITS)),
            },
            "conv2d" => LayerConfig::Conv2d(ConvConfig::read(&mut section)),
            "batch_norm" => LayerConfig::BatchNorm {},
            "max_pool2d" => LayerConfig::MaxPool2d {
                size: section.get_if("size", 2, whole(1, MOST_PIXELS)),
            },
            "avg_pool2d" => LayerConfig::AvgPool2d {
                size: section.get_if("size", 2, whole(1, MOST_PIXELS)),
            },
            "global_avg_pool" => LayerConfig::GlobalAvgPool {},
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
            "residual" => LayerConfig::Residual {
                body: LayerConfig::read_all(&mut section, "body", "[{kind: conv2d}]"),
                shortcut: LayerConfig::read_optional(
                    &mut section,
                    "shortcut",
                    "[{kind: conv2d, kernel: 1}], or leave it out",
                ),
            },
            _ => LayerConfig::PoolTime {
                pooling: section.get("pooling", Pooling::Last),
            },
        })
    }
}

/// A convolution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ConvConfig {
    /// Channels that come out.
    pub filters: usize,
    /// Side of the square kernel in pixels.
    pub kernel: usize,
    /// Pixels between neighbouring positions.
    pub stride: usize,
    /// What surrounds the image.
    pub padding: Padding,
    /// Equal parts of the channels, in and out, each with filters of its own; as many as there are channels make a
    /// depthwise convolution.
    pub groups: usize,
    /// Whether each filter adds a number of its own; batch normalisation behind it makes that useless.
    pub bias: bool,
}

impl ConvConfig {
    fn read(section: &mut Section) -> ConvConfig {
        let config = ConvConfig {
            filters: section.get_if("filters", 16, whole(1, MOST_UNITS)),
            kernel: section.get_if("kernel", 3, whole(1, MOST_PIXELS)),
            stride: section.get_if("stride", 1, whole(1, MOST_PIXELS)),
            padding: section.get("padding", Padding::Same),
            groups: section.get_if("groups", 1, whole(1, MOST_UNITS)),
            bias: section.get("bias", true),
        };
        let ConvConfig {
            filters, groups, ..
        } = config;
        if filters % groups != 0 {
            let message =
                format!("{groups} do not divide the {filters} filters; use a divisor, such as 1");
            section.wrong("groups", message);
        }
        config
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
            let message = "stands between recurrent layers, and there is one; add {kind: dropout} behind it instead";
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
        /// Nothing.
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
