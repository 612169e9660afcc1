//! Anything that turns images into logits: a run, a checkpoint, an artefact in any format.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tch::{CModule, Kind, Tensor};
use tract_onnx::model::ParsingContext;
use tract_onnx::ops::rec::common::CommonRec;
use tract_onnx::ops::rec::rnn::RNN;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core;
use tract_onnx::tract_hir::internal::{InferenceOp, expand};

use super::card::Card;
use super::{onnx, onnx_check, safetensors, torchscript};
use crate::config::run::Format;
use crate::disk;
use crate::fault::contained;
use crate::model::layer::Phase;
use crate::model::network::Network;
use crate::run::checkpoint::Checkpoint;
use crate::run::checkpoints;
use crate::run::directory::RunDir;

/// Images that go through a model at a time.
const BATCH: i64 = 256;

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
    /// tract.
    Onnx(Box<InferenceModel>),
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
            // tract panics on attributes that no exporter writes.
            let (model, card) = contained(|| read_onnx(bytes))?;
            let engine = Engine::Onnx(Box::new(model));
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
            Engine::Network(network) => network.forward(images, Phase::Eval),
            Engine::TorchScript(module) => module
                .forward_ts(&[images])
                .map_err(|error| anyhow!("the model does not run: {}", last_words(&error)))?,
            Engine::Onnx(model) => contained(|| run_onnx(model, images))
                .map_err(|error| anyhow!("the model does not run: {}", first_line(&error)))?,
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

    /// The same in batches of moderate size.
    ///
    /// # Errors
    /// As [`Classifier::batch_logits`].
    pub fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let batches = images.split(BATCH, 0);
        let logits: Result<Vec<Tensor>> = batches
            .iter()
            .map(|batch| self.batch_logits(batch))
            .collect();
        Ok(Tensor::cat(&logits?, 0))
    }
}

/// What an error of a library says first; the rest is frames and tensors.
fn first_line(error: &impl std::fmt::Display) -> String {
    let text = format!("{error:#}");
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default().chars().take(300).collect()
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

fn read_onnx(bytes: &[u8]) -> Result<(InferenceModel, Card)> {
    let mut reader = tract_onnx::onnx();
    reader.op_register.insert("RNN", rnn);
    let proto = reader
        .proto_model_for_read(&mut Cursor::new(bytes))
        .map_err(|_| anyhow!("no ONNX model, or a damaged one"))?;
    let card = proto
        .metadata_props
        .iter()
        .find(|property| property.key == onnx::CARD)
        .context("not a model of signet's: its metadata has no card")?;
    let card = Card::parse(&card.value)?;
    onnx_check::check(&proto, &card)?;
    let model = reader
        .model_for_proto_model(&proto)
        .map_err(|error| anyhow!("tract does not read it: {}", first_line(&error)))?;
    Ok((model, card))
}

/// ONNX's RNN. tract's own reading of it (0.23.9) takes every activation for tanh.
fn rnn(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let relu = node.attribute.iter().any(|attribute| {
        attribute.name == "activations" && attribute.strings.iter().all(|word| word == b"Relu")
    });
    let function: Box<dyn TypedOp> = if relu {
        Box::new(tract_core::ops::nn::leaky_relu(0.0))
    } else {
        Box::new(tract_core::ops::math::tanh())
    };
    let cell = RNN::new(function.clone(), function);
    let layer = CommonRec::from_node_and_options(node, 3, 0, Box::new(cell))?;
    Ok((expand(layer), Vec::new()))
}

fn run_onnx(model: &InferenceModel, images: &Tensor) -> TractResult<Tensor> {
    let size: Vec<usize> = images.size().iter().map(|&n| n as usize).collect();
    let runnable = model
        .clone()
        .with_input_fact(0, f32::fact(&size).into())?
        .into_optimized()?
        .into_runnable()?;
    let numbers: Vec<f32> = Vec::try_from(images.contiguous().view([-1]))?;
    let input = tract_ndarray::ArrayD::from_shape_vec(size, numbers)?;
    let outputs = runnable.run(tvec!(input.into_tensor().into()))?;
    let output = outputs.first().context("it has no output")?;
    let output = output.to_plain_array_view::<f32>()?;
    let shape: Vec<i64> = output.shape().iter().map(|&n| n as i64).collect();
    let numbers: Vec<f32> = output.iter().copied().collect();
    Ok(Tensor::from_slice(&numbers)
        .to_kind(Kind::Float)
        .view(&shape[..]))
}
