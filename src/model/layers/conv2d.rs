//! Two-dimensional convolution, as `nn.Conv2d`.

use tch::Tensor;

use crate::config::model::Padding;
use crate::model::layer::{Layer, Mode, Parameter, Shape};

/// Slides `filters` square kernels over a picture.
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
    /// For pictures.
    ///
    /// # Errors
    /// Anything but a picture, a kernel larger than the picture, an even kernel with same padding.
    pub fn new(
        filters: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        input: Shape,
    ) -> Result<Conv2d, String> {
        let Shape::Picture {
            channels,
            height,
            width,
        } = input
        else {
            return Err(format!("conv2d takes pictures, but {input} comes in"));
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
        let output = Shape::Picture {
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

    fn forward(&self, weights: &[Tensor], x: &Tensor, _: Mode) -> Tensor {
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
}
