//! A plan with weights: what is trained, used, saved and loaded.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use crate::bridge;
use crate::config::model::{InitConfig, ModelConfig, WeightInit};

use super::layer::{Init, Parameter, Phase, Role};
use super::plan::Plan;

/// How pixels in 0..1 are shifted and scaled, per channel, before the first layer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Normalization {
    /// Subtracted from each channel, in 0..1.
    pub mean: Vec<f64>,
    /// What each channel is divided by then, above 0.
    pub std: Vec<f64>,
}

/// One tensor of a network.
pub struct Weight {
    /// PyTorch's dotted name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its numbers.
    pub tensor: Tensor,
}

/// A network on a device.
pub struct Network {
    plan: Plan,
    named: Vec<Weight>,
    /// Those of `named`, as the layers take them.
    tensors: Vec<Tensor>,
    mean: Tensor,
    std: Tensor,
}

impl Network {
    /// Gives `plan` the weights that `torch.manual_seed(seed)` followed by making the same `torch.nn`
    /// modules gives, or those of `model.init`. They are drawn on the CPU and then moved.
    pub fn new(
        plan: Plan,
        model: &ModelConfig,
        seed: u64,
        normalization: &Normalization,
        device: Device,
    ) -> Network {
        tch::manual_seed(seed as i64);
        let mut named = Vec::new();
        for (name, parameter) in plan.parameters() {
            let tensor = start(&parameter, &model.init).to_device(device);
            let tensor = tensor.set_requires_grad(parameter.role.trained());
            named.push(Weight {
                name,
                role: parameter.role,
                tensor,
            });
        }
        let tensors: Vec<Tensor> = named
            .iter()
            .map(|weight| weight.tensor.shallow_clone())
            .collect();
        if device.is_cuda() {
            for leaf in plan.root.leaves() {
                leaf.layer.lay_out_for_cuda(leaf.own(&tensors));
            }
        }
        let statistics = |list: &[f64]| {
            let list: Vec<f32> = list.iter().map(|&number| number as f32).collect();
            Tensor::from_slice(&list)
                .view([1, -1, 1, 1])
                .to_device(device)
        };
        let (mean, std) = (
            statistics(&normalization.mean),
            statistics(&normalization.std),
        );
        Network {
            plan,
            named,
            tensors,
            mean,
            std,
        }
    }

    /// Logits of a batch.
    ///
    /// # Shapes
    /// `x`: `[B, C, H, W]`, any strides, bytes of 0 to 255 or numbers in 0..1; result: `[B, classes]`, float32.
    pub fn forward(&self, x: &Tensor, mode: Phase) -> Tensor {
        let x = self.normalized(x);
        let logits = self.plan.root.forward(&self.tensors, &x, mode);
        logits.to_kind(Kind::Float)
    }

    /// What the first layer gets of images.
    pub(super) fn normalized(&self, x: &Tensor) -> Tensor {
        bridge::normalize(x, &self.mean, &self.std).expect("the plan is for such images")
    }

    /// All tensors, as the layers take them.
    pub(super) fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.mean.device()
    }

    /// The layers with the shapes between them.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All tensors, in order.
    pub fn weights(&self) -> &[Weight] {
        &self.named
    }

    /// The tensors that gradients move, in order, with their names.
    pub fn trained(&self) -> (Vec<String>, Vec<Tensor>) {
        let trained = self.named.iter().filter(|weight| weight.role.trained());
        trained
            .map(|weight| (weight.name.clone(), weight.tensor.shallow_clone()))
            .unzip()
    }

    /// Running statistics and counters, in order.
    pub fn buffers(&self) -> impl Iterator<Item = Tensor> {
        let kept = self.named.iter().filter(|weight| !weight.role.trained());
        kept.map(|weight| weight.tensor.shallow_clone())
    }

    /// A copy of all tensors on the CPU, by name.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let copy = |weight: &Weight| {
            (
                weight.name.clone(),
                weight.tensor.detach().to_device(Device::Cpu).copy(),
            )
        };
        self.named.iter().map(copy).collect()
    }

    /// Takes over `state`, which must hold exactly the tensors of this network.
    ///
    /// # Errors
    /// A missing, additional or differently shaped tensor; nothing is changed then.
    pub fn load(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        for weight in &self.named {
            let Some(tensor) = state.get(&weight.name) else {
                bail!("there is no tensor {}, which this model needs", weight.name);
            };
            ensure!(
                tensor.size() == weight.tensor.size() && tensor.kind() == weight.tensor.kind(),
                "{} is {:?} {:?} there, but {:?} {:?} in this model",
                weight.name,
                tensor.kind(),
                tensor.size(),
                weight.tensor.kind(),
                weight.tensor.size()
            );
        }
        if let Some(unexpected) = state
            .keys()
            .find(|name| self.named.iter().all(|weight| weight.name != **name))
        {
            bail!("the tensor {unexpected} belongs to another model");
        }
        let _guard = tch::no_grad_guard();
        for weight in &self.named {
            weight.tensor.shallow_clone().copy_(&state[&weight.name]);
        }
        Ok(())
    }
}

/// A tensor as it is before the first step.
fn start(parameter: &Parameter, init: &InitConfig) -> Tensor {
    let kind = if parameter.role == Role::Counter {
        Kind::Int64
    } else {
        Kind::Float
    };
    let mut tensor = Tensor::zeros(&parameter.size[..], (kind, Device::Cpu));
    let _guard = tch::no_grad_guard();
    match (init, parameter.role) {
        (InitConfig::Custom(law), Role::Weight) => match law.weights {
            WeightInit::Constant { value } => tensor.fill_(value),
            WeightInit::Normal { mean, std } => tensor.normal_(mean, std),
            WeightInit::Uniform { low, high } => tensor.uniform_(low, high),
        },
        (InitConfig::Custom(_), Role::Bias) => tensor,
        _ => match parameter.start {
            Init::Uniform(bound) => tensor.uniform_(-bound, bound),
            Init::Ones => tensor.fill_(1.0),
            Init::Zeros => tensor,
        },
    }
}
