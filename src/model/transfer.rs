//! Beginning with the weights of another training: what fits by name and shape is taken.

use std::collections::BTreeMap;

use tch::Tensor;

use super::network::Network;

/// What became of the tensors that were offered.
#[derive(Debug, Default, Clone, PartialEq, serde::Serialize)]
pub struct Transfer {
    /// Names of those taken.
    pub taken: Vec<String>,
    /// Tensors of the network that keep their random start, each with the reason.
    pub missing: Vec<(String, String)>,
    /// Offered tensors that the network has no place for.
    pub left: Vec<String>,
}

/// Takes from `offered` what `network` has a place for.
pub fn transfer(network: &Network, offered: &BTreeMap<String, Tensor>) -> Transfer {
    let _guard = tch::no_grad_guard();
    let mut transfer = Transfer::default();
    for weight in network.weights() {
        match offered.get(&weight.name) {
            Some(tensor) if tensor.size() == weight.tensor.size() => {
                weight.tensor.shallow_clone().copy_(tensor);
                transfer.taken.push(weight.name.clone());
            }
            Some(tensor) => {
                let why = format!(
                    "is {:?} there, but {:?} here",
                    tensor.size(),
                    weight.tensor.size()
                );
                transfer.missing.push((weight.name.clone(), why));
            }
            None => {
                let why = "is not there".to_owned();
                transfer.missing.push((weight.name.clone(), why));
            }
        }
    }
    let own: Vec<&str> = network
        .weights()
        .iter()
        .map(|weight| weight.name.as_str())
        .collect();
    let unexpected = offered.keys().filter(|name| !own.contains(&name.as_str()));
    transfer.left = unexpected.cloned().collect();
    transfer
}
