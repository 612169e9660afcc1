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
    /// a network whose layers keep no map of the image, or that cannot be computed backward.
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
        // cuDNN has no backward pass of a recurrent layer that is not being trained.
        let gradients = Tensor::f_run_backward(&[score], &[&maps], false, false).ok()?;
        let gradient = gradients.first()?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tch::{Device, Kind};

    use super::*;
    use crate::config::Experiment;
    use crate::config::document::Document;
    use crate::model::network::Normalization;
    use crate::model::plan::Plan;

    /// A network of `model`, in YAML, for grey images of 6 x 6 and two classes.
    fn network(model: &str) -> Network {
        let text = format!(
            "version: 1\ndata: {{source: {{kind: generated}}, classes: [a, b], image: {{height: 6, width: 6}}}}\nmodel: {model}\n"
        );
        let document = Document::parse("test".into(), text, &[]).unwrap();
        let experiment = Experiment::from_document(&document, Path::new("test.yaml"), &[]).unwrap();
        let plan = Plan::of(&experiment).unwrap();
        let as_they_are = Normalization {
            mean: vec![0.0],
            std: vec![1.0],
        };
        Network::new(plan, &experiment.model, 1, &as_they_are, Device::Cpu)
    }

    /// Numbers that look random: `torch.sin(torch.arange(n, dtype=torch.float64) * 1.7 + phase).float()`.
    fn numbers(size: &[i64], phase: f64) -> Tensor {
        let count = size.iter().product::<i64>();
        let numbers = Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.7 + phase;
        numbers.sin().to_kind(Kind::Float).view(size)
    }

    #[test]
    fn what_was_looked_at_is_what_torchcam_says() {
        // net = torch.nn.Sequential(Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(18, 2)), its parameters
        // numbers(shape, 0), (.., 1), (.., 2), (.., 3) in their order; x = (numbers((1, 1, 6, 6), 9) + 1) / 2
        // cam = torchcam.methods.LayerCAM(net, "1", input_shape=(1, 6, 6)); out = net(x)
        // cam(0, out, normalized=True, retain_graph=True); cam(1, ...)
        let network = network(
            "{kind: layers, layers: [{kind: conv2d, filters: 2}, {kind: activation}, {kind: max_pool2d}, {kind: flatten}, {kind: linear}]}",
        );
        let state = network
            .weights()
            .iter()
            .enumerate()
            .map(|(number, weight)| {
                (
                    weight.name.clone(),
                    numbers(&weight.tensor.size(), number as f64),
                )
            });
        network.load(&state.collect()).unwrap();
        let x = (numbers(&[1, 1, 6, 6], 9.0) + 1.0) / 2.0;
        #[rustfmt::skip]
        let expected = [
            [
                0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0779, 0.0, 0.0, 0.7032, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6024, 0.0, 0.0,
                0.5324, 0.0, 0.4087, 0.0, 0.0, 0.0, 0.0, 0.0893, 0.0, 0.0, 0.0, 0.9182, 0.0, 0.0, 0.0,
            ],
            [
                0.0, 0.0, 0.0, 0.1751, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.6175, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0007, 0.2116, 0.0,
                0.886, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6493, 0.0, 0.0, 0.0, 0.459, 0.0, 0.0, 0.0,
            ],
        ];
        let twice = Tensor::cat(&[&x, &x], 0);
        let found = network.layer_cam(&twice, &[0, 1]).unwrap();
        let expected = Tensor::from_slice2(&expected)
            .view([2, 6, 6])
            .to_kind(Kind::Float);
        let difference = (found - expected).abs().max().double_value(&[]);
        assert!(
            difference < 6e-5,
            "{difference}: numbers above have four digits"
        );
    }

    #[test]
    fn a_network_without_maps_looked_at_nothing() {
        for kind in ["ann", "lstm"] {
            let network = network(&format!("{{kind: {kind}}}"));
            let x = Tensor::rand([2, 1, 6, 6], (Kind::Float, Device::Cpu));
            assert!(network.layer_cam(&x, &[0, 1]).is_none(), "{kind}");
        }
    }
}
