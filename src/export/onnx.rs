//! ONNX, opset 17: the graph that layers describe, in the messages of `onnx_proto`, with the card in its metadata.

use anyhow::{Context, Result};
use prost::Message;
use tch::{Device, Kind, Tensor};

use super::card::Card;
use super::onnx_proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto,
    TypeProto, ValueInfoProto,
};
use crate::model::graph::{Attribute, Graph, OnnxNode};
use crate::model::network::Network;
use crate::run::checkpoint::bytes_of;

/// The name of what goes in.
pub(super) const INPUT: &str = "input";

/// The name of what comes out.
pub(super) const OUTPUT: &str = "logits";

/// The key of the card in `metadata_props`.
pub const CARD: &str = "signet";

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// The bytes of [`model`].
///
/// # Errors
/// As there.
pub fn write(network: &Network, card: &Card) -> Result<Vec<u8>> {
    Ok(model(network, card)?.encode_to_vec())
}

/// The model of `network` with its `card`.
///
/// # Errors
/// A tensor of a type that no layer has.
pub fn model(network: &Network, card: &Card) -> Result<ModelProto> {
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
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "signet".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph_proto(&graph, card)?),
        opset_import: vec![OperatorSetIdProto {
            version: OPSET,
            ..OperatorSetIdProto::default()
        }],
        metadata_props: vec![StringStringEntryProto {
            key: CARD.to_owned(),
            value: card.to_json()?,
        }],
        ..ModelProto::default()
    })
}

/// Shifts and scales pixels by the statistics of the training part.
fn normalise(graph: &mut Graph, card: &Card) -> String {
    let mut statistics = |name: &str, list: &[f64]| {
        let single: Vec<f32> = list.iter().map(|&number| number as f32).collect();
        let values = Tensor::from_slice(&single).view([1, -1, 1, 1]);
        graph.tensor(format!("normalization.{name}"), &values)
    };
    let mean = statistics("mean", &card.normalization.mean);
    let std = statistics("std", &card.normalization.std);
    let shifted = graph.node("Sub", &[INPUT, &mean], Vec::new());
    graph.node("Div", &[&shifted, &std], Vec::new())
}

fn graph_proto(graph: &Graph, card: &Card) -> Result<GraphProto> {
    let nodes = graph.nodes.iter().enumerate();
    let tensors = graph
        .tensors
        .iter()
        .map(|(name, tensor)| tensor_proto(name, tensor).with_context(|| name.clone()));
    let input = &card.input;
    let image = [input.channels, input.height, input.width];
    Ok(GraphProto {
        name: card.name.clone(),
        node: nodes.map(|(index, node)| node_proto(index, node)).collect(),
        initializer: tensors.collect::<Result<_>>()?,
        input: vec![value_proto(INPUT, &image)],
        output: vec![value_proto(OUTPUT, &[card.classes.len()])],
        ..GraphProto::default()
    })
}

fn node_proto(index: usize, node: &OnnxNode) -> NodeProto {
    let attributes = node.attributes.iter();
    NodeProto {
        name: format!("{}_{index}", node.operator),
        op_type: node.operator.to_owned(),
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        attribute: attributes
            .map(|(name, value)| attribute_proto(name, value))
            .collect(),
        ..NodeProto::default()
    }
}

fn attribute_proto(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto {
        name: name.to_owned(),
        ..AttributeProto::default()
    };
    let kind = match value {
        Attribute::Float(value) => {
            proto.f = *value;
            AttributeType::Float
        }
        Attribute::Int(value) => {
            proto.i = *value;
            AttributeType::Int
        }
        Attribute::Text(value) => {
            proto.s = value.as_bytes().to_vec();
            AttributeType::String
        }
        Attribute::Ints(values) => {
            proto.ints = values.clone();
            AttributeType::Ints
        }
        Attribute::Texts(values) => {
            proto.strings = values
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect();
            AttributeType::Strings
        }
    };
    proto.r#type = kind as i32;
    proto
}

fn tensor_proto(name: &str, tensor: &Tensor) -> Result<TensorProto> {
    let kind = match tensor.kind() {
        Kind::Int64 => DataType::Int64,
        _ => DataType::Float,
    };
    Ok(TensorProto {
        name: name.to_owned(),
        dims: tensor.size(),
        data_type: kind as i32,
        raw_data: bytes_of(tensor)?,
        ..TensorProto::default()
    })
}

/// A float32 value whose first dimension is the batch.
fn value_proto(name: &str, rest: &[usize]) -> ValueInfoProto {
    let batch = DimensionProto {
        dim_param: Some("batch".to_owned()),
        ..DimensionProto::default()
    };
    let rest = rest.iter().map(|&n| DimensionProto {
        dim_value: Some(n as i64),
        ..DimensionProto::default()
    });
    let tensor = TensorTypeProto {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: [batch].into_iter().chain(rest).collect(),
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
            ..TypeProto::default()
        }),
    }
}
