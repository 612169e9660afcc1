//! `signet verify`.

use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
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
    let mut original = None;
    if command.artefact != Path::new("-") {
        return check(&command.artefact, &command, &mut original);
    }
    if command
        .json
        .as_deref()
        .is_some_and(|file| file != Path::new("-"))
    {
        let error = anyhow!("--json takes one report, and - names many artefacts; use --json -");
        return Err(error).blame(Fault::Config);
    }
    let mut names = std::io::stdin().lock().split(b'\0').peekable();
    if names.peek().is_none() {
        let error = anyhow!("standard input names no artefact; write a NUL behind each name");
        return Err(error).blame(Fault::Config);
    }
    for name in names {
        let name = name
            .context("cannot read standard input")
            .blame(Fault::Run)?;
        let path = PathBuf::from(OsString::from_vec(name));
        if command.json.is_none() {
            crate::show!("{}", path.display())?;
        }
        check(&path, &command, &mut original)?;
    }
    Ok(())
}

/// Holds one artefact against its model, which stays in `original`.
fn check(path: &Path, command: &VerifyArguments, original: &mut Option<Original>) -> Result<()> {
    let format = gate::format_of(path).blame(Fault::Config)?;
    if !path.is_file() {
        return Err(anyhow!("{} is no file", path.display())).blame(Fault::Run);
    }
    let artefact = Classifier::open(path)?;
    let report = match &command.against {
        None => gate::compare_with_probes(&artefact)?,
        Some(run) => {
            let card = &artefact.card;
            let known = original.take_if(|known| known.is_of(card, command));
            let known = match known {
                Some(known) => known,
                None => Original::open(run, path, card, command).blame(Fault::Run)?,
            };
            let Original {
                live, data, part, ..
            } = original.insert(known);
            let samples = Samples {
                count: part.len(),
                batch: Box::new(|range| data.pixels.batch(&part[range])),
                labels: Some(data.index.labels_of(part)),
            };
            let live = |images: &Tensor| live.batch_logits(images);
            gate::compare(format, &live, &artefact, &samples)?
        }
    };
    say(&report, command)?;
    if report.passed() {
        return Ok(());
    }
    bail!(
        "{} does not match its model: {}",
        path.display(),
        report.failure()
    )
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

/// What artefacts are held against.
struct Original {
    /// The digest of its weights.
    weights: String,
    live: Classifier,
    data: Dataset,
    /// The images that artefacts are tried on.
    part: Vec<usize>,
}

impl Original {
    /// That of the artefact at `path` with `card`, from `run`.
    fn open(run: &Path, path: &Path, card: &Card, command: &VerifyArguments) -> Result<Original> {
        let folder = RunDir::open(run)?;
        let checkpoint = match &command.checkpoint {
            Some(file) => Checkpoint::load(file)?,
            None => same_weights(&folder, card, path)?,
        };
        let (data, part) = images(&folder, &checkpoint, &command.moved.set)?;
        Ok(Original {
            weights: card.weights_sha256.clone(),
            live: Classifier::live(&checkpoint)?,
            data,
            part,
        })
    }

    /// Whether an artefact with `card` is to be held against it.
    fn is_of(&self, card: &Card, command: &VerifyArguments) -> bool {
        command.checkpoint.is_some() || self.weights == card.weights_sha256
    }
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
