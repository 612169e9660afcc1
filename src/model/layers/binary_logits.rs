//! One logit for two classes.

use tch::Tensor;

use crate::model::graph::Graph;
use crate::model::layer::{Layer, Phase, Script, Shape, TorchModule};

/// Presents z as [0, z]: softmax then gives [1 - sigmoid(z), sigmoid(z)], and cross-entropy is exactly
/// binary cross-entropy on z.
#[derive(Debug)]
pub struct BinaryLogits;

impl Layer for BinaryLogits {
    fn title(&self) -> String {
        "BinaryLogits".to_owned()
    }

    fn output(&self) -> Shape {
        Shape::Row(2)
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        Tensor::cat(&[&x.zeros_like(), x], 1) // [B, 2]
    }

    fn script(&self) -> Script {
        Script::expression("BinaryLogits", "torch.cat([torch.zeros_like(x), x], 1)")
    }

    fn torch(&self) -> TorchModule {
        TorchModule::function("torch.cat([torch.zeros_like(x), x], 1)")
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        // A column of zeros before the only one.
        let pads = graph.numbers(&[0, 1, 0, 0]);
        graph.node("Pad", &[x, &pads], Vec::new())
    }
}
