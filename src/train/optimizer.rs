//! Optimisers on state we own: moments are plain tensors beside their parameter.
//!
//! tch wraps libtorch's optimisers without a way to read their state, so that a run could never be
//! resumed exactly; these hold it themselves and have the bridge do the arithmetic.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use crate::bridge::{self, Moments, Rule, UpdateKind};
use crate::config::train::{AdamConfig, OptimizerConfig as Settings};

/// What the names of optimiser tensors begin with; no layer is called so.
pub const OPTIMIZER: &str = "optimizer.";

/// The parameters of a network and what the optimiser remembers of each.
pub struct Optimizer {
    settings: Settings,
    clip_grad_norm: Option<f64>,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    /// Adam's averages, or momenta; empty where there is no momentum.
    first: Vec<Tensor>,
    /// Averages of squares; empty for SGD.
    second: Vec<Tensor>,
    /// Adam's step counters: float32 scalars on the device, as its fused kernel wants them.
    steps: Vec<Tensor>,
    /// The learning rate, a scalar on the device: a step reads it there, and nothing of a step depends on its value.
    lr: Tensor,
    diverged: Tensor,
    /// Updates made, a float64 scalar on the device.
    updates: Tensor,
    /// The gradients of the last step, if they are kept.
    kept: Option<Vec<Tensor>>,
}

impl Optimizer {
    /// For `parameters`, which must be leaves that require gradients, and their names.
    pub fn new(
        settings: Settings,
        clip_grad_norm: Option<f64>,
        names: Vec<String>,
        parameters: Vec<Tensor>,
    ) -> Optimizer {
        let zeros = |wanted: bool| -> Vec<Tensor> {
            let like = |parameter: &Tensor| parameter.detach().zeros_like();
            parameters.iter().filter(|_| wanted).map(like).collect()
        };
        let device = parameters[0].device();
        let scalar = |_: &Tensor| Tensor::zeros([0i64; 0], (Kind::Float, device));
        let [first, second, steps] = remembers(&settings);
        let lr_kind = if device == Device::Cpu {
            Kind::Double
        } else {
            Kind::Float
        };
        Optimizer {
            first: zeros(first),
            second: zeros(second),
            steps: parameters.iter().filter(|_| steps).map(scalar).collect(),
            lr: Tensor::zeros([0i64; 0], (lr_kind, device)),
            diverged: Tensor::zeros([0i64; 0], (Kind::Float, device)),
            updates: Tensor::zeros([0i64; 0], (Kind::Double, device)),
            kept: None,
            settings,
            clip_grad_norm,
            names,
            parameters,
        }
    }

    /// The gradients that the last backward pass left, in the order of the parameters, which are without them then.
    ///
    /// # Errors
    /// A parameter that the loss does not depend on.
    pub fn take_gradients(&self) -> Result<Vec<Tensor>> {
        let gradients = bridge::gradients(&self.parameters)?;
        bridge::zero_grad(&self.parameters)?;
        Ok(gradients)
    }

    /// Sets the learning rate of the steps to come.
    pub fn set_lr(&mut self, lr: f64) {
        let _ = self.lr.fill_(lr);
    }

    /// Has the steps to come keep a copy of their gradients, or not any more.
    pub fn keep_gradients(&mut self, keep: bool) {
        self.kept = keep.then(Vec::new);
    }

    /// The gradients of the last step before they were clipped, in the order of the parameters, if they are kept.
    pub fn kept_gradients(&self) -> Option<&[Tensor]> {
        self.kept.as_deref()
    }

    /// Moves the parameters against the `gradients` of `loss`, a scalar, and clips those before. Once a loss or gradient
    /// is not finite, nothing is moved any more; see [`Optimizer::updates`].
    ///
    /// # Errors
    /// Gradients of other shapes than the parameters'.
    pub fn step(&mut self, gradients: &[Tensor], loss: &Tensor) -> Result<()> {
        if let Some(kept) = &mut self.kept {
            *kept = gradients.iter().map(Tensor::copy).collect(); // which clipping may change where they lie
        }
        let moments = Moments {
            first: &self.first,
            second: &self.second,
            steps: &self.steps,
        };
        let rule = Rule {
            max_norm: self.clip_grad_norm.unwrap_or(0.0),
            ..rule(&self.settings)
        };
        bridge::update(
            &rule,
            &self.parameters,
            gradients,
            &moments,
            &self.lr,
            loss,
            &self.diverged,
        )?;
        self.updates += 1.0 - &self.diverged;
        Ok(())
    }

