//! `signet eval`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};

use crate::cli::{Eval, Part};
use crate::config::Experiment;
use crate::config::data::SplitConfig;
use crate::data::Dataset;
use crate::data::split::{Manifest, Split};
use crate::fault::{Blame, Fault};
use crate::model::plan;
use crate::report::evaluation::Evaluation;
use crate::report::summary::table;
use crate::run::directory::RunDir;
use crate::run::session::Session;
use crate::run::weights;
use crate::train::metrics;

pub(super) fn run(command: Eval) -> Result<()> {
    let (folder, file) = find(&command.target).blame(Fault::Run)?;
    let session = open(&folder, &file)?;
    let (name, part) = match command.part {
        Part::Train => ("train", session.split.train.clone()),
        Part::Val => ("val", session.split.val.clone()),
        Part::Test => ("test", session.split.test.clone()),
        Part::All => (
            "all",
            session
                .split
                .parts()
                .iter()
                .flat_map(|(_, part)| part.to_vec())
                .collect(),
        ),
    };
    if part.is_empty() {
        return Err(anyhow!(
            "the run has no {name} part; choose another with --part"
        ))
        .blame(Fault::Config);
    }
    let logits = metrics::logits(&session.network, &session.pictures, &part);
    let labels: Vec<i64> = part
        .iter()
        .map(|&index| session.data.labels[index])
        .collect();
    let names: Vec<&str> = part
        .iter()
        .map(|&index| session.data.names[index].as_str())
        .collect();
    let evaluation = Evaluation::new(name, &logits, &labels, &names, &session.data.classes)?;
    let to_stdout = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    if !to_stdout(&command.json) && !to_stdout(&command.csv) {
        print!("{}", describe(&evaluation));
    }
    if let Some(file) = &command.json {
        write(file, &(serde_json::to_string_pretty(&evaluation)? + "\n")).blame(Fault::Run)?;
    }
    if let Some(file) = &command.csv {
        write(file, &csv(&evaluation, &session.data.classes)).blame(Fault::Run)?;
    }
    Ok(())
}

/// The run and the weights that `target` names.
fn find(target: &Path) -> Result<(RunDir, PathBuf)> {
    if target
        .extension()
        .is_some_and(|extension| extension == "safetensors")
    {
        let folder = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        return Ok((RunDir::open(folder)?, target.to_owned()));
    }
    let folder = RunDir::open(target)?;
    let file = folder.file("best.safetensors");
    ensure!(
        file.is_file(),
        "{} has no best.safetensors: no epoch of it has ended; train again",
        target.display()
    );
    Ok((folder, file))
}

/// The run as it was, with the pictures and the split it was trained on.
fn open(folder: &RunDir, file: &Path) -> Result<Session> {
    let experiment = Experiment::load(&folder.file("resolved.yaml"), &[], &[plan::check])
        .blame(Fault::Config)?;
    let (state, card) = weights::load(file).blame(Fault::Run)?;
    let data = Dataset::load(&experiment.data).blame(Fault::Data)?;
    let manifest = folder.file("split.json");
    let split = Split::deal(
        &data,
        &SplitConfig::Manifest {
            file: manifest.clone(),
        },
        experiment.seed,
    )
    .blame(Fault::Data)?;
    check_fingerprint(&manifest, &data).blame(Fault::Data)?;
    let session = Session::with(experiment, data, split, card.normalization)?;
    session
        .network
        .load(&state)
        .with_context(|| format!("{} does not fit this run's model", file.display()))
        .blame(Fault::Run)?;
    Ok(session)
}

fn check_fingerprint(manifest: &Path, data: &Dataset) -> Result<()> {
    let recorded: Manifest = serde_json::from_str(&std::fs::read_to_string(manifest)?)?;
    ensure!(
        recorded.fingerprint == data.fingerprint(),
        "the pictures have changed since this run was trained (fingerprint {}… then, {}… now); bring the old ones back",
        &recorded.fingerprint[..12.min(recorded.fingerprint.len())],
        &data.fingerprint()[..12]
    );
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    if file == Path::new("-") {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn describe(evaluation: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.2}", 100.0 * share);
    let [low, high] = evaluation.accuracy_interval.map(percent);
    let right = evaluation.pictures - evaluation.wrong.len();
    let mut text = format!(
        "{} part: {right} of {} right, accuracy {} % (95 % Wilson interval {low} to {high}), loss {:.4}\n\n",
        evaluation.part,
        evaluation.pictures,
        percent(evaluation.accuracy),
        evaluation.loss
    );
    let mut classes = table(1, &["class", "precision %", "recall %", "F1 %", "pictures"]);
    for figures in &evaluation.classes {
        let shares = [figures.precision, figures.recall, figures.f1].map(percent);
        classes.add_row(
            [
                vec![figures.class.clone()],
                shares.to_vec(),
                vec![figures.support.to_string()],
            ]
            .concat(),
        );
    }
    text += &format!("{classes}\n\n");
    let names: Vec<&str> = evaluation
        .classes
        .iter()
        .map(|figures| figures.class.as_str())
        .collect();
    let mut confusion = table(1, &[&["is \\ taken for"], &names[..]].concat());
    for (name, row) in names.iter().zip(&evaluation.confusion) {
        let counts = row.iter().map(ToString::to_string);
        confusion.add_row(std::iter::once((*name).to_owned()).chain(counts));
    }
    text += &format!("{confusion}\n");
    if !evaluation.wrong.is_empty() {
        let mut wrong = table(3, &["wrong picture", "is", "taken for", "probability %"]);
        for made in &evaluation.wrong {
            let top = made.probabilities.iter().copied().fold(0.0, f64::max);
            wrong.add_row([
                made.name.clone(),
                made.label.clone(),
                made.predicted.clone(),
                percent(top),
            ]);
        }
        text += &format!("\n{wrong}\n");
    }
    text
}

fn csv(evaluation: &Evaluation, classes: &[String]) -> String {
    let quote = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let probabilities: Vec<String> = classes
        .iter()
        .map(|class| quote(&format!("p_{class}")))
        .collect();
    let mut text = format!("picture,label,predicted,{}\n", probabilities.join(","));
    for made in &evaluation.predictions {
        let numbers: Vec<String> = made.probabilities.iter().map(ToString::to_string).collect();
        let words = [&made.name, &made.label, &made.predicted]
            .map(|word| quote(word))
            .join(",");
        text += &format!("{words},{}\n", numbers.join(","));
    }
    text
}
