//! Two-dimensional convolution, as `nn.Conv2d`.

use tch::Tensor;

use crate::bridge;
use crate::config::model::{ConvConfig, Padding};
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Affine, Layer, Misfit, Parameter, Phase, Script, Shape, TorchModule};

/// Slides square kernels over an image.
#[derive(Debug)]
pub struct Conv2d {
    config: ConvConfig,
    /// Channels that each filter sees.
    channels: usize,
    /// Zeros around the image, in pixels.
    padding: usize,
    output: Shape,
}

impl Conv2d {
    /// For images.
    ///
    /// # Errors
    /// Anything but an image, a kernel larger than the image, an even kernel with same padding, groups that do not
    /// divide the channels.
    pub fn new(config: ConvConfig, input: Shape) -> Result<Conv2d, Misfit> {
        let ConvConfig { kernel, groups, .. } = config;
        let Shape::Image {
            channels,
            height,
            width,
        } = input
        else {
            return Err(format!("conv2d takes images, but {input} comes in").into());
        };
        if channels % groups != 0 {
            let message = format!(
                "{groups} do not divide the {channels} channel(s) that come in; use a divisor, such as 1"
            );
            return Err(Misfit::of("groups", message));
        }
        let padding = match config.padding {
            Padding::Valid => 0,
            Padding::Same if kernel % 2 == 1 => kernel / 2,
            Padding::Same => {
                let message = format!(
                    "the even kernel {kernel} cannot keep the size; use an odd one or padding: valid"
                );
                return Err(Misfit::of("kernel", message));
            }
        };
        let side = |length: usize| match (length + 2 * padding).checked_sub(kernel) {
            Some(room) => Ok(room / config.stride + 1),
            None => {
                let message = format!(
                    "a kernel of {kernel} pixels does not fit into the {height} x {width} that come in"
                );
                Err(Misfit::of("kernel", message))
            }
        };
        let output = Shape::Image {
            channels: config.filters,
            height: side(height)?,
            width: side(width)?,
        };
        Ok(Conv2d {
            config,
            channels: channels / groups,
            padding,
            output,
        })
    }

    /// Pixels between those that are kept before the kernel moves over them one by one.
    ///
    /// More than 1 for a 1 x 1 kernel with a stride, which sees no others: the gradient of its weights, computed by
    /// oneDNN as of libtorch 2.11, writes past its memory where channels are few and lie innermost
    /// (github.com/uxlfoundation/oneDNN/issues/6035).
    fn thinning(&self) -> usize {
        if self.config.kernel == 1 {
            self.config.stride
        } else {
            1
        }
    }
}

impl Layer for Conv2d {
    fn title(&self) -> String {
        let ConvConfig {
            filters,
            kernel,
            groups,
            ..
        } = self.config;
        let groups = match groups {
            1 => String::new(),
            several => format!(", {several} groups"),
        };
        format!("Conv2d({filters}, {kernel} x {kernel}{groups})")
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn products(&self) -> usize {
        let each = self.channels * self.config.kernel * self.config.kernel;
        self.output.numbers().saturating_mul(each)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let ConvConfig {
            filters,
            kernel,
            bias,
            ..
        } = self.config;
        let mut parameters = Parameter::weight_and_bias(&[filters, self.channels, kernel, kernel]);
        parameters.truncate(1 + usize::from(bias));
        parameters
    }

    fn folded(&self, weights: &[Tensor], next: &Affine) -> Option<Vec<Tensor>> {
        Some(next.fold(weights))
    }

    fn forward(&self, weights: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        let thinning = self.thinning();
        let kept = if thinning > 1 {
            let step = thinning as i64;
            let rows = x.slice(2, None, None, step);
            rows.slice(3, None, None, step).contiguous()
        } else {
            x.shallow_clone()
        };
        let stride = self.config.stride / thinning;
        bridge::conv2d(
            &kept,
            &weights[0],
            weights.get(1),
            stride,
            self.padding,
            self.config.groups,
        )
        .expect("the plan has checked the shapes")
    }

    fn script(&self) -> Script {
        let ConvConfig {
            stride,
            groups,
            bias,
            ..
        } = self.config;
        let padding = self.padding;
        let bias = if bias { "self.bias" } else { "None" };
        let thinning = self.thinning();
        let (x, stride) = if thinning > 1 {
            let slice = |x: &str, dim| format!("torch.slice({x}, {dim}, None, None, {thinning})");
            let kept = slice(&slice("x", 2), 3);
            (format!("torch.contiguous({kept})"), stride / thinning)
        } else {
            ("x".to_owned(), stride)
        };
        let call = format!(
            "torch.conv2d({x}, self.weight, {bias}, [{stride}, {stride}], [{padding}, {padding}], [1, 1], {groups})"
        );
        Script::expression("Conv2d", call)
    }

    fn torch(&self) -> TorchModule {
        let ConvConfig {
            filters,
            kernel,
            stride,
            groups,
            bias,
            ..
        } = self.config;
        let mut call = format!("nn.Conv2d({}, {filters}, {kernel}", self.channels * groups);
        for (key, value, usual) in [
            ("stride", stride, 1),
            ("padding", self.padding, 0),
            ("groups", groups, 1),
        ] {
            if value != usual {
                call += &format!(", {key}={value}");
            }
        }
        call += if bias { ")" } else { ", bias=False)" };
        TorchModule::of(call)
    }

    fn onnx(&self, graph: &mut Graph, module: &str, weights: &[Tensor], x: &str) -> String {
        let mut inputs = vec![x.to_owned()];
        for (name, weight) in ["weight", "bias"].iter().zip(weights) {
            inputs.push(graph.tensor(format!("{module}.{name}"), weight));
        }
        let ints = |n: usize, count| Attribute::Ints(vec![n as i64; count]);
        let mut attributes = vec![
            ("kernel_shape", ints(self.config.kernel, 2)),
            ("pads", ints(self.padding, 4)),
            ("strides", ints(self.config.stride, 2)),
        ];
        if self.config.groups > 1 {
            attributes.push(("group", Attribute::Int(self.config.groups as i64)));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        graph.node("Conv", &inputs, attributes)
    }
}
