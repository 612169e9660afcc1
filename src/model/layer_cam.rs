//! What a convolutional network looked at: LayerCAM (Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for
//! Localization", IEEE Transactions on Image Processing 2021, equations 5 to 7).
//!
//! Each place of each feature map counts with the gradient of the class's logit there, where that is positive; the sum over
//! the maps, where it is positive, says how much the place spoke for the class.

use tch::Tensor;

use super::layer::{Phase, Shape};
use super::network::Network;
use super::node::Node;

impl Network {
    /// How much each pixel of images spoke for a class, in 0..1, brightest 1 in each image (all 0 where nothing did); none for
    /// a network whose layers keep no map of the image.
    ///
    /// # Shapes
    /// `x`: `[B, C, H, W]` as of [`Network::forward`]; `classes`: one for each image; result: `[B, H, W]`, float32.
    pub fn layer_cam(&self, x: &Tensor, classes: &[i64]) -> Option<Tensor> {
        let layers = members(&self.plan().root);
        let split = behind_last_map(&layers)?;
        let run = |nodes: &[&Node], x: Tensor| {
            let next = |x: Tensor, node: &&Node| node.forward(self.tensors(), &x, Phase::Eval);
            nodes.iter().fold(x, next)
        };
        let maps = tch::no_grad(|| run(&layers[..split], self.normalized(x)));
        let maps = maps.detach().set_requires_grad(true); // [B, K, h, w]
        let logits = run(&layers[split..], maps.shallow_clone());
        let classes = Tensor::from_slice(classes).to_device(logits.device());
        let score = logits.gather(1, &classes.unsqueeze(1), false).sum(None);
        let [gradient] = &Tensor::run_backward(&[score], &[&maps], false, false)[..] else {
            unreachable!("there is one gradient for one tensor");
        };
        let [_, _, height, width] = x.size4().map(<[i64; 4]>::from).expect("a batch of images");
        let seen = (gradient.relu() * maps.detach())
            .sum_dim_intlist(&[1i64][..], true, None)
            .relu(); // [B, 1, h, w]
        let most = seen
            .amax(&[1i64, 2, 3][..], true)
            .clamp_min(f64::MIN_POSITIVE);
        let seen = (seen / most).upsample_bilinear2d([height, width], false, None, None);
        Some(seen.squeeze_dim(1))
    }
}

/// The parts of a network that run one after the other: chains in chains are one.
fn members(node: &Node) -> Vec<&Node> {
    match node {
        Node::Chain(members_of) => members_of
            .iter()
            .flat_map(|(_, node)| members(node))
            .collect(),
        node => vec![node],
    }
}

/// The number of `layers` up to the last one that makes maps with weights, and what follows it in its size, such as its
/// activation.
fn behind_last_map(layers: &[&Node]) -> Option<usize> {
    let is_map = |node: &&Node| {
        let large =
            matches!(output(node), Some(Shape::Image { height, width, .. }) if height * width > 1);
        large && !node.parameters().is_empty()
    };
    let last = layers.iter().rposition(is_map)?;
    let same = layers[last..]
        .iter()
        .take_while(|node| output(node) == output(layers[last]));
    Some(last + same.count())
}

/// The shape that `node` gives; none for a chain without members.
fn output(node: &Node) -> Option<Shape> {
    match node {
        Node::Leaf(leaf) => Some(leaf.layer.output()),
        Node::Chain(members) => output(&members.last()?.1),
        Node::Residual { body, .. } => output(body),
    }
}
