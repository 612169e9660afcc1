//! The mean of each channel, as `nn.AdaptiveAvgPool2d(1)`.

use tch::Tensor;

use crate::model::graph::Graph;
use crate::model::layer::{Layer, Phase, Script, Shape, TorchModule};

/// `[C, H, W]` to `[C, 1, 1]`, an image still, as in PyTorch; `flatten` behind it makes a row of C numbers.
#[derive(Debug)]
pub struct GlobalAvgPool {
    channels: usize,
}

impl GlobalAvgPool {
    /// For images.
    ///
    /// # Errors
    /// Anything else.
    pub fn new(input: Shape) -> Result<GlobalAvgPool, String> {
        match input {
            Shape::Image { channels, .. } => Ok(GlobalAvgPool { channels }),
            Shape::Steps { .. } | Shape::Row(_) => Err(format!(
                "global_avg_pool takes images, but {input} comes in"
            )),
        }
    }
}

impl Layer for GlobalAvgPool {
    fn title(&self) -> String {
        "GlobalAvgPool".to_owned()
    }

    fn output(&self) -> Shape {
        Shape::Image {
            channels: self.channels,
            height: 1,
            width: 1,
        }
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        x.adaptive_avg_pool2d([1, 1])
    }

    fn script(&self) -> Script {
        Script::expression("GlobalAvgPool", "torch.adaptive_avg_pool2d(x, [1, 1])")
    }

    fn torch(&self) -> TorchModule {
        TorchModule::of("nn.AdaptiveAvgPool2d(1)")
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        graph.node("GlobalAveragePool", &[x], Vec::new())
    }
}
