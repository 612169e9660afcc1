//! What an artefact says of itself: `signet.json` inside it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::config::Experiment;
use crate::config::data::{Background, Decode, Fit};
use crate::config::document::Document as Yaml;
use crate::model::network::{Network, Normalization};
use crate::model::plan::{self, Plan};
use crate::rng::{Purpose, Stream};
use crate::run::checkpoint::{Checkpoint, CheckpointMeta, Fingerprints};
use crate::run::checkpoints;
use crate::train::snapshot;

/// The version of this document.
const FORMAT: u32 = 2;

/// The oldest version that is read: it says `colour` and `pictures`.
const OLDEST: u32 = 1;

/// Images of noise that an artefact is tried on where the images of its run are not at hand.
const PROBES: usize = 7;

/// Everything one needs to know to use a model, and to find out whether it is intact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of this document, [`FORMAT`].
    pub format: u32,
    /// The experiment's name.
    pub name: String,
    /// Names of the outputs, in their order.
    pub classes: Vec<String>,
    /// What goes in.
    pub input: Input,
    /// What the graph does to pixels before its first layer; nobody has to do it again.
    pub normalization: Normalization,
    /// Epochs behind the weights.
    pub epoch: usize,
    /// Steps behind them.
    pub step: usize,
    /// SHA-256 of the weights, as in `last.json` of the run.
    pub weights_sha256: String,
    /// How good the model is on its test part.
    #[serde(rename = "figures")]
    pub test: Option<TestMetrics>,
    /// What the live model made of the probes, `[probe][class]`.
    pub probe_logits: Vec<Vec<f32>>,
    /// What it was trained on.
    pub fingerprints: Fingerprints,
    /// The resolved experiment, in YAML.
    pub config: String,
    /// Version of signet.
    pub signet: String,
    /// Version of libtorch.
    pub libtorch: String,
}

/// What goes into a model: float32 `[N, channels, height, width]` in 0..1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `gray` (ITU-R BT.601 luma) or `rgb`.
    #[serde(alias = "colour")]
    pub color: String,
    /// What is seen behind transparent pixels: `none` (their opacity does not count), or a name or `#rrggbb` of a colour.
    #[serde(default = "none")]
    pub background: String,
    /// What becomes of an image of another aspect ratio: `squeeze`, `crop` (its middle) or `pad` (on the background).
    #[serde(default = "squeeze")]
    pub fit: String,
    /// `full`, or `scaled`: large JPEG files are decoded to a half, a quarter or an eighth, as long as that is twice the size or
    /// more.
    #[serde(default = "full")]
    pub decode: String,
    /// `plain`, or `stretch`: each image's darkest pixel becomes 0 and its brightest 1.
    pub preprocess: String,
    /// How an image of another size is made to fit, after `preprocess`.
    pub resize: String,
}

/// How good a model is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// Images of the test part.
    #[serde(alias = "pictures")]
    pub images: usize,
    /// Share recognised.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
}

impl Card {
    /// Of the model in `checkpoint`, without test metrics and probes.
    ///
    /// # Errors
    /// An experiment that this signet no longer reads.
    pub fn of(checkpoint: &Checkpoint) -> Result<Card> {
        let CheckpointMeta {
            classes,
            normalization,
            progress,
            config,
            fingerprints,
            environment,
            ..
        } = checkpoint.document.clone();
        let experiment = read(&config)?;
        let image = &experiment.data.image;
        Ok(Card {
            format: FORMAT,
            name: experiment.name,
            classes,
            input: Input {
                channels: image.depth(),
                height: image.height,
                width: image.width,
                color: image.channels.word().to_owned(),
                background: image.background.to_string(),
                fit: image.fit.word().to_owned(),
                decode: image.decode.word().to_owned(),
                preprocess: image.preprocess.word().to_owned(),
                resize: "triangle filter, antialiased, to 8-bit levels".to_owned(),
            },
            normalization,
            epoch: progress.epoch - 1,
            step: progress.step,
            weights_sha256: checkpoints::weights_sha256(&checkpoint.tensors)?,
            test: None,
            probe_logits: Vec::new(),
            fingerprints,
            config,
            signet: environment.signet,
            libtorch: environment.libtorch,
        })
    }

