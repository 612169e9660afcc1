//! The largest number of each window, as `nn.MaxPool2d`.

use tch::Tensor;

use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Phase, Script, Shape};

/// Square windows side by side; what does not fill a window at the far edges is left out.
#[derive(Debug)]
pub struct MaxPool2d {
    size: usize,
    output: Shape,
}

impl MaxPool2d {
    /// For images.
    ///
    /// # Errors
    /// Anything but an image, or one smaller than a window.
    pub fn new(size: usize, input: Shape) -> Result<MaxPool2d, String> {
        let Shape::Image {
            channels,
            height,
            width,
        } = input
        else {
            return Err(format!("max_pool2d takes images, but {input} comes in"));
        };
        if height < size || width < size {
            return Err(format!(
                "pooling {height} x {width} pixels by {size} leaves less than one pixel; pool less, or start from a larger image"
            ));
        }
        let output = Shape::Image {
            channels,
            height: height / size,
            width: width / size,
        };
        Ok(MaxPool2d { size, output })
    }
}

impl Layer for MaxPool2d {
    fn title(&self) -> String {
        format!("MaxPool2d({})", self.size)
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        let size = [self.size as i64; 2];
        x.max_pool2d(size, size, [0, 0], [1, 1], false)
    }

    fn script(&self) -> Script {
        let size = self.size;
        let call = format!(
            "torch.max_pool2d(x, [{size}, {size}], [{size}, {size}], [0, 0], [1, 1], False)"
        );
        Script::expression("MaxPool2d", call)
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        let size = Attribute::Ints(vec![self.size as i64; 2]);
        let attributes = vec![("kernel_shape", size.clone()), ("strides", size)];
        graph.node("MaxPool", &[x], attributes)
    }
}
