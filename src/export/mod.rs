//! Models for others: TorchScript, ONNX and safetensors, each with a card that says what it is.
//!
//! `torchscript`, `onnx` and `safetensors` write bytes and know nothing of files; `gate` reads an artefact
//! back and holds it against the live model; `classifier` is what all of them look like when they are used;
//! `artefacts` puts them into a folder.

pub mod artefacts;
pub mod card;
pub mod classifier;
pub mod gate;
pub mod onnx;
mod pickle;
pub mod safetensors;
pub mod torchscript;

use std::path::Path;

use anyhow::{Context, Result};

use crate::config::run::Format;
use crate::model::network::Network;
use card::Card;

impl Format {
    /// The name of the artefact's file.
    pub fn file(self) -> &'static str {
        match self {
            Format::Torchscript => "model.pt",
            Format::Onnx => "model.onnx",
            Format::Safetensors => "model.safetensors",
        }
    }

    /// The format that the end of a file's name stands for.
    pub fn of(file: &Path) -> Option<Format> {
        let end = file.extension()?.to_str()?;
        [Format::Torchscript, Format::Onnx, Format::Safetensors]
            .into_iter()
            .find(|format| format.file().ends_with(&format!(".{end}")))
    }

    /// The largest difference between logits of an artefact and of the live model that is let through.
    /// TorchScript and safetensors compute with the same kernels; another runtime adds in another order.
    pub fn tolerance(self) -> f64 {
        match self {
            Format::Torchscript | Format::Safetensors => 1e-6,
            Format::Onnx => 1e-4,
        }
    }

    /// The artefact's bytes; equal for equal weights and cards.
    ///
    /// # Errors
    /// None that is known.
    pub fn write(self, network: &Network, card: &Card) -> Result<Vec<u8>> {
        let bytes = match self {
            Format::Torchscript => torchscript::write(network, card),
            Format::Onnx => onnx::write(network, card),
            Format::Safetensors => safetensors::write(network, card),
        };
        bytes.with_context(|| format!("cannot write the model as {}", self.word()))
    }
}
