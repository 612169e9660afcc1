//! Every kind of model as a list of layers, with the names PyTorch would give them.
//!
//! The names are a file format: `features.0.weight`, `lstm.weight_ih_l0`, `classifier.1.bias`. They are
//! those of a module with `nn.Sequential` parts called features and classifier, and a recurrent part
//! called by its kind; weights saved under them load into such a module with `load_state_dict`.

use crate::config::model::{Dense, LayerConfig, ModelKind, RecurrentConfig, RnnSizes};

use super::layers::is_monotonic;

/// A layer with its place: PyTorch's dotted name, and the key of the experiment to blame for it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedLayer {
    /// Dotted name of the module.
    pub name: String,
    /// Key in the experiment.
    pub key: String,
    /// What it is.
    pub layer: LayerConfig,
}

/// A list under construction.
#[derive(Default)]
struct Entries(Vec<NamedLayer>);

impl Entries {
    /// A module outside any `nn.Sequential`.
    fn push(&mut self, name: &str, key: &str, layer: LayerConfig) {
        self.0.push(NamedLayer {
            name: name.to_owned(),
            key: key.to_owned(),
            layer,
        });
    }

    /// The next member of the `nn.Sequential` called `group`.
    fn push_in(&mut self, group: &str, key: &str, layer: LayerConfig) {
        let inside = |entry: &&NamedLayer| {
            entry
                .name
                .rsplit_once('.')
                .is_some_and(|(owner, _)| owner == group)
        };
        let index = self.0.iter().filter(inside).count();
        self.push(&format!("{group}.{index}"), key, layer);
    }
}

/// The layers of a kind, first to last. The last `Linear` has as many units as the classes need.
pub fn expand(kind: &ModelKind) -> Vec<NamedLayer> {
    let mut entries = Entries::default();
    match kind {
        ModelKind::Ann(dense) | ModelKind::Dnn(dense) => {
            entries.push_in("classifier", "model.kind", LayerConfig::Flatten {});
            head(&mut entries, dense, false);
        }
        ModelKind::Cnn {
            blocks,
            head: dense,
        } => {
            for (index, block) in blocks.iter().enumerate() {
                let mut push = |key: &str, layer| {
                    entries.push_in("features", &format!("model.blocks.{index}.{key}"), layer)
                };
                push(
                    "kernel",
                    LayerConfig::Conv2d {
                        filters: block.filters,
                        kernel: block.kernel,
                        stride: block.stride,
                        padding: block.padding,
                    },
                );
                if dense.batch_norm {
                    push("filters", LayerConfig::BatchNorm {});
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
                both.into_iter()
                    .flatten()
                    .for_each(|layer| push("pool", layer));
            }
            entries.push_in("classifier", "model.kind", LayerConfig::Flatten {});
            head(&mut entries, dense, true);
        }
        ModelKind::Rnn {
            nonlinearity,
            recurrent,
        } => {
            let cells = cells(recurrent);
            let layer = LayerConfig::Rnn {
                nonlinearity: *nonlinearity,
                cells,
            };
            sequence(&mut entries, recurrent, "rnn", layer);
        }
        ModelKind::Lstm(recurrent) => sequence(
            &mut entries,
            recurrent,
            "lstm",
            LayerConfig::Lstm(cells(recurrent)),
        ),
        ModelKind::Gru(recurrent) => sequence(
            &mut entries,
            recurrent,
            "gru",
            LayerConfig::Gru(cells(recurrent)),
        ),
        ModelKind::Layers { layers } => {
            for (index, layer) in layers.iter().enumerate() {
                entries.push_in("layers", &format!("model.layers.{index}"), layer.clone());
            }
        }
    }
    entries.0
}

/// Hidden layers and the last one. `drop_first` puts dropout before the first of them too.
fn head(entries: &mut Entries, dense: &Dense, drop_first: bool) {
    let mut push = |key: &str, layer| entries.push_in("classifier", key, layer);
    let dropout = (dense.dropout > 0.0).then_some(LayerConfig::Dropout { p: dense.dropout });
    if let (Some(dropout), true) = (&dropout, drop_first) {
        push("model.dropout", dropout.clone());
    }
    for (index, &units) in dense.hidden.iter().enumerate() {
        let key = format!("model.hidden.{index}");
        push(&key, LayerConfig::Linear { units: Some(units) });
        if dense.batch_norm {
            push(&key, LayerConfig::BatchNorm {});
        }
        push(
            &key,
            LayerConfig::Activation {
                function: dense.activation,
            },
        );
        if let Some(dropout) = &dropout {
            push("model.dropout", dropout.clone());
        }
    }
    push("model.hidden", LayerConfig::Linear { units: None });
}

fn cells(recurrent: &RecurrentConfig) -> RnnSizes {
    RnnSizes {
        hidden_size: recurrent.hidden_size,
        num_layers: recurrent.num_layers,
        bidirectional: recurrent.bidirectional,
        dropout: recurrent.head.dropout,
    }
}

fn sequence(entries: &mut Entries, recurrent: &RecurrentConfig, name: &str, layer: LayerConfig) {
    let RecurrentConfig {
        sequence,
        patch_px,
        pooling,
        ..
    } = *recurrent;
    entries.push(
        "steps",
        "model.sequence",
        LayerConfig::ToSequence { sequence, patch_px },
    );
    entries.push(name, "model.hidden_size", layer);
    entries.push("pool", "model.pooling", LayerConfig::PoolTime { pooling });
    head(entries, &recurrent.head, true);
}
