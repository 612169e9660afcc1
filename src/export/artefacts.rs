//! The artefacts of a run in a folder: each is written beside its place, held against the live model by a fresh
//! process, one for all of them, and only then gets its name.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use super::card::{Card, TestMetrics};
use super::gate::Report;
use super::model_card::{self, Evidence};
use super::safetensors;
use super::verifier::{Verifier, go_on};
use crate::bridge;
use crate::config::Experiment;
use crate::config::data::Source;
use crate::config::run::{ExportConfig, Format};
use crate::data::hex;
use crate::data::split::Part;
use crate::disk::{self, FileKind, Folder};
use crate::fault::{Blame, Fault};
use crate::model::layer::Phase;
use crate::model::network::Network;
use crate::run::checkpoints::{self, FoundCheckpoint};
use crate::run::directory::RunDir;
use crate::run::interrupt::Interrupt;
use crate::run::resume;
use crate::run::session::{Session, reload};
use crate::train::evaluation::Evaluation;
use crate::train::metrics;

/// What the gates found, by format, written last.
const PARITY: &str = "parity.json";

/// The folder in a run that its own artefacts lie in.
pub const OWN: &str = "export";

/// The copy of the checkpoint that artefacts are held against.
const COPY: &str = "checkpoint.safetensors";

/// What [`PARITY`] says of an artefact that a gate let through.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// What the gate found.
    #[serde(flatten)]
    pub report: Report,
    /// The digest of its weights.
    pub weights_sha256: String,
    /// The file as it was then; signet 0.2 did not write this down.
    #[serde(flatten)]
    pub file: Option<FileDigest>,
}

/// What tells whether a file is the one that it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileDigest {
    /// Its length.
    pub bytes: usize,
    /// SHA-256 of all of it, in hexadecimal digits.
    pub sha256: String,
}

/// An artefact that passed its gate.
pub struct Exported {
    /// Which of the formats it is written in.
    pub format: Format,
    /// Where it lies.
    pub path: PathBuf,
    /// What the file is.
    pub file: FileDigest,
    /// What the gate found.
    pub report: Report,
    /// What writing and checking it took.
    pub seconds: f64,
}

/// The folder that a run's own artefacts lie in.
pub fn own_folder(folder: &RunDir) -> PathBuf {
    folder.file(OWN)
}

/// Whether the model in `found` lies in the run's own folder in every one of `formats`.
///
/// # Errors
/// None that is known.
pub fn are_there(folder: &RunDir, found: &FoundCheckpoint, formats: &[Format]) -> Result<bool> {
    let own = own_folder(folder);
    let parity = known_parity(&own);
    let weights = checkpoints::weights_sha256(&found.checkpoint.tensors)?;
    let is_there = |format: &Format| {
        let verdict = parity.get(format.word());
        let described = *format != Format::Safetensors || own.join(safetensors::CARD).is_file();
        described && verdict.is_some_and(|verdict| verdict["weights_sha256"] == *weights)
    };
    Ok(own.join(model_card::FILE).is_file() && formats.iter().all(is_there))
}

