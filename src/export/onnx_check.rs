//! Whether an ONNX model is the one that signet writes for the experiment of its card, whatever its weights.
//!
//! tract takes any declared input for the one it is given, and passes over most attributes of recurrent nodes, so that
//! a graph could agree with itself and with no other runtime. Nothing of the graph that is checked is left to it but numbers:
//! operators, names, attributes and shapes must be those of signet's own graph. Names of nodes, documentation and
//! inferred shapes, which change nothing and which tools add, are free.

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};

use super::card::Card;
use super::onnx;
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
        found == expected && graph.sparse_initializer.is_empty(),
        "its tensors are not those that signet writes for its experiment"
    );
    Ok(())
}

fn check_node(index: usize, node: &NodeProto, own: &NodeProto) -> Result<()> {
    let operator = &own.op_type;
    ensure!(
        node.op_type == *operator && node.domain == own.domain,
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
