//! Models for others: TorchScript, ONNX and safetensors, each with a card that says what it is.
//!
//! `torchscript`, `onnx` and `safetensors` write bytes and know nothing of files; `onnx_proto` has ONNX's messages,
//! `onnx_check` refuses graphs of others, `onnx_runtime` computes; `gate` reads an artefact back and holds it against the live model; `classifier` is what all of them look
//! like when they are used; `artefacts` puts them into a folder, and `model_card` describes that folder for people, with
//! the network as Python has it by `torch_source`.

pub mod artefacts;
pub mod card;
pub mod classifier;
pub mod gate;
pub mod model_card;
pub mod onnx;
pub mod onnx_check;
pub mod onnx_proto;
mod onnx_runtime;
mod pickle;
pub mod safetensors;
mod torch_source;
pub mod torchscript;
mod verifier;

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

    /// The format that the end of a file's name stands for, or else the one that its content looks like.
    pub fn of(file: &Path) -> Option<Format> {
        let end = file.extension().and_then(|end| end.to_str());
        let formats = [Format::Torchscript, Format::Onnx, Format::Safetensors];
        let named = end.and_then(|end| {
            let end = format!(".{}", end.to_lowercase());
            formats
                .into_iter()
                .find(|format| format.file().ends_with(&end))
        });
        named.or_else(|| Format::of_content(file))
    }

    /// By the first bytes: TorchScript is a zip, safetensors the length of a JSON object with that object behind it,
    /// ONNX the field 1 (`ir_version`) of a protocol buffer, a small number, and another field.
    fn of_content(file: &Path) -> Option<Format> {
        // Opening a pipe would wait for somebody to write to it.
        file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut first = [0; 9];
        let mut opened = std::fs::File::open(file).ok()?;
        std::io::Read::read_exact(&mut opened, &mut first).ok()?;
        match first {
            [b'P', b'K', 3, 4, ..] => Some(Format::Torchscript),
            [.., 0, b'{'] => Some(Format::Safetensors),
            [0x08, 1..=32, 0x12, ..] => Some(Format::Onnx),
            _ => None,
        }
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