/// Puts the model in `found` into `out`, or the run's own folder, in the formats and under the licence that are `wanted`. The
/// data it is tried on lies in `source`, and in the session that trained it, if that was in this process.
///
/// # Errors
/// A checkpoint of another run, a folder that cannot be written, an artefact that is not the model; each with its
/// fault; a signal that came in `interrupt`. What was there before is there still.
pub fn export(
    folder: &RunDir,
    found: &FoundCheckpoint,
    source: &Source,
    wanted: &ExportConfig,
    out: Option<&Path>,
    trained_by: Option<&Session>,
    interrupt: &Interrupt,
) -> Result<Vec<Exported>> {
    resume::belongs(folder, found)?;
    let formats = settled(&wanted.formats);
    can_be_checked(&formats)?;
    let place = |what| {
        let out = out.map_or_else(|| own_folder(folder), Path::to_owned);
        format!("cannot {what} {}; name another with --out", out.display())
    };
    let opened = match out {
        Some(out) => Folder::make(out),
        None => folder.folder().make_folder(OWN),
    };
    let out_folder = opened.with_context(|| place("make"))?;
    keep_foreign_page(&out_folder)?;
    let unfinished = out_folder
        .unfinished()
        .with_context(|| place("write into"))?;
    let live = unfinished.folder().file(COPY);
    let mut verifier = Verifier::open(&live, folder, source, interrupt)?;
    // A run that goes on training may drop its own copy at any moment.
    let copy = found.checkpoint.to_bytes()?;
    unfinished.folder().write_unsynced(COPY, &copy)?;
    let (card, evidence) = describe(folder, found, source, trained_by)?;
    let network = card.live(&found.checkpoint)?;
    let mut all = Vec::new();
    for format in formats {
        go_on(interrupt)?;
        let began = Instant::now();
        let bytes = format.write(&network, &card)?;
        unfinished.folder().write_whole(format.file(), &bytes)?;
        let path = out_folder.file(format.file());
        let report = verifier.pass(&unfinished.folder().file(format.file()), &path)?;
        all.push(Exported {
            format,
            path,
            file: FileDigest {
                bytes: bytes.len(),
                sha256: hex(&Sha256::digest(&bytes)),
            },
            report,
            seconds: began.elapsed().as_secs_f64(),
        });
    }
    let page = |verdicts: &[(Format, Verdict)]| {
        model_card::write(&card, &evidence, wanted.license.as_ref(), verdicts)
    };
    publish(unfinished.folder(), &out_folder, &all, &card, page)?;
    Ok(all)
}

/// Makes sure that the README.md of `folder`, if there is one, is a model card of signet's: others have files of that name, too.
fn keep_foreign_page(folder: &Folder) -> Result<()> {
    let file = folder.file(model_card::FILE);
    match disk::read_text(&file) {
        Ok(text) if !model_card::is_one(&text) => bail!(
            "{} is no model card that signet wrote, and export would write one there; move it away, or name another folder \
             with --out",
            file.display()
        ),
        _ => Ok(()), // what is no text is replaced, or refused once it gets its name
    }
}

/// Each of `formats` once.
fn settled(formats: &[Format]) -> Vec<Format> {
    let mut formats = formats.to_vec();
    formats.sort_by_key(|format| format.file());
    formats.dedup();
    formats
}

/// Whether what a training of `experiment` is to end with can be checked, which is to be known before it begins.
///
/// # Errors
/// As [`export`] would have them.
pub fn can_end(experiment: &Experiment) -> Result<()> {
    let ExportConfig {
        formats, on_finish, ..
    } = &experiment.export;
    if *on_finish {
        can_be_checked(formats)
    } else {
        Ok(())
    }
}

/// Whether what the gate needs for `formats` is there.
///
/// # Errors
/// What is missing, and how to get it.
fn can_be_checked(formats: &[Format]) -> Result<()> {
    if formats.contains(&Format::Onnx) {
        bridge::onnx_runtime().blame(Fault::Run)?;
    }
    Ok(())
}

/// Moves what was exported from one folder to another, with the verdicts on it and the `page` that describes all that lies
/// there then. Every file is written before the first gets its name, so that a full disk leaves what was there.
fn publish(
    from: &Folder,
    to: &Folder,
    all: &[Exported],
    card: &Card,
    page: impl FnOnce(&[(Format, Verdict)]) -> Result<String>,
) -> Result<()> {
    let mut names: Vec<&str> = all.iter().map(|exported| exported.format.file()).collect();
    if names.contains(&Format::Safetensors.file()) {
        from.write_whole(safetensors::CARD, card.to_json()?.as_bytes())?;
        names.push(safetensors::CARD);
    }
    // The verdicts of another export are known once it is done, and the last name says that this one is.
    let _alone = to.alone()?;
    let mut parity = known_parity(to.path());
    for exported in all {
        let verdict = Verdict {
            report: exported.report.clone(),
            weights_sha256: card.weights_sha256.clone(),
            file: Some(exported.file.clone()),
        };
        parity.insert(exported.format.word().to_owned(), json!(verdict));
    }
    from.write_whole(model_card::FILE, page(&readable(&parity))?.as_bytes())?;
    names.push(model_card::FILE);
    let text = serde_json::to_string_pretty(&parity)? + "\n";
    from.write_whole(PARITY, text.as_bytes())?;
    names.push(PARITY);
    give_names(from, to, &names)
}

