//! Everything of an example in one row, as `nn.Flatten`.

use tch::Tensor;

use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Phase, Script, Shape, TorchModule};

/// Lays channels, then rows, then columns end to end.
#[derive(Debug)]
pub struct Flatten {
    input: Shape,
}

impl Flatten {
    /// For examples of any shape.
    pub fn new(input: Shape) -> Flatten {
        Flatten { input }
    }
}

impl Layer for Flatten {
    fn title(&self) -> String {
        "Flatten".to_owned()
    }

    fn output(&self) -> Shape {
        Shape::Row(self.input.numbers())
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        x.flatten(1, -1)
    }

    fn script(&self) -> Script {
        Script::expression("Flatten", "torch.flatten(x, 1)")
    }

    fn torch(&self) -> TorchModule {
        TorchModule::of("nn.Flatten()")
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        graph.node("Flatten", &[x], vec![("axis", Attribute::Int(1))])
    }
}
