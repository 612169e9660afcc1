//! A fully connected layer, as `nn.Linear`.

use tch::Tensor;

use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Affine, Layer, Parameter, Phase, Script, Shape, TorchModule};

/// Every number in, weighted, into every number out.
#[derive(Debug)]
pub struct Linear {
    inputs: usize,
    units: usize,
}

impl Linear {
    /// For rows.
    ///
    /// # Errors
    /// Images and sequences, which must become rows first.
    pub fn new(units: usize, input: Shape) -> Result<Linear, String> {
        match input {
            Shape::Row(inputs) => Ok(Linear { inputs, units }),
            Shape::Image { .. } => Err(format!(
                "linear takes rows, but the image {input} comes in; put flatten before it"
            )),
            Shape::Steps { .. } => Err(format!(
                "linear takes rows, but the sequence {input} comes in; put pool_time or flatten before it"
            )),
        }
    }
}

impl Layer for Linear {
    fn title(&self) -> String {
        format!("Linear({})", self.units)
    }

    fn output(&self) -> Shape {
        Shape::Row(self.units)
    }

    fn products(&self) -> usize {
        self.inputs.saturating_mul(self.units)
    }

    fn parameters(&self) -> Vec<Parameter> {
        Parameter::weight_and_bias(&[self.units, self.inputs])
    }

    fn folded(&self, weights: &[Tensor], next: &Affine) -> Option<Vec<Tensor>> {
        Some(next.fold(weights))
    }

    fn forward(&self, weights: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        x.linear(&weights[0], Some(&weights[1]))
    }

    fn script(&self) -> Script {
        Script::expression("Linear", "torch.linear(x, self.weight, self.bias)")
    }

    fn torch(&self) -> TorchModule {
        TorchModule::of(format!("nn.Linear({}, {})", self.inputs, self.units))
    }

    fn onnx(&self, graph: &mut Graph, module: &str, weights: &[Tensor], x: &str) -> String {
        let weight = graph.tensor(format!("{module}.weight"), &weights[0]);
        let bias = graph.tensor(format!("{module}.bias"), &weights[1]);
        let transposed = ("transB", Attribute::Int(1));
        graph.node("Gemm", &[x, &weight, &bias], vec![transposed])
    }
}
