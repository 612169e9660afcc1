//! ONNX, opset 17: the graph that layers describe, as protocol buffers, with the card in its metadata.
//!
//! Field numbers: github.com/onnx/onnx/blob/main/onnx/onnx.proto.

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

use super::card::Card;
use crate::model::graph::{Attribute, Graph, OnnxNode};
use crate::model::network::Network;
use crate::protobuf::{bytes, float, number, text};
use crate::run::checkpoint::bytes_of;

/// The name of what goes in.
const INPUT: &str = "input";

/// The name of what comes out.
const OUTPUT: &str = "logits";

/// The key of the card in `metadata_props`.
pub const CARD: &str = "signet";

const IR_VERSION: u64 = 8;
const OPSET: u64 = 17;

/// `TensorProto.DataType`.
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// The model of `network` with its `card`.
///
/// # Errors
/// A tensor of a type that no layer has.
pub fn write(network: &Network, card: &Card) -> Result<Vec<u8>> {
    let mut graph = Graph::default();
    let x = normalise(&mut graph, card);
    let tensors: Vec<Tensor> = network
        .weights()
        .iter()
        .map(|weight| weight.tensor.detach().to_device(Device::Cpu))
        .collect();
    let x = network.plan().root.onnx(&mut graph, &tensors, &x);
    graph.nodes.push(OnnxNode {
        operator: "Identity",
        inputs: vec![x],
        outputs: vec![OUTPUT.to_owned()],
        attributes: Vec::new(),
    });
    Ok([
        number(1, IR_VERSION),
        text(2, "signet"),
        text(3, env!("CARGO_PKG_VERSION")),
        bytes(7, &graph_proto(&graph, card)?),
        bytes(8, &number(2, OPSET)),
        bytes(14, &[text(1, CARD), text(2, &card.to_json()?)].concat()),
    ]
    .concat())
}

/// Shifts and scales pixels by the figures of the training part.
fn normalise(graph: &mut Graph, card: &Card) -> String {
    let mut figures = |name: &str, figures: &[f64]| {
        let single: Vec<f32> = figures.iter().map(|&figure| figure as f32).collect();
        let values = Tensor::from_slice(&single).view([1, -1, 1, 1]);
        graph.tensor(format!("normalization.{name}"), &values)
    };
    let mean = figures("mean", &card.normalization.mean);
    let std = figures("std", &card.normalization.std);
    let shifted = graph.node("Sub", &[INPUT, &mean], Vec::new());
    graph.node("Div", &[&shifted, &std], Vec::new())
}

fn graph_proto(graph: &Graph, card: &Card) -> Result<Vec<u8>> {
    let mut proto = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        proto.extend(bytes(1, &node_proto(node, index)));
    }
    proto.extend(text(2, &card.name));
    for (name, tensor) in &graph.tensors {
        let tensor = tensor_proto(name, tensor).with_context(|| name.clone())?;
        proto.extend(bytes(5, &tensor));
    }
    let input = &card.input;
    let image = [input.channels, input.height, input.width];
    proto.extend(bytes(11, &value_proto(INPUT, &image)));
    proto.extend(bytes(12, &value_proto(OUTPUT, &[card.classes.len()])));
    Ok(proto)
}

fn node_proto(node: &OnnxNode, index: usize) -> Vec<u8> {
    let inputs = node.inputs.iter().flat_map(|name| text(1, name));
    let outputs = node.outputs.iter().flat_map(|name| text(2, name));
    let mut proto: Vec<u8> = inputs.chain(outputs).collect();
    proto.extend(text(3, &format!("{}_{index}", node.operator)));
    proto.extend(text(4, node.operator));
    for (name, value) in &node.attributes {
        let (kind, value) = match value {
            Attribute::Float(value) => (1, float(2, *value)),
            Attribute::Int(value) => (2, number(3, *value as u64)),
            Attribute::Text(value) => (3, text(4, value)),
            Attribute::Ints(values) => {
                let values = values.iter().flat_map(|value| number(8, *value as u64));
                (7, values.collect())
            }
            Attribute::Texts(values) => {
                let values = values.iter().flat_map(|value| text(9, value));
                (8, values.collect())
            }
        };
        let attribute = [text(1, name), value, number(20, kind)].concat();
        proto.extend(bytes(5, &attribute));
    }
    proto
}

fn tensor_proto(name: &str, tensor: &Tensor) -> Result<Vec<u8>> {
    let kind = match tensor.kind() {
        Kind::Int64 => INT64,
        _ => FLOAT,
    };
    let raw = bytes_of(tensor)?;
    let size = tensor.size().into_iter();
    let mut proto: Vec<u8> = size.flat_map(|n| number(1, n as u64)).collect();
    proto.extend(number(2, kind));
    proto.extend(text(8, name));
    proto.extend(bytes(9, &raw));
    Ok(proto)
}

/// A float32 value whose first dimension is the batch.
fn value_proto(name: &str, rest: &[usize]) -> Vec<u8> {
    let batch = bytes(1, &text(2, "batch"));
    let rest = rest.iter().flat_map(|&n| bytes(1, &number(1, n as u64)));
    let shape: Vec<u8> = batch.into_iter().chain(rest).collect();
    let tensor = [number(1, FLOAT), bytes(2, &shape)].concat();
    [text(1, name), bytes(2, &bytes(1, &tensor))].concat()
}