    /// Reads a card.
    ///
    /// # Errors
    /// A text that is none, or of a newer format.
    pub fn parse(text: &str) -> Result<Card> {
        let card: Card = serde_json::from_str(text).context("its signet.json is damaged")?;
        ensure!(
            (OLDEST..=FORMAT).contains(&card.format),
            "its signet.json has format {}, but this signet reads {OLDEST} to {FORMAT}; use the signet that wrote it",
            card.format
        );
        let image = card.experiment()?.data.image;
        let Input {
            channels,
            height,
            width,
            ..
        } = card.input;
        let statistics = [&card.normalization.mean, &card.normalization.std];
        ensure!(
            [channels, height, width] == [image.depth(), image.height, image.width]
                && statistics.iter().all(|list| list.len() == channels)
                && card.classes.len() >= 2,
            "its signet.json contradicts itself: input, normalization and classes are not those of its experiment"
        );
        Ok(card)
    }

    /// The card as a document.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The experiment behind the model.
    ///
    /// # Errors
    /// One that this signet no longer reads.
    pub fn experiment(&self) -> Result<Experiment> {
        let mut experiment = read(&self.config)?;
        if self.input.background == none() {
            experiment.data.image.background = Background::None; // as signet 0.2 had it, without a word of it
        }
        Ok(experiment)
    }

    /// The model's layers.
    ///
    /// # Errors
    /// An experiment that this signet no longer reads.
    pub fn plan(&self) -> Result<Plan> {
        let Input {
            channels,
            height,
            width,
            ..
        } = self.input;
        let model = self.experiment()?.model;
        Plan::new(&model, [channels, height, width], self.classes.len())
            .map_err(|(key, message)| anyhow::anyhow!("{key}: {message}"))
    }

    /// The model's layers with random weights, on the CPU.
    ///
    /// # Errors
    /// An experiment that this signet no longer reads.
    pub fn network(&self) -> Result<Network> {
        let experiment = self.experiment()?;
        Ok(Network::new(
            self.plan()?,
            &experiment.model,
            experiment.seed,
            &self.normalization,
            tch::Device::Cpu,
        ))
    }

    /// The model in `checkpoint`, on the CPU.
    ///
    /// # Errors
    /// A checkpoint that does not fit its own experiment.
    pub fn live(&self, checkpoint: &Checkpoint) -> Result<Network> {
        let network = self.network()?;
        network.load(&snapshot::weights(&checkpoint.tensors))?;
        Ok(network)
    }

    /// Images of noise, the same on every machine: `[PROBES, C, H, W]` in 0..1.
    pub fn probes(&self) -> Tensor {
        let Input {
            channels,
            height,
            width,
            ..
        } = self.input;
        let numbers: Vec<f32> = (0..PROBES as u64)
            .flat_map(|probe| {
                let mut stream = Stream::new(0, Purpose::Probe, &[probe]);
                let draw = move |_| stream.unit() as f32;
                (0..channels * height * width).map(draw)
            })
            .collect();
        let size = [PROBES, channels, height, width].map(|n| n as i64);
        Tensor::from_slice(&numbers).view(size)
    }
}

/// How cards that do not say so fit images.
fn squeeze() -> String {
    Fit::Squeeze.word().to_owned()
}

/// How cards that do not say so decode images.
fn full() -> String {
    Decode::Full.word().to_owned()
}

/// The background of cards that do not know of one.
fn none() -> String {
    Background::None.to_string()
}

fn read(config: &str) -> Result<Experiment> {
    let document = Yaml::parse("the model's experiment".to_owned(), config.to_owned(), &[])?;
    Ok(Experiment::from_document(
        &document,
        Path::new("model"),
        &[plan::check],
    )?)
}
