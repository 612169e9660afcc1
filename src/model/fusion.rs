//! Neighbours in a chain that are less work together than one after the other. The result is the same, but for rounding in
//! gradients, and in evaluation, where batch norm becomes part of the weights before it.

use tch::Tensor;

use super::layer::{Neighbour, Phase};
use super::node::Node;
use crate::bridge;

/// `members` in order, `[B, input...]` to `[B, output...]`; `all` are the tensors of the network.
pub fn forward(members: &[(String, Node)], all: &[Tensor], x: &Tensor, phase: Phase) -> Tensor {
    let mut x = x.shallow_clone();
    let mut rest = members;
    while let [(_, node), behind @ ..] = rest {
        (x, rest) = if let Some(size) = pooled_relu(rest) {
            let pooled = bridge::pool_relu(&x, size).expect("the plan has checked the shapes");
            (pooled, &rest[2..])
        } else if let (Phase::Train, Node::Leaf(leaf), Some(size)) =
            (phase, node, pooled_relu(behind))
        {
            let pooled = leaf.layer.forward_pooled_relu(leaf.own(all), &x, size);
            (pooled, &behind[2..])
        } else if phase == Phase::Eval
            && let Some(folded) = folded(node, behind, all, &x)
        {
            (folded, &behind[1..])
        } else {
            (node.forward(all, &x, phase), behind)
        };
    }
    x
}

/// The side of the windows, if `members` start with max pooling and ReLU in either order.
fn pooled_relu(members: &[(String, Node)]) -> Option<usize> {
    let [(_, Node::Leaf(first)), (_, Node::Leaf(second)), ..] = members else {
        return None;
    };
    match (first.layer.neighbour(), second.layer.neighbour()) {
        (Neighbour::MaxPool(size), Neighbour::Relu)
        | (Neighbour::Relu, Neighbour::MaxPool(size)) => Some(size),
        _ => None,
    }
}

/// What `node` and the first of those `behind` make of `x`, if `node` can do what that one does.
fn folded(node: &Node, behind: &[(String, Node)], all: &[Tensor], x: &Tensor) -> Option<Tensor> {
    let (Node::Leaf(leaf), [(_, Node::Leaf(next)), ..]) = (node, behind) else {
        return None;
    };
    let affine = next.layer.affine(next.own(all))?;
    let weights = leaf.layer.folded(leaf.own(all), &affine)?;
    Some(leaf.layer.forward(&weights, x, Phase::Eval))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::config::model::{ActivationKind, ConvConfig, Padding};
    use crate::model::layer::{Layer, Shape};
    use crate::model::layers::{
        Activation, BatchNorm, Conv2d, Flatten, Linear, Pool2d, PoolWindow,
    };
    use crate::model::node::Leaf;

    /// Convolution, batch norm, pooling and ReLU in either order, a convolution without bias with batch norm alone, and
    /// the same of rows; with random tensors.
    fn chain() -> (Vec<(String, Node)>, Vec<Tensor>) {
        let mut shape = Shape::Image {
            channels: 3,
            height: 11,
            width: 9,
        };
        let (mut members, mut tensors) = (Vec::new(), Vec::new());
        let mut add = |make: &dyn Fn(Shape) -> Box<dyn Layer>| {
            let layer = make(shape);
            shape = layer.output();
            let first = tensors.len();
            for parameter in layer.parameters() {
                // Variances must be positive, and any other number may be.
                let random = Tensor::rand(&parameter.size[..], (Kind::Float, Device::Cpu)) + 0.1;
                tensors.push(match parameter.name.as_str() {
                    "num_batches_tracked" => random.to_kind(Kind::Int64),
                    "running_var" => random,
                    _ => random - 0.6,
                });
            }
            members.push((
                String::new(),
                Node::Leaf(Leaf::new(String::new(), layer, first)),
            ));
        };
        let convolution = |bias| {
            move |shape| {
                let config = ConvConfig {
                    filters: 10,
                    kernel: 3,
                    stride: 1,
                    padding: Padding::Same,
                    groups: 1,
                    bias,
                };
                Box::new(Conv2d::new(config, shape).unwrap()) as Box<dyn Layer>
            }
        };
        let norm = |shape| Box::new(BatchNorm::new(shape).unwrap()) as Box<dyn Layer>;
        let relu = |shape| Box::new(Activation::new(ActivationKind::Relu, shape)) as Box<dyn Layer>;
        let pool =
            |shape| Box::new(Pool2d::new(PoolWindow::Max, 2, shape).unwrap()) as Box<dyn Layer>;
        let linear = |shape| Box::new(Linear::new(7, shape).unwrap()) as Box<dyn Layer>;
        let flatten = |shape| Box::new(Flatten::new(shape)) as Box<dyn Layer>;
        for make in [
            &convolution(true) as &dyn Fn(Shape) -> Box<dyn Layer>,
            &norm,
            &pool,
            &relu,
        ] {
            add(make);
        }
        for make in [
            &convolution(false) as &dyn Fn(Shape) -> Box<dyn Layer>,
            &norm,
            &relu,
            &pool,
            &norm,
        ] {
            add(make);
        }
        for make in [
            &flatten as &dyn Fn(Shape) -> Box<dyn Layer>,
            &linear,
            &norm,
            &relu,
        ] {
            add(make);
        }
        (members, tensors)
    }

    #[test]
    fn a_chain_gives_what_its_members_give_one_after_the_other() {
        let (members, tensors) = chain();
        let x = Tensor::randn([6, 11, 9, 3], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        for phase in [Phase::Train, Phase::Eval, Phase::Serve] {
            let [own, other] =
                [(); 2].map(|()| tensors.iter().map(Tensor::copy).collect::<Vec<_>>());
            let found = forward(&members, &own, &x, phase);
            let one = |x: Tensor, (_, node): &(String, Node)| node.forward(&other, &x, phase);
            let expected = members.iter().fold(x.shallow_clone(), one);
            let difference = (&found - &expected).abs().max().double_value(&[]);
            let size = expected.abs().max().double_value(&[]);
            // In evaluation sums have other factors, each rounded by 6e-8, through three batch norms.
            let rounding = if phase == Phase::Eval { 2e-6 } else { 0.0 };
            assert!(
                difference <= rounding * size,
                "{phase:?}: {difference} of {size}"
            );
            assert!(
                own.iter().zip(&other).all(|(a, b)| a.equal(b)),
                "{phase:?}: statistics"
            );
        }
    }
}