/// What gates found earlier of artefacts that still lie in `out`.
pub fn known_parity(out: &Path) -> Map<String, Value> {
    let text = disk::read_text(&out.join(PARITY)).unwrap_or_default();
    let mut known: Map<_, _> = serde_json::from_str(&text).unwrap_or_default();
    let formats = [Format::Torchscript, Format::Onnx, Format::Safetensors];
    known.retain(|word, _| {
        let mut own = formats.iter().filter(|format| format.word() == word);
        own.any(|format| out.join(format.file()).is_file())
    });
    known
}

/// The verdicts of `parity` that are such as signet writes.
fn readable(parity: &Map<String, Value>) -> Vec<(Format, Verdict)> {
    let formats = [Format::Torchscript, Format::Onnx, Format::Safetensors].into_iter();
    let read = |format: Format| {
        let verdict = parity.get(format.word())?.clone();
        Some((format, serde_json::from_value(verdict).ok()?))
    };
    formats.filter_map(read).collect()
}

/// Moves the files called `names` from one folder to another, in their order; a name that is a folder's is found out
/// first.
fn give_names(from: &Folder, to: &Folder, names: &[&str]) -> Result<()> {
    if let Some(taken) = names
        .iter()
        .find(|name| to.kind(name) == Some(FileKind::Folder))
    {
        bail!(
            "cannot write {}, which is a folder; name another with --out",
            to.file(taken).display()
        );
    }
    names
        .iter()
        .try_for_each(|name| from.rename(name, to, name))?;
    to.sync()
}

/// What the artefacts will say of the model, with its metrics on the test part and on the probes, and what else there is to
/// say.
fn describe(
    folder: &RunDir,
    found: &FoundCheckpoint,
    source: &Source,
    trained_by: Option<&Session>,
) -> Result<(Card, Evidence)> {
    let mut card = Card::of(&found.checkpoint)?;
    let network = card.live(&found.checkpoint)?;
    card.probe_logits =
        probe(&network, &card.probes()).with_context(|| found.file.display().to_string())?;
    let read;
    let (data, split) = match trained_by.filter(|session| session.device == Device::Cpu) {
        Some(session) => (&session.data, &session.split),
        None => {
            let mut experiment = card.experiment()?;
            experiment.data.source = source.clone();
            let then = &found.checkpoint.document.fingerprints;
            read = reload(&experiment, then, Some(folder))?;
            (&read.0, &read.1)
        }
    };
    let index = &data.index;
    let part = split.judged_by();
    let members = split.part(part);
    let logits = metrics::logits(&network, data, members)?;
    let names: Vec<&str> = members.iter().map(|&image| &*index.names[image]).collect();
    let labels = index.labels_of(members);
    let evaluation = Evaluation::new(part.word(), &logits, &labels, &names, &index.classes)?;
    if part == Part::Test {
        ensure_finite(evaluation.loss.is_finite())
            .with_context(|| found.file.display().to_string())?;
        card.test = Some(TestMetrics {
            images: evaluation.images,
            accuracy: evaluation.accuracy,
            loss: evaluation.loss,
        });
    }
    let path = std::fs::canonicalize(folder.path())?;
    let run = path.file_name().unwrap_or_default();
    let evidence = Evidence {
        run: run.to_string_lossy().into_owned(),
        source: Evidence::source(source),
        images: Evidence::count(index, split),
        evaluation,
    };
    Ok((card, evidence))
}

/// Logits of the probes, one row each.
fn probe(network: &Network, probes: &Tensor) -> Result<Vec<Vec<f32>>> {
    let _guard = tch::no_grad_guard();
    let logits = network.forward(probes, Phase::Serve);
    let rows = Vec::<Vec<f32>>::try_from(logits)?;
    ensure_finite(rows.iter().flatten().all(|logit| logit.is_finite()))?;
    Ok(rows)
}

fn ensure_finite(finite: bool) -> Result<()> {
    if finite {
        return Ok(());
    }
    Err(anyhow!(
        "the model's own logits are not finite; export another checkpoint with --from"
    ))
    .blame(Fault::Export)
}
