//! Whether an ONNX model is the one that signet writes for the experiment of its card, whatever its weights.
//!
//! A runtime takes any graph, and reads other files where a tensor says that its numbers lie there. So nothing of a
//! graph is left to it but numbers: operators, names, attributes and shapes must be those of signet's own graph. Names of
//! nodes, documentation and inferred shapes, which change nothing and which tools add, are free.

use anyhow::{Context, Result, bail, ensure};

use super::card::Card;
use super::onnx;
use super::onnx_proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use crate::model::layer::Role;

/// Holds `model` against the one that signet writes for the experiment of `card`.
///
/// # Errors
/// What is unlike it.
pub fn check(model: &ModelProto, card: &Card) -> Result<()> {
    let graph = model.graph.as_ref().context("it has no graph")?;
    check_numbers(graph, card)?;
    let own = onnx::model(&card.network()?, card)?;
    ensure!(
        model.opset_import == own.opset_import && model.ir_version <= own.ir_version,
        "its operator set or format is not the one that signet writes"
    );
    ensure!(
        model.functions.is_empty()
            && model.training_info.is_empty()
            && model.configuration.is_empty(),
        "it brings functions, training or devices, which signet does not write"
    );
    let own = own.graph.context("signet's own model has no graph")?;
    for (values, expected) in [(&graph.input, &own.input), (&graph.output, &own.output)] {
        ensure!(
            values
                .iter()
                .map(declared)
                .eq(expected.iter().map(declared)),
            "its declared input or output is not that of its card"
        );
    }
    check_tensors(graph, &own)?;
    ensure!(
        graph.node.len() == own.node.len(),
        "it has {} nodes, but signet writes {} for its experiment",
        graph.node.len(),
        own.node.len()
    );
    let mut nodes = graph.node.iter().zip(&own.node).enumerate();
    nodes.try_for_each(|(index, (node, own))| check_node(index, node, own))
}

/// Makes sure, before memory is taken for layers as large as a card may claim, that the file holds their numbers.
fn check_numbers(graph: &GraphProto, card: &Card) -> Result<()> {
    let held = graph.initializer.iter();
    let held: usize = held
        .map(|tensor| tensor.raw_data.len() / 4 + tensor.float_data.len())
        .sum();
    let floats = card.plan()?.parameters().into_iter();
    let floats = floats.filter(|(_, parameter)| parameter.role != Role::Counter);
    let claimed: usize = floats.map(|(_, parameter)| parameter.numbers()).sum();
    ensure!(
        claimed <= held,
        "damaged: its numbers are not those of the layers that its card describes"
    );
    Ok(())
}

/// Name and type of what goes in or comes out.
fn declared(value: &ValueInfoProto) -> impl PartialEq {
    (value.name.clone(), value.r#type.clone())
}

/// The same constants, by name, shape and type.
fn check_tensors(graph: &GraphProto, own: &GraphProto) -> Result<()> {
    let listed = |graph: &GraphProto| {
        let tensors = graph.initializer.iter();
        let mut list: Vec<(String, Vec<i64>, i32)> = tensors
            .map(|tensor| (tensor.name.clone(), tensor.dims.clone(), tensor.data_type))
            .collect();
        list.sort();
        list
    };
    let (found, expected) = (listed(graph), listed(own));
    let unexpected = found.iter().find(|tensor| !expected.contains(tensor));
    if let Some((name, size, _)) = unexpected {
        bail!("its tensor {name} {size:?} is not one that signet writes for its experiment");
    }
    ensure!(
        found == expected
            && graph.sparse_initializer.is_empty()
            && graph.quantization_annotation.is_empty(),
        "its tensors are not those that signet writes for its experiment"
    );
    let elsewhere = graph
        .initializer
        .iter()
        .find(|tensor| !holds_numbers(tensor));
    elsewhere.map_or(Ok(()), |tensor| {
        bail!(
            "its tensor {} does not hold its numbers in one place",
            tensor.name
        )
    })
}

/// Whether the numbers of `tensor` are there, and at most once: runtimes differ in which of two they take.
fn holds_numbers(tensor: &TensorProto) -> bool {
    let places = [
        tensor.raw_data.is_empty(),
        tensor.float_data.is_empty(),
        tensor.int64_data.is_empty(),
    ];
    let held = places.iter().filter(|is_empty| !**is_empty).count();
    let foreign = tensor.data_location != 0 || !tensor.external_data.is_empty();
    held <= 1 && !foreign && tensor.segment.is_none()
}

fn check_node(index: usize, node: &NodeProto, own: &NodeProto) -> Result<()> {
    let operator = &own.op_type;
    ensure!(
        node.op_type == *operator && node.domain == own.domain && node.overload == own.overload,
        "its node {index} is {}, where signet writes {operator}",
        node.op_type
    );
    ensure!(
        node.input == own.input && node.output == own.output,
        "its {operator}, node {index}, does not read and write the values that signet's does"
    );
    let plain = |attribute: &AttributeProto| AttributeProto {
        doc_string: String::new(),
        ..attribute.clone()
    };
    let [found, expected] = [node, own].map(|node| {
        let mut attributes: Vec<AttributeProto> = node.attribute.iter().map(plain).collect();
        attributes.sort_by(|a, b| a.name.cmp(&b.name));
        attributes
    });
    if let Some(unexpected) = found.iter().find(|found| !expected.contains(found)) {
        bail!(
            "its {operator}, node {index}, has an attribute {} which signet does not write",
            unexpected.name
        );
    }
    ensure!(
        found == expected,
        "its {operator}, node {index}, lacks an attribute that signet writes"
    );
    Ok(())
}
