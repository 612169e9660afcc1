//! From an image to a sequence.

use tch::Tensor;

use crate::config::model::Sequence;
use crate::model::graph::Graph;
use crate::model::layer::{Layer, Phase, Script, Shape, TorchModule};

/// Cuts an image into rows, columns or square patches.
#[derive(Debug)]
pub struct ToSequence {
    sequence: Sequence,
    patch: i64,
    /// Channels, height, width.
    input: [i64; 3],
    output: Shape,
}

impl ToSequence {
    /// For images; `patch_px` is the side of a patch.
    ///
    /// # Errors
    /// Anything but an image, or patches that do not tile it.
    pub fn new(
        sequence: Sequence,
        patch_px: Option<usize>,
        input: Shape,
    ) -> Result<ToSequence, String> {
        let Shape::Image {
            channels,
            height,
            width,
        } = input
        else {
            return Err(format!("to_sequence takes images, but {input} comes in"));
        };
        let patch = patch_px.unwrap_or(1);
        let (count, size) = match sequence {
            Sequence::Rows => (height, channels * width),
            Sequence::Columns => (width, channels * height),
            Sequence::Patches if height % patch != 0 || width % patch != 0 => {
                return Err(format!(
                    "patches of {patch} pixels do not tile {height} x {width}; choose a divisor of both"
                ));
            }
            Sequence::Patches => (height / patch * (width / patch), channels * patch * patch),
        };
        Ok(ToSequence {
            sequence,
            patch: patch as i64,
            input: [channels, height, width].map(|n| n as i64),
            output: Shape::Steps { count, size },
        })
    }
}

impl Layer for ToSequence {
    fn title(&self) -> String {
        format!("ToSequence({})", self.sequence.word())
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        // x: [B, C, H, W]
        let steps = match self.sequence {
            Sequence::Rows => x.permute([0, 2, 1, 3]), // [B, H, C, W]
            Sequence::Columns => x.permute([0, 3, 1, 2]), // [B, W, C, H]
            Sequence::Patches => {
                let patches = x
                    .unfold(2, self.patch, self.patch)
                    .unfold(3, self.patch, self.patch);
                let patches = patches.permute([0, 2, 3, 1, 4, 5]); // [B, H/P, W/P, C, P, P]
                patches.flatten(1, 2)
            }
        };
        steps.flatten(2, -1).contiguous()
    }

    fn script(&self) -> Script {
        let patch = self.patch;
        let steps = match self.sequence {
            Sequence::Rows => "torch.permute(x, [0, 2, 1, 3])".to_owned(),
            Sequence::Columns => "torch.permute(x, [0, 3, 1, 2])".to_owned(),
            Sequence::Patches => format!(
                "torch.flatten(torch.permute(torch.unfold(torch.unfold(x, 2, {patch}, {patch}), 3, {patch}, {patch}), \
                 [0, 2, 3, 1, 4, 5]), 1, 2)"
            ),
        };
        Script::expression(
            "ToSequence",
            format!("torch.contiguous(torch.flatten({steps}, 2, -1))"),
        )
    }

    fn torch(&self) -> TorchModule {
        let patch = self.patch;
        TorchModule::function(match self.sequence {
            Sequence::Rows => "x.transpose(1, 2).flatten(2)".to_owned(),
            Sequence::Columns => "x.permute(0, 3, 1, 2).flatten(2)".to_owned(),
            Sequence::Patches => {
                format!("nn.functional.unfold(x, {patch}, stride={patch}).transpose(1, 2)")
            }
        })
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        let [channels, height, width] = self.input;
        let patch = self.patch;
        let steps = match self.sequence {
            Sequence::Rows => graph.transpose(x, &[0, 2, 1, 3]),
            Sequence::Columns => graph.transpose(x, &[0, 3, 1, 2]),
            Sequence::Patches => {
                let tiles = [0, channels, height / patch, patch, width / patch, patch];
                let tiles = graph.reshape(x, &tiles);
                graph.transpose(&tiles, &[0, 2, 4, 1, 3, 5])
            }
        };
        let Shape::Steps { count, size } = self.output else {
            unreachable!("a sequence comes out");
        };
        graph.reshape(&steps, &[0, count as i64, size as i64])
    }
}
