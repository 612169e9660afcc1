//! ONNX, opset 17: the graph that layers describe, as protocol buffers, with the card in its metadata.
//!
//! Field numbers: github.com/onnx/onnx/blob/main/onnx/onnx.proto.

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};
use tract_onnx::pb::{ModelProto, tensor_shape_proto, type_proto};

use super::card::{Card, Input};
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

/// Makes sure that a graph is of the kind [`write`] writes where tract does not look: it takes any declared input for the
/// one it is given, and passes over most attributes of recurrent nodes, so that it would agree with itself and with
/// nobody else.
///
/// # Errors
/// What is unlike the graphs that signet writes.
pub fn check(model: &ModelProto, card: &Card) -> Result<()> {
    let opset: Vec<(&str, i64)> = model
        .opset_import
        .iter()
        .map(|opset| (opset.domain.as_str(), opset.version))
        .collect();
    ensure!(
        opset == [("", OPSET as i64)] && model.ir_version <= IR_VERSION as i64,
        "its operator set or format is not the one that signet writes"
    );
    let graph = model.graph.as_ref().context("it has no graph")?;
    let Input {
        channels,
        height,
        width,
        ..
    } = card.input;
    let sizes = [
        (
            &graph.input,
            vec![channels as i64, height as i64, width as i64],
        ),
        (&graph.output, vec![card.classes.len() as i64]),
    ];
    for (values, expected) in sizes {
        let declared = match values.as_slice() {
            [value] => value.r#type.as_ref().and_then(|kind| kind.value.as_ref()),
            _ => None,
        };
        let Some(type_proto::Value::TensorType(tensor)) = declared else {
            bail!("it has not one input and one output");
        };
        let dimensions = tensor
            .shape
            .iter()
            .flat_map(|shape| &shape.dim)
            .map(|dim| &dim.value);
        let dimensions: Vec<_> = dimensions.collect();
        let free = matches!(
            dimensions.first(),
            Some(Some(tensor_shape_proto::dimension::Value::DimParam(_)))
        );
        let fixed = dimensions.iter().skip(1).map(|dim| match dim {
            Some(tensor_shape_proto::dimension::Value::DimValue(size)) => *size,
            _ => -1,
        });
        ensure!(
            free && fixed.eq(expected) && tensor.elem_type as u64 == FLOAT,
            "its declared input or output is not that of its card"
        );
    }
    let size = |name: &str| {
        let held = graph.initializer.iter().find(|tensor| tensor.name == name);
        held.map_or(&[][..], |tensor| &tensor.dims[..])
    };
    for node in &graph.node {
        let known: &[&str] = match node.op_type.as_str() {
            "RNN" => &["direction", "hidden_size", "activations"],
            "LSTM" => &["direction", "hidden_size"],
            "GRU" => &["direction", "hidden_size", "linear_before_reset"],
            "BatchNormalization" => &["epsilon", "momentum"],
            "Conv" => &["kernel_shape", "strides", "pads", "dilations", "group"],
            "MaxPool" => &["kernel_shape", "strides", "pads", "dilations"],
            _ => continue,
        };
        let unexpected = node
            .attribute
            .iter()
            .find(|attribute| !known.contains(&attribute.name.as_str()));
        if let Some(unexpected) = unexpected {
            bail!(
                "its {} has the attribute {}, which signet does not write",
                node.op_type,
                unexpected.name
            );
        }
        if !["RNN", "LSTM", "GRU"].contains(&node.op_type.as_str()) {
            continue;
        }
        let attribute = |name: &str| {
            node.attribute
                .iter()
                .find(|attribute| attribute.name == name)
        };
        let directions = match attribute("direction").map(|attribute| attribute.s.as_slice()) {
            None | Some(b"forward") => 1,
            Some(b"bidirectional") => 2,
            _ => 0,
        };
        let words = attribute("activations").map_or(&[][..], |attribute| &attribute.strings[..]);
        let plain = words.iter().all(|word| {
            word == words.first().unwrap_or(word) && (word == b"Tanh" || word == b"Relu")
        });
        let [_, w, r, ..] = node.input.as_slice() else {
            bail!("its {} has no weights", node.op_type);
        };
        let hidden = attribute("hidden_size").map(|attribute| attribute.i);
        ensure!(
            plain && size(w).first() == Some(&directions) && size(r).get(2).copied() == hidden,
            "its {} is not as signet writes it: direction, hidden_size, activations and weights do not agree",
            node.op_type
        );
    }
    Ok(())
}
