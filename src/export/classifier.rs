//! Anything that turns images into logits: a run, a checkpoint, an artefact in any format.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use prost::Message;
use tch::{CModule, Kind, Tensor};

use super::card::Card;
use super::onnx_proto::ModelProto;
use super::onnx_runtime::{OnnxSession, first_line};
use super::{onnx, onnx_check, safetensors, torchscript};
use crate::bridge::in_unit;
use crate::config::run::Format;
use crate::data::pixels::Pixels;
use crate::disk;
use crate::model::layer::Phase;
use crate::model::network::Network;
use crate::run::checkpoint::Checkpoint;
use crate::run::checkpoints;
use crate::run::directory::RunDir;

/// Images that go through a model at a time.
const BATCH: usize = 256;

/// A model that is used and not trained, on the CPU.
pub struct Classifier {
    /// What it says of itself.
    pub card: Card,
    engine: Engine,
}

enum Engine {
    /// signet's own layers.
    Network(Box<Network>),
    /// libtorch's interpreter.
    TorchScript(CModule),
    /// ONNX Runtime.
    Onnx(OnnxSession),
}

impl Classifier {
    /// The model in a run directory (its best epoch), a checkpoint, or an artefact, by what `target` is.
    ///
    /// # Errors
    /// A target that is missing, damaged, or none of these.
    pub fn open(target: &Path) -> Result<Classifier> {
        let place = || target.display().to_string();
        if target.is_dir() {
            RunDir::open(target)?;
            let found = checkpoints::best(target)?;
            found.report();
            return Classifier::live(&found.checkpoint).with_context(place);
        }
        match Format::of(target) {
            Some(Format::Safetensors) if safetensors::has_card(target) => {
                let (network, card) = safetensors::read(target).with_context(place)?;
                let engine = Engine::Network(Box::new(network));
                Ok(Classifier { card, engine })
            }
            Some(Format::Safetensors) => {
                Classifier::live(&Checkpoint::load(target)?).with_context(place)
            }
            Some(format) => {
                let bytes = disk::read_artefact(target).with_context(place)?;
                Classifier::from_bytes(format, &bytes).with_context(place)
            }
            None => bail!(
                "{} {}; a run directory, a checkpoint (.safetensors) or an export (.pt, .onnx, .safetensors) is one",
                target.display(),
                if target.exists() {
                    "is no model"
                } else {
                    "does not exist"
                }
            ),
        }
    }

    /// The model in a checkpoint.
    ///
    /// # Errors
    /// A checkpoint that does not fit its own experiment.
    pub fn live(checkpoint: &Checkpoint) -> Result<Classifier> {
        let card = Card::of(checkpoint)?;
        let engine = Engine::Network(Box::new(card.live(checkpoint)?));
        Ok(Classifier { card, engine })
    }

    fn from_bytes(format: Format, bytes: &[u8]) -> Result<Classifier> {
        if format == Format::Onnx {
            let card = read_onnx(bytes)?;
            let engine = Engine::Onnx(OnnxSession::open(bytes)?);
            return Ok(Classifier { card, engine });
        }
        let card = torchscript::read_card(bytes)?;
        // In the mode it was saved in: one that still drops out is to be found out.
        let module = CModule::load_data(&mut Cursor::new(bytes))
            .map_err(|error| anyhow!("libtorch does not load it: {}", first_line(&error)))?;
        let engine = Engine::TorchScript(module);
        Ok(Classifier { card, engine })
    }

    /// Logits `[N, classes]` of images `[N, C, H, W]` in 0..1, all in one batch.
    ///
    /// # Errors
    /// A graph that cannot compute them.
    pub fn batch_logits(&self, images: &Tensor) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let logits = match &self.engine {
            Engine::Network(network) => network.forward(images, Phase::Serve),
            Engine::TorchScript(module) => module
                .forward_ts(&[images])
                .map_err(|error| anyhow!("the model does not run: {}", last_words(&error)))?,
            Engine::Onnx(session) => session.run(images).context("the model does not run")?,
        };
        let expected = [images.size()[0], self.card.classes.len() as i64];
        ensure!(
            logits.size() == expected && logits.kind() == Kind::Float,
            "the model gives {:?} {:?} where {expected:?} float32 logits are due",
            logits.kind(),
            logits.size()
        );
        Ok(logits)
    }

    /// Logits of the images at `part` of `pixels`, in batches of moderate size.
    ///
    /// # Errors
    /// As [`Classifier::batch_logits`].
    pub fn logits(&self, pixels: &Pixels, part: &[usize]) -> Result<Tensor> {
        let mut images = pixels.in_order(part.to_vec());
        let batches = part.chunks(BATCH);
        let logits: Result<Vec<Tensor>> = batches
            .map(|batch| self.batch_logits(&in_unit(&images.next(batch.len())?)?))
            .collect();
        Ok(Tensor::cat(&logits?, 0))
    }
}

/// What an error of libtorch's interpreter comes to: the exception itself stands last, behind the source it was met in.
fn last_words(error: &impl std::fmt::Display) -> String {
    let text = format!("{error:#}");
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("Error: "));
    let line = lines.next_back().map(str::to_owned);
    line.map_or_else(
        || first_line(error),
        |line| line.chars().take(300).collect(),
    )
}

/// The card of an ONNX model whose graph is signet's.
fn read_onnx(bytes: &[u8]) -> Result<Card> {
    let model =
        ModelProto::decode(bytes).map_err(|_| anyhow!("no ONNX model, or a damaged one"))?;
    let card = model
        .metadata_props
        .iter()
        .find(|property| property.key == onnx::CARD)
        .context("not a model of signet's: its metadata has no card")?;
    let card = Card::parse(&card.value)?;
    onnx_check::check(&model, &card)?;
    Ok(card)
}
