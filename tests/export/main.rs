//! The promise of exporting: an artefact computes what the run's model computes, or it is not left behind.

mod faithful;
mod forgeries;
mod model_card;
mod prediction;
mod runtime;
#[path = "../support/mod.rs"]
mod support;
mod trees;

use support::Workshop;

/// A model of every kind, with what the kinds can do: several layers, both directions, every pooling,
/// every way to read an image, every activation, and residuals.
const MODELS: [(&str, &str); 12] = [
    ("binary", "{kind: ann, hidden: [], output: binary}"),
    (
        "ann",
        "{kind: ann, hidden: [12], activation: tanh, dropout: 0.2}",
    ),
    (
        "dnn",
        "{kind: dnn, hidden: [12, 8], activation: silu, batch_norm: true}",
    ),
    (
        "cnn",
        "{kind: cnn, blocks: [{filters: 4, kernel: 5}, {filters: 6, stride: 2, padding: valid}], hidden: [8], batch_norm: true, dropout: 0.3}",
    ),
    (
        "gelu",
        "{kind: cnn, blocks: [{filters: 4, pool: 4}, {filters: 6, groups: 2, bias: false}], activation: gelu, hidden: [8]}",
    ),
    (
        "rnn",
        "{kind: rnn, hidden_size: 6, num_layers: 2, dropout: 0.2}",
    ),
    (
        "rnn-relu",
        "{kind: rnn, nonlinearity: relu, hidden_size: 6, bidirectional: true, activation: leaky_relu, hidden: [5]}",
    ),
    (
        "lstm",
        "{kind: lstm, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: columns, pooling: max, dropout: 0.2}",
    ),
    (
        "gru",
        "{kind: gru, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: patches, patch_px: 4, pooling: mean}",
    ),
    (
        "gru-last",
        "{kind: gru, hidden_size: 6, activation: sigmoid, hidden: [5]}",
    ),
    (
        "layers",
        "{kind: layers, layers: [{kind: conv2d, filters: 3}, {kind: activation, function: relu}, {kind: max_pool2d, size: 2}, {kind: to_sequence, sequence: rows}, {kind: lstm, hidden_size: 5}, {kind: gru, hidden_size: 4}, {kind: flatten}, {kind: linear}]}",
    ),
    (
        "residual",
        "{kind: layers, layers: [{kind: conv2d, filters: 4, bias: false}, {kind: batch_norm}, {kind: activation}, {kind: residual, body: [{kind: conv2d, filters: 4, groups: 2, bias: false}, {kind: batch_norm}, {kind: activation}, {kind: dropout, p: 0.1}]}, {kind: residual, body: [{kind: conv2d, filters: 8, stride: 2, bias: false}, {kind: batch_norm}], shortcut: [{kind: avg_pool2d}, {kind: conv2d, filters: 8, kernel: 1}]}, {kind: residual, body: [{kind: conv2d, filters: 12, kernel: 1, stride: 2, groups: 4}], shortcut: [{kind: conv2d, filters: 12, kernel: 1, stride: 2, bias: false}, {kind: batch_norm}]}, {kind: global_avg_pool}, {kind: flatten}, {kind: linear}]}",
    ),
];

fn config(model: &str) -> String {
    format!(
        "version: 1\nname: small\nthreads: 1\ndevice: cpu\n\
         data: {{source: {{kind: class_folders, root: data}}, image: {{height: 16, width: 16}}, split: {{train: 0.5, val: 0.2, test: 0.3}}}}\n\
         model: {model}\n\
         train: {{epochs: 2, batch_size: 8, optimizer: {{kind: adamw, lr: 0.01}}}}\n"
    )
}

/// A trained run `r` on images in folders.
fn trained(model: &str) -> Workshop {
    let workshop = Workshop::with_folders(30);
    workshop.write("own.yaml", config(model));
    workshop.run("r").train();
    workshop
}

const ALL: [&str; 2] = ["--format", "torchscript,onnx,safetensors"];
