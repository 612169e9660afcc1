//! Every kind of model as modules of layers, with the names PyTorch would give them.
//!
//! The names are a file format: `features.0.weight`, `lstm.weight_ih_l0`, `classifier.1.bias`. They are
//! those of a module with `nn.Sequential` parts called features and classifier, and a recurrent part
//! called by its kind; weights saved under them load into such a module with `load_state_dict`.

use crate::config::model::{Block, Dense, LayerConfig, ModelKind, RecurrentConfig, RnnSizes};

use super::layers::is_monotonic;

/// A layer with the key of the experiment to blame for it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedLayer {
    /// Key in the experiment.
    pub key: String,
    /// What it is.
    pub layer: LayerConfig,
}

impl KeyedLayer {
    fn new(key: impl Into<String>, layer: LayerConfig) -> KeyedLayer {
        let key = key.into();
        KeyedLayer { key, layer }
    }

    /// The layers of the list that stands under `key`.
    pub fn list(key: &str, layers: &[LayerConfig]) -> Vec<KeyedLayer> {
        let keyed = |(index, layer): (usize, &LayerConfig)| {
            KeyedLayer::new(format!("{key}.{index}"), layer.clone())
        };
        layers.iter().enumerate().map(keyed).collect()
    }
}

/// A member of the whole model.
#[derive(Debug, Clone, PartialEq)]
pub enum Module {
    /// A layer by itself.
    Single(KeyedLayer),
    /// An `nn.Sequential`, whose members are called 0, 1 and so on.
    Sequential(Vec<KeyedLayer>),
}

/// The members of a kind by name, first to last. The last `Linear` has as many units as the classes need.
pub fn expand(kind: &ModelKind) -> Vec<(&'static str, Module)> {
    let flatten = KeyedLayer::new("model.kind", LayerConfig::Flatten {});
    match kind {
        ModelKind::Ann(dense) | ModelKind::Dnn(dense) => {
            let classifier = [vec![flatten], head(dense, false)].concat();
            vec![("classifier", Module::Sequential(classifier))]
        }
        ModelKind::Cnn {
            blocks,
            head: dense,
        } => {
            let features = blocks.iter().enumerate();
            let features = features.flat_map(|(index, block)| convolution(index, block, dense));
            let classifier = [vec![flatten], head(dense, true)].concat();
            vec![
                ("features", Module::Sequential(features.collect())),
                ("classifier", Module::Sequential(classifier)),
            ]
        }
        ModelKind::Rnn {
            nonlinearity,
            recurrent,
        } => {
            let layer = LayerConfig::Rnn {
                nonlinearity: *nonlinearity,
                cells: cells(recurrent),
            };
            sequence(recurrent, "rnn", layer)
        }
        ModelKind::Lstm(recurrent) => {
            sequence(recurrent, "lstm", LayerConfig::Lstm(cells(recurrent)))
        }
        ModelKind::Gru(recurrent) => sequence(recurrent, "gru", LayerConfig::Gru(cells(recurrent))),
        ModelKind::Layers { layers } => {
            let layers = KeyedLayer::list("model.layers", layers);
            vec![("layers", Module::Sequential(layers))]
        }
    }
}

/// A convolution with what belongs to it. Max pooling comes before an activation that it commutes with.
fn convolution(index: usize, block: &Block, dense: &Dense) -> Vec<KeyedLayer> {
    let own = format!("model.blocks.{index}");
    let mut layers = vec![KeyedLayer::new(
        own.as_str(),
        LayerConfig::Conv2d(block.convolution),
    )];
    if dense.batch_norm {
        layers.push(KeyedLayer::new(own.as_str(), LayerConfig::BatchNorm {}));
    }
    let activation = LayerConfig::Activation {
        function: dense.activation,
    };
    let pool = (block.pool > 1).then_some(LayerConfig::MaxPool2d { size: block.pool });
    let both = if is_monotonic(dense.activation) {
        [pool, Some(activation)]
    } else {
        [Some(activation), pool]
    };
    let pooled = both.into_iter().flatten();
    layers.extend(pooled.map(|layer| KeyedLayer::new(format!("{own}.pool"), layer)));
    layers
}

/// Hidden layers and the last one. `drop_first` puts dropout before the first of them too.
fn head(dense: &Dense, drop_first: bool) -> Vec<KeyedLayer> {
    let mut layers = Vec::new();
    let dropout = (dense.dropout > 0.0)
        .then(|| KeyedLayer::new("model.dropout", LayerConfig::Dropout { p: dense.dropout }));
    layers.extend(dropout.clone().filter(|_| drop_first));
    for (index, &units) in dense.hidden.iter().enumerate() {
        let keyed = |layer| KeyedLayer::new(format!("model.hidden.{index}"), layer);
        layers.push(keyed(LayerConfig::Linear { units: Some(units) }));
        if dense.batch_norm {
            layers.push(keyed(LayerConfig::BatchNorm {}));
        }
        layers.push(keyed(LayerConfig::Activation {
            function: dense.activation,
        }));
        layers.extend(dropout.clone());
    }
    let last = LayerConfig::Linear { units: None };
    layers.push(KeyedLayer::new("model.hidden", last));
    layers
}

fn cells(recurrent: &RecurrentConfig) -> RnnSizes {
    RnnSizes {
        hidden_size: recurrent.hidden_size,
        num_layers: recurrent.num_layers,
        bidirectional: recurrent.bidirectional,
        dropout: recurrent.head.dropout,
    }
}

fn sequence(
    recurrent: &RecurrentConfig,
    name: &'static str,
    layer: LayerConfig,
) -> Vec<(&'static str, Module)> {
    let RecurrentConfig {
        sequence,
        patch_px,
        pooling,
        ..
    } = *recurrent;
    let single = |key: &str, layer| Module::Single(KeyedLayer::new(key, layer));
    vec![
        (
            "steps",
            single(
                "model.sequence",
                LayerConfig::ToSequence { sequence, patch_px },
            ),
        ),
        (name, single("model.hidden_size", layer)),
        (
            "pool",
            single("model.pooling", LayerConfig::PoolTime { pooling }),
        ),
        (
            "classifier",
            Module::Sequential(head(&recurrent.head, true)),
        ),
    ]
}
