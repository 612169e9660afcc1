//! Optimisers on state we own: moments are plain tensors beside their parameter.
//!
//! tch wraps libtorch's optimisers without a way to read their state, so that a run could never be
//! resumed exactly; these hold it themselves and call libtorch's fused kernels through the bridge.

use anyhow::Result;
use tch::{Kind, Tensor};

use crate::bridge;
use crate::config::train::{AdamConfig, Optimizer as Settings};

/// The parameters of a network and what the optimiser remembers of each.
pub struct Optimizer {
    settings: Settings,
    clip_grad_norm: Option<f64>,
    parameters: Vec<Tensor>,
    /// Adam's averages, or momenta; empty where there is no momentum.
    first: Vec<Tensor>,
    /// Averages of squares; empty for SGD.
    second: Vec<Tensor>,
    /// Adam's step counters: float32 scalars on the device, as its fused kernel wants them.
    steps: Vec<Tensor>,
    started: bool,
    diverged: Tensor,
}

impl Optimizer {
    /// For `parameters`, which must be leaves that require gradients.
    pub fn new(
        settings: Settings,
        clip_grad_norm: Option<f64>,
        parameters: Vec<Tensor>,
    ) -> Optimizer {
        let zeros = |wanted: bool| -> Vec<Tensor> {
            let like = |parameter: &Tensor| parameter.detach().zeros_like();
            parameters.iter().filter(|_| wanted).map(like).collect()
        };
        let device = parameters[0].device();
        let scalar = |_: &Tensor| Tensor::zeros([0i64; 0], (Kind::Float, device));
        let adam = matches!(settings, Settings::Adam(_) | Settings::Adamw(_));
        let rmsprop = matches!(settings, Settings::Rmsprop { .. });
        let momentum = matches!(settings, Settings::Sgd { momentum, .. } if momentum > 0.0);
        Optimizer {
            first: zeros(adam || rmsprop || momentum),
            second: zeros(adam || rmsprop),
            steps: if adam {
                parameters.iter().map(scalar).collect()
            } else {
                Vec::new()
            },
            started: false,
            diverged: Tensor::zeros([0i64; 0], (Kind::Float, device)),
            settings,
            clip_grad_norm,
            parameters,
        }
    }

    /// Moves the parameters against the gradients that `loss` was just differentiated into, and drops
    /// those. Once a loss or gradient is not finite, nothing is moved any more; see [`Optimizer::diverged`].
    ///
    /// # Errors
    /// A parameter that `loss` does not depend on.
    pub fn step(&mut self, lr: f64, loss: &Tensor) -> Result<()> {
        let gradients = bridge::gradients(&self.parameters)?;
        bridge::clip(&gradients, self.clip_grad_norm, loss, &self.diverged)?;
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
                let figures = bridge::Adam {
                    decoupled,
                    lr,
                    beta1,
                    beta2,
                    weight_decay,
                    eps,
                };
                bridge::adam(
                    &self.parameters,
                    &gradients,
                    [&self.first, &self.second, &self.steps],
                    &figures,
                    skip,
                )?;
            }
            &Settings::Sgd {
                momentum,
                nesterov,
                weight_decay,
                ..
            } => {
                let figures = bridge::Sgd {
                    lr,
                    momentum,
                    weight_decay,
                    nesterov,
                    first: !self.started,
                };
                bridge::sgd(&self.parameters, &gradients, &self.first, &figures, skip)?;
            }
            &Settings::Rmsprop {
                alpha,
                eps,
                momentum,
                weight_decay,
                ..
            } => {
                let figures = bridge::Rmsprop {
                    lr,
                    alpha,
                    eps,
                    momentum,
                    weight_decay,
                };
                bridge::rmsprop(
                    &self.parameters,
                    &gradients,
                    &self.second,
                    &self.first,
                    &figures,
                    skip,
                )?;
            }
        }
        self.started = true;
        bridge::forget_gradients(&self.parameters)
    }

    /// A scalar on the device: 1 from the first loss or gradient on that was not finite, else 0.
    pub fn diverged(&self) -> &Tensor {
        &self.diverged
    }
}
