//! Two-dimensional convolution, as `nn.Conv2d`.

use tch::Tensor;

use crate::config::model::Padding;
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Parameter, Phase, Script, Shape};

/// Slides `filters` square kernels over an image.
#[derive(Debug)]
pub struct Conv2d {
    channels: usize,
    filters: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    output: Shape,
}

impl Conv2d {
    /// For images.
    ///
    /// # Errors
    /// Anything but an image, a kernel larger than the image, an even kernel with same padding.
    pub fn new(
        filters: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        input: Shape,
    ) -> Result<Conv2d, String> {
        let Shape::Image {
            channels,
            height,
            width,
        } = input
        else {
            return Err(format!("conv2d takes images, but {input} comes in"));
        };
        let padding = match padding {
            Padding::Valid => 0,
            Padding::Same if kernel % 2 == 1 => kernel / 2,
            Padding::Same => {
                return Err(format!(
                    "the even kernel {kernel} cannot keep the size; use an odd one or padding: valid"
                ));
            }
        };
        let side = |length: usize| match (length + 2 * padding).checked_sub(kernel) {
            Some(room) => Ok(room / stride + 1),
            None => Err(format!(
                "a kernel of {kernel} pixels does not fit into the {height} x {width} that come in"
            )),
        };
        let output = Shape::Image {
            channels: filters,
            height: side(height)?,
            width: side(width)?,
        };
        Ok(Conv2d {
            channels,
            filters,
            kernel,
            stride,
            padding,
            output,
        })
    }
}

impl Layer for Conv2d {
    fn title(&self) -> String {
        format!(
            "Conv2d({}, {} x {})",
            self.filters, self.kernel, self.kernel
        )
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn parameters(&self) -> Vec<Parameter> {
        Parameter::weight_and_bias(&[self.filters, self.channels, self.kernel, self.kernel])
    }

    fn forward(&self, weights: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        let pair = |n: usize| [n as i64, n as i64];
        x.conv2d(
            &weights[0],
            Some(&weights[1]),
            pair(self.stride),
            pair(self.padding),
            [1, 1],
            1,
        )
    }

    fn script(&self) -> Script {
        let (stride, padding) = (self.stride, self.padding);
        let call = format!(
            "torch.conv2d(x, self.weight, self.bias, [{stride}, {stride}], [{padding}, {padding}], [1, 1], 1)"
        );
        Script::expression("Conv2d", call)
    }

    fn onnx(&self, graph: &mut Graph, module: &str, weights: &[Tensor], x: &str) -> String {
        let weight = graph.tensor(format!("{module}.weight"), &weights[0]);
        let bias = graph.tensor(format!("{module}.bias"), &weights[1]);
        let ints = |n: usize, count| Attribute::Ints(vec![n as i64; count]);
        let attributes = vec![
            ("kernel_shape", ints(self.kernel, 2)),
            ("pads", ints(self.padding, 4)),
            ("strides", ints(self.stride, 2)),
        ];
        graph.node("Conv", &[x, &weight, &bias], attributes)
    }
}