    /// Updates made since this optimiser was, up to the first loss or gradient that was not finite; waits for the device.
    ///
    /// # Errors
    /// None that is known.
    pub fn updates(&self) -> Result<usize> {
        Ok(f64::try_from(&self.updates)? as usize)
    }

    /// A copy of what is remembered, on the CPU: `optimizer.first.NAME` and so on.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let copy = |tensor: &Tensor| tensor.to_device(Device::Cpu).copy();
        let all = self.remembered().into_iter();
        all.map(|(name, tensor)| (name, copy(tensor))).collect()
    }

    /// Takes over what `tensors` says of this optimiser; other tensors are passed over.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape; nothing is changed then.
    pub fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let mut pairs = Vec::new();
        for (name, own) in self.remembered() {
            let Some(kept) = tensors.get(&name) else {
                bail!("there is no {name}, which this optimiser remembers");
            };
            ensure!(
                kept.size() == own.size() && kept.kind() == own.kind(),
                "{name} has the shape {:?} there, but {:?} here",
                kept.size(),
                own.size()
            );
            pairs.push((own.shallow_clone(), kept));
        }
        for (mut own, kept) in pairs {
            own.copy_(kept);
        }
        Ok(())
    }

    fn remembered(&self) -> Vec<(String, &Tensor)> {
        let tensors = self.first.iter().chain(&self.second).chain(&self.steps);
        tensor_names(&self.settings, &self.names)
            .into_iter()
            .zip(tensors)
            .collect()
    }
}

/// What the tensors are called that an optimiser of `settings` remembers of the parameters called `names`.
pub fn tensor_names(settings: &Settings, names: &[String]) -> Vec<String> {
    let kinds = ["first", "second", "steps"].into_iter();
    let kept = kinds.zip(remembers(settings)).filter(|(_, kept)| *kept);
    kept.flat_map(|(kind, _)| {
        names
            .iter()
            .map(move |name| format!("{OPTIMIZER}{kind}.{name}"))
    })
    .collect()
}

/// What an optimiser of `settings` does, whatever the schedule and the clipping.
fn rule(settings: &Settings) -> Rule {
    let adaptive = |kind, adam: &AdamConfig| Rule {
        kind,
        beta1: adam.beta1,
        beta2: adam.beta2,
        eps: adam.eps,
        weight_decay: adam.weight_decay,
        ..Rule::default()
    };
    match *settings {
        Settings::Adam(ref adam) => adaptive(UpdateKind::Adam, adam),
        Settings::Adamw(ref adam) => adaptive(UpdateKind::Adamw, adam),
        Settings::Sgd {
            momentum,
            nesterov,
            weight_decay,
            ..
        } => Rule {
            kind: UpdateKind::Sgd,
            momentum,
            nesterov,
            weight_decay,
            ..Rule::default()
        },
        Settings::Rmsprop {
            alpha,
            eps,
            momentum,
            weight_decay,
            ..
        } => Rule {
            kind: UpdateKind::Rmsprop,
            beta2: alpha,
            eps,
            momentum,
            weight_decay,
            ..Rule::default()
        },
    }
}

/// Whether an optimiser of `settings` remembers first moments, second moments, and steps.
fn remembers(settings: &Settings) -> [bool; 3] {
    match *settings {
        Settings::Adam(_) | Settings::Adamw(_) => [true, true, true],
        Settings::Rmsprop { .. } => [true, true, false],
        Settings::Sgd { momentum, .. } => [momentum > 0.0, false, false],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_changes_tensors_where_they_lie_as_a_recorded_step_needs_it() {
        let weight = Tensor::ones([3, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let settings = Settings::Adamw(AdamConfig {
            lr: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        });
        let names = vec!["weight".to_owned()];
        let mut optimizer = Optimizer::new(settings, Some(1.0), names, vec![weight]);
        let all = |own: &Optimizer| -> Vec<(usize, Tensor)> {
            let scalars = [&own.lr, &own.updates];
            let lists = [&own.parameters, &own.first, &own.second, &own.steps];
            let tensors = lists.into_iter().flatten().chain(scalars);
            tensors
                .map(|tensor| (tensor.data_ptr() as usize, tensor.detach().copy()))
                .collect()
        };
        let before = all(&optimizer);
        optimizer.set_lr(0.1);
        let loss = Tensor::from(1.0f32);
        let gradient = Tensor::full([3, 2], 0.5, (Kind::Float, Device::Cpu));
        optimizer.step(&[gradient], &loss).unwrap();
        for ((place, was), (now, is)) in before.iter().zip(&all(&optimizer)) {
            assert_eq!(place, now);
            assert!(!was.equal(is), "a tensor that no step changes");
        }
        assert_eq!(optimizer.updates().unwrap(), 1);
    }
}
