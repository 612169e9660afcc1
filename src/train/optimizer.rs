//! Optimisers on state we own: moments are plain tensors beside their parameter.
//!
//! tch wraps libtorch's optimisers without a way to read their state, so that a run could never be
//! resumed exactly; these hold it themselves and call libtorch's fused kernels through the bridge.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use crate::bridge;
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
    diverged: Tensor,
    /// Updates made, a float64 scalar on the device.
    updates: Tensor,
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
        Optimizer {
            first: zeros(first),
            second: zeros(second),
            steps: parameters.iter().filter(|_| steps).map(scalar).collect(),
            diverged: Tensor::zeros([0i64; 0], (Kind::Float, device)),
            updates: Tensor::zeros([0i64; 0], (Kind::Double, device)),
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

    /// Moves the parameters against the `gradients` of `loss`, a scalar, and clips those before. Once a loss or gradient
    /// is not finite, nothing is moved any more; see [`Optimizer::updates`]. The `first` step of a run fills momenta that
    /// are still empty.
    ///
    /// # Errors
    /// Gradients of other shapes than the parameters'.
    pub fn step(
        &mut self,
        lr: f64,
        first: bool,
        gradients: &[Tensor],
        loss: &Tensor,
    ) -> Result<()> {
        bridge::clip(gradients, self.clip_grad_norm, loss, &self.diverged)?;
        let skip = &self.diverged;
        match &self.settings {
            Settings::Adam(adam) | Settings::Adamw(adam) => {
                let AdamConfig {
                    beta1,
                    beta2,
                    eps,
                    weight_decay,
                    ..
                } = *adam;
                let decoupled = matches!(self.settings, Settings::Adamw(_));
                let values = bridge::Adam {
                    decoupled,
                    lr,
                    beta1,
                    beta2,
                    weight_decay,
                    eps,
                };
                bridge::adam(
                    &self.parameters,
                    gradients,
                    [&self.first, &self.second, &self.steps],
                    &values,
                    skip,
                )?;
            }
            &Settings::Sgd {
                momentum,
                nesterov,
                weight_decay,
                ..
            } => {
                let values = bridge::Sgd {
                    lr,
                    momentum,
                    weight_decay,
                    nesterov,
                    first,
                };
                bridge::sgd(&self.parameters, gradients, &self.first, &values, skip)?;
            }
            &Settings::Rmsprop {
                alpha,
                eps,
                momentum,
                weight_decay,
                ..
            } => {
                let values = bridge::Rmsprop {
                    lr,
                    alpha,
                    eps,
                    momentum,
                    weight_decay,
                };
                bridge::rmsprop(
                    &self.parameters,
                    gradients,
                    &self.second,
                    &self.first,
                    &values,
                    skip,
                )?;
            }
        }
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

/// Whether an optimiser of `settings` remembers first moments, second moments, and steps.
fn remembers(settings: &Settings) -> [bool; 3] {
    match *settings {
        Settings::Adam(_) | Settings::Adamw(_) => [true, true, true],
        Settings::Rmsprop { .. } => [true, true, false],
        Settings::Sgd { momentum, .. } => [momentum > 0.0, false, false],
    }
}
