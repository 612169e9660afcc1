//! `signet verify`.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use tch::Tensor;

use crate::cli::VerifyArguments;
use crate::data::Dataset;
use crate::export::card::Card;
use crate::export::classifier::Classifier;
use crate::export::gate::{self, Report, Samples};
use crate::fault::{Blame, Fault};
use crate::messages;
use crate::report::summary;
use crate::run::checkpoint::Checkpoint;
use crate::run::checkpoints;
use crate::run::directory::RunDir;
use crate::run::resume;
use crate::run::session::reload;
use crate::run::source::source_of;

pub(super) fn run(command: VerifyArguments) -> Result<()> {
    let format = gate::format_of(&command.artefact).blame(Fault::Config)?;
    if !command.artefact.is_file() {
        let error = anyhow!("{} is no file", command.artefact.display());
        return Err(error).blame(Fault::Run);
    }
    let artefact = Classifier::open(&command.artefact)?;
    let report = match &command.against {
        None => gate::compare_with_probes(&artefact)?,
        Some(run) => {
            let (live, data, part) = original(run, &artefact.card, &command).blame(Fault::Run)?;
            let samples = Samples {
                count: part.len(),
                batch: Box::new(|range| data.pixels.batch(&part[range])),
                labels: Some(data.index.labels_of(&part)),
            };
            let live = |images: &Tensor| live.batch_logits(images);
            gate::compare(format, &live, &artefact, &samples)?
        }
    };
    say(&report, &command)?;
    if report.passed() {
        Ok(())
    } else {
        bail!(
            "{} does not match its model: {}",
            command.artefact.display(),
            report.failure()
        )
    }
}

fn say(report: &Report, command: &VerifyArguments) -> Result<()> {
    if command.json.as_deref() != Some(Path::new("-")) {
        messages::show_text(&summary::gate(report))?;
    }
    match &command.json {
        Some(file) => {
            let text = serde_json::to_string_pretty(report)? + "\n";
            super::write_text(file, &text)
        }
        None => Ok(()),
    }
}

/// The model that the artefact with `card` is held against, with the images and those of them it is tried on.
fn original(
    run: &Path,
    card: &Card,
    command: &VerifyArguments,
) -> Result<(Classifier, Dataset, Vec<usize>)> {
    let folder = RunDir::open(run)?;
    let checkpoint = match &command.checkpoint {
        Some(file) => Checkpoint::load(file)?,
        None => same_weights(&folder, card, &command.artefact)?,
    };
    let (data, part) = images(&folder, &checkpoint, &command.moved.set)?;
    Ok((Classifier::live(&checkpoint)?, data, part))
}

/// The checkpoint of the run in `folder` whose weights the artefact says it holds.
fn same_weights(folder: &RunDir, card: &Card, artefact: &Path) -> Result<Checkpoint> {
    checkpoints::newest(folder.path())?;
    for (_, file) in checkpoints::list(folder.path())? {
        let Ok(checkpoint) = Checkpoint::load(&file) else {
            continue;
        };
        if checkpoints::weights_sha256(&checkpoint.tensors)? == card.weights_sha256 {
            return Ok(checkpoint);
        }
    }
    Err(anyhow!(
        "{} is the model of {} after epoch {}, and no checkpoint of {} has its weights; name the run it was \
         exported from, or run verify without --against",
        artefact.display(),
        card.name,
        card.epoch,
        folder.path().display()
    ))
    .blame(Fault::Export)
}

/// The images of the run and its test part; where that is too small for all sizes of batches, the others too.
fn images(
    folder: &RunDir,
    checkpoint: &Checkpoint,
    overrides: &[String],
) -> Result<(Dataset, Vec<usize>)> {
    let document = &checkpoint.document;
    let mut experiment = resume::experiment(document, &[])?;
    let config = &document.config;
    experiment.data.source = source_of(Some(folder), config, overrides)?;
    let (data, split) = reload(&experiment, &document.fingerprints, Some(folder))?;
    let part = if split.test.len() >= gate::TRIED {
        split.test
    } else {
        [split.test, split.val, split.train].concat()
    };
    Ok((data, part))
}
