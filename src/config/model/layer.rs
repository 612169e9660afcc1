//! [`LayerConfig`], the one description of a layer in the project: the list of `kind: layers` is made of it, and every
//! other kind expands to it (`crate::model::kinds`).

use crate::config::declare::{keys, kinds};
use crate::config::setting::words;

kinds! {
    /// One layer, as an experiment describes it. Input sizes are never given: they follow from the image.
    LayerConfig {
        /// Everything in one row.
        "flatten" Flatten {},
        /// `torch.nn.Linear`: [B, n] to [B, units].
        "linear" Linear {
            /// Numbers that come out; null is as many as the classes need.
            units: Option<usize> [= None, within(1, MOST_UNITS)],
        },
        /// Two-dimensional convolution.
        "conv2d" Conv2d(ConvConfig),
        /// Batch normalisation, of channels or of numbers.
        "batch_norm" BatchNorm {},
        /// Largest of each window.
        "max_pool2d" MaxPool2d {
            /// Side of the square window, and its stride.
            size: usize [= 2, within(1, MOST_PIXELS)] unit "px",
        },
        /// Mean of each window.
        "avg_pool2d" AvgPool2d {
            /// Side of the square window, and its stride.
            size: usize [= 2, within(1, MOST_PIXELS)] unit "px",
        } since "0.3",
        /// Mean of each channel: `[C, H, W]` becomes `[C, 1, 1]`, as in `nn.AdaptiveAvgPool2d(1)`.
        "global_avg_pool" GlobalAvgPool {} since "0.3",
        /// An activation function, applied to each number.
        "activation" Activation {
            /// The function.
            function: ActivationKind [= ActivationKind::Relu],
        },
        /// Zeroes a share of all numbers in training.
        "dropout" Dropout {
            /// Probability that a number is set to 0 in training.
            p: f64 [= 0.5, below(0.0, 1.0)],
        },
        /// An image becomes a sequence of steps.
        "to_sequence" ToSequence {
            /// What one step sees.
            sequence: Sequence [= Sequence::Rows],
            /// Side of a patch, for `sequence: patches`.
            #[serde(skip_serializing_if = "Option::is_none")]
            patch_px: Option<usize> [if sequence == Sequence::Patches; = 8, within(1, MOST_PIXELS)] unit "px",
        },
        /// Plain recurrent layers.
        "rnn" Rnn {
            /// The function inside each step.
            nonlinearity: Nonlinearity [= Nonlinearity::Tanh],
            /// Sizes, number of layers and directions.
            #[serde(flatten)]
            cells: RnnSizes [flatten],
        },
        /// Long short-term memory.
        "lstm" Lstm(RnnSizes),
        /// Gated recurrent units.
        "gru" Gru(RnnSizes),
        /// A sequence becomes one row of numbers.
        "pool_time" PoolTime {
            /// What is kept.
            pooling: Pooling [= Pooling::Last],
        },
        /// Adds what comes in, or what the shortcut makes of it, to what the body makes of it.
        "residual" Residual {
            /// Layers, first to last.
            body: Vec<LayerConfig> [needs "a list such as [{kind: conv2d}]", FILLED],
            /// Layers that give the shape that the body gives; without them what comes in has that shape.
            #[serde(skip_serializing_if = "Option::is_none")]
            shortcut: Option<Vec<LayerConfig>> [= None, FILLED],
        } since "0.3",
    }
}

keys! {
    /// A convolution.
    #[derive(Copy)]
    ConvConfig {
        /// Channels that come out.
        filters: usize [= 16, within(1, MOST_UNITS)],
        /// Side of the square kernel.
        kernel: usize [= 3, within(1, MOST_PIXELS)] unit "px",
        /// Distance of neighbouring positions.
        stride: usize [= 1, within(1, MOST_PIXELS)] unit "px",
        /// What surrounds the image.
        padding: Padding [= Padding::Same],
        /// Equal parts of the channels, in and out, each with filters of its own; as many as there are channels make a
        /// depthwise convolution.
        groups: usize [= 1, within(1, MOST_UNITS)] since "0.3",
        /// Whether each filter adds a number of its own; batch normalisation behind it makes that useless.
        bias: bool [= true] since "0.3",
    }
    check(convolution, section) {
        let ConvConfig { filters, groups, .. } = convolution;
        if filters % groups != 0 {
            let message = format!("{groups} do not divide the {filters} filters; use a divisor, such as 1");
            section.wrong("groups", message);
        }
    }
}

keys! {
    /// Sizes of a stack of recurrent layers.
    #[derive(Copy)]
    RnnSizes {
        /// Numbers remembered per layer and direction.
        hidden_size: usize [= 64, within(1, MOST_UNITS)],
        /// Layers on top of each other.
        num_layers: usize [= 1, within(1, MOST_LAYERS)],
        /// Whether a second network reads backwards.
        bidirectional: bool [= false],
        /// Share dropped between layers in training.
        dropout: f64 [= 0.0, below(0.0, 1.0)],
    }
    check(cells, section) {
        if cells.num_layers == 1 && cells.dropout > 0.0 {
            let message = "applies between recurrent layers, and there is only one; add {kind: dropout} after it instead";
            section.wrong("dropout", message.to_owned());
        }
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
pub(super) const MOST_UNITS: u32 = 1_000_000;

/// The largest kernel, stride, window or patch, in pixels: the largest image.
pub(super) const MOST_PIXELS: u32 = 4096;

/// The most recurrent layers on top of each other.
pub(super) const MOST_LAYERS: u32 = 100;
