//! Weights alone, by PyTorch's names, with the card in the metadata and beside them as `model.json`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::card::Card;
use crate::disk;
use crate::model::network::Network;
use crate::run::checkpoint::{self, to_safetensors};
use crate::run::checkpoints::weights_sha256;

/// The file beside the weights that holds the card.
pub const CARD: &str = "model.json";

/// The weights of `network` with their `card`.
///
/// # Errors
/// None that is known.
pub fn write(network: &Network, card: &Card) -> Result<Vec<u8>> {
    let metadata = HashMap::from([("card".to_owned(), card.to_json()?)]);
    to_safetensors(&network.state(), metadata)
}

/// Whether `file` is a safetensors file that carries a card, valid or not.
pub fn has_card(file: &Path) -> bool {
    let metadata = disk::read_artefact(file)
        .ok()
        .and_then(|bytes| checkpoint::metadata(&bytes).ok());
    metadata.is_some_and(|found| found.contains_key("card"))
}

/// The network in `file`, on the CPU, with its card.
///
/// # Errors
/// A file that is damaged, or not a model of signet's.
pub fn read(file: &Path) -> Result<(Network, Card)> {
    let bytes = disk::read_artefact(file)?;
    let text = checkpoint::metadata(&bytes)
        .context("no safetensors file, or a damaged one")?
        .remove("card")
        .context("not a model of signet's: its metadata has no card")?;
    let card = Card::parse(&text)?;
    let tensors = checkpoint::from_safetensors(&bytes)?;
    // Before memory is taken for layers as large as a card may claim.
    for (name, parameter) in card.plan()?.parameters() {
        let held = tensors.get(&name).map(tch::Tensor::size);
        ensure!(
            held.as_ref() == Some(&parameter.size),
            "damaged: {name} is not the one of the layers that its card describes"
        );
    }
    let network = card.network()?;
    ensure!(
        weights_sha256(&tensors)? == card.weights_sha256,
        "damaged: its weights are not those that its card names"
    );
    network.load(&tensors)?;
    Ok((network, card))
}
