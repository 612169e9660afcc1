//! One number of each window, as `nn.MaxPool2d` and `nn.AvgPool2d`.

use tch::Tensor;

use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Neighbour, Phase, Script, Shape, TorchModule};

/// What is kept of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolWindow {
    /// The largest number.
    Max,
    /// The mean.
    Average,
}

/// Square windows side by side; what does not fill a window at the far edges is left out.
#[derive(Debug)]
pub struct Pool2d {
    window: PoolWindow,
    size: usize,
    output: Shape,
}

impl Pool2d {
    /// For images; `size` is the side of a window in pixels.
    ///
    /// # Errors
    /// Anything but an image, or one smaller than a window.
    pub fn new(window: PoolWindow, size: usize, input: Shape) -> Result<Pool2d, String> {
        let Shape::Image {
            channels,
            height,
            width,
        } = input
        else {
            let kind = match window {
                PoolWindow::Max => "max_pool2d",
                PoolWindow::Average => "avg_pool2d",
            };
            return Err(format!("{kind} takes images, but {input} comes in"));
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
        Ok(Pool2d {
            window,
            size,
            output,
        })
    }

    /// The class in `torch.nn`.
    fn class(&self) -> &'static str {
        match self.window {
            PoolWindow::Max => "MaxPool2d",
            PoolWindow::Average => "AvgPool2d",
        }
    }
}

impl Layer for Pool2d {
    fn title(&self) -> String {
        format!("{}({})", self.class(), self.size)
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn neighbour(&self) -> Neighbour {
        match self.window {
            PoolWindow::Max => Neighbour::MaxPool(self.size),
            PoolWindow::Average => Neighbour::Other,
        }
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        let size = [self.size as i64; 2];
        match self.window {
            PoolWindow::Max => x.max_pool2d(size, size, [0, 0], [1, 1], false),
            PoolWindow::Average => x.avg_pool2d(size, size, [0, 0], false, true, None),
        }
    }

    fn script(&self) -> Script {
        let size = self.size;
        let windows = format!("[{size}, {size}], [{size}, {size}], [0, 0]");
        let call = match self.window {
            PoolWindow::Max => format!("torch.max_pool2d(x, {windows}, [1, 1], False)"),
            PoolWindow::Average => format!("torch.avg_pool2d(x, {windows}, False, True, None)"),
        };
        Script::expression(self.class(), call)
    }

    fn torch(&self) -> TorchModule {
        TorchModule::of(format!("nn.{}({})", self.class(), self.size))
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        let size = Attribute::Ints(vec![self.size as i64; 2]);
        let attributes = vec![("kernel_shape", size.clone()), ("strides", size)];
        let operator = match self.window {
            PoolWindow::Max => "MaxPool",
            PoolWindow::Average => "AveragePool",
        };
        graph.node(operator, &[x], attributes)
    }
}
