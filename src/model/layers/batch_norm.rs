//! Batch normalisation (Ioffe and Szegedy, 2015), as `nn.BatchNorm1d` and `nn.BatchNorm2d`.

use tch::Tensor;

use crate::bridge::{self, BatchNormParts};
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{
    Affine, Init, Layer, Parameter, Phase, Role, Script, Shape, TorchModule,
};

/// Share of a batch's statistics that enters the running ones (`momentum` in PyTorch).
const MOMENTUM: f64 = 0.1;
/// Keeps the denominator away from zero (`eps` in PyTorch).
const EPS: f64 = 1e-5;

/// Normalises each channel of an image, or each number of a row, over the batch.
#[derive(Debug)]
pub struct BatchNorm {
    shape: Shape,
    features: usize,
}

impl BatchNorm {
    /// For images or rows.
    ///
    /// # Errors
    /// Sequences, which have no channels.
    pub fn new(shape: Shape) -> Result<BatchNorm, String> {
        match shape {
            Shape::Image { channels, .. } => Ok(BatchNorm {
                shape,
                features: channels,
            }),
            Shape::Row(size) => Ok(BatchNorm {
                shape,
                features: size,
            }),
            Shape::Steps { .. } => Err(format!(
                "batch_norm takes images or rows, not the sequence {shape}"
            )),
        }
    }
}

fn parts(weights: &[Tensor]) -> BatchNormParts<'_> {
    BatchNormParts {
        weight: &weights[0],
        bias: &weights[1],
        running_mean: &weights[2],
        running_var: &weights[3],
        momentum: MOMENTUM,
        eps: EPS,
    }
}

/// `num_batches_tracked` goes up by one.
fn count_batch(weights: &[Tensor]) {
    let _ = weights[4].shallow_clone().g_add_scalar_(1);
}

impl Layer for BatchNorm {
    fn title(&self) -> String {
        format!("BatchNorm({})", self.features)
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn parameters(&self) -> Vec<Parameter> {
        let size = [self.features];
        vec![
            Parameter::new("weight", &size, Role::Affine, Init::Ones),
            Parameter::new("bias", &size, Role::Affine, Init::Zeros),
            Parameter::new("running_mean", &size, Role::Buffer, Init::Zeros),
            Parameter::new("running_var", &size, Role::Buffer, Init::Ones),
            Parameter::new("num_batches_tracked", &[], Role::Counter, Init::Zeros),
        ]
    }

    fn needs_two_examples(&self) -> bool {
        self.shape.numbers() == self.features // one pixel: a batch of one has no spread
    }

    fn affine(&self, weights: &[Tensor]) -> Option<Affine> {
        let parts = parts(weights);
        let factor = parts.weight / (parts.running_var + EPS).sqrt();
        let shift = parts.bias - parts.running_mean * &factor;
        Some(Affine { factor, shift })
    }

    fn forward(&self, weights: &[Tensor], x: &Tensor, phase: Phase) -> Tensor {
        if phase.trains() {
            count_batch(weights);
        }
        bridge::batch_norm(&parts(weights), x, phase.trains())
            .expect("the plan has checked the shapes")
    }

    fn forward_pooled_relu(&self, weights: &[Tensor], x: &Tensor, size: usize) -> Tensor {
        count_batch(weights);
        bridge::norm_pool_relu(&parts(weights), x, size).expect("the plan has checked the shapes")
    }

    fn script(&self) -> Script {
        let count =
            "if self.training:\n  _0 = torch.add_(self.num_batches_tracked, 1)\nelse:\n  pass\n";
        let normalised = format!(
            "torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, \
             {MOMENTUM:?}, {EPS:?}, True)"
        );
        Script {
            class: "BatchNorm",
            forward: format!("{count}return {normalised}"),
        }
    }

    fn torch(&self) -> TorchModule {
        let class = match self.shape {
            Shape::Image { .. } => "BatchNorm2d",
            Shape::Row(_) | Shape::Steps { .. } => "BatchNorm1d",
        };
        TorchModule::of(format!("nn.{class}({})", self.features))
    }

    fn onnx(&self, graph: &mut Graph, module: &str, weights: &[Tensor], x: &str) -> String {
        let names = ["weight", "bias", "running_mean", "running_var"];
        let [weight, bias, mean, var] = std::array::from_fn(|index| {
            graph.tensor(format!("{module}.{}", names[index]), &weights[index])
        });
        let eps = ("epsilon", Attribute::Float(EPS as f32));
        graph.node(
            "BatchNormalization",
            &[x, &weight, &bias, &mean, &var],
            vec![eps],
        )
    }
}
