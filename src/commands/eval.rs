//! `signet eval`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::cli::{Eval, Part};
use crate::fault::{Blame, Fault};
use crate::report::evaluation::Evaluation;
use crate::report::summary::table;
use crate::run::checkpoints::Found;
use crate::run::directory::RunDir;
use crate::run::resume::{self, From};
use crate::run::session::Session;
use crate::train::{metrics, snapshot};

pub(super) fn run(command: Eval) -> Result<()> {
    let (folder, found) = find(&command.target).blame(Fault::Run)?;
    for reason in &found.passed_over {
        eprintln!("signet: passed over {reason}");
    }
    resume::belongs(&folder, &found).blame(Fault::Run)?;
    let session = open(&folder, &found)?;
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

/// The run that `target` is or belongs to, and the checkpoint it names.
fn find(target: &Path) -> Result<(RunDir, Found)> {
    if target.is_file() {
        let folder = target.parent().and_then(Path::parent);
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        let folder = RunDir::open(folder.unwrap_or(Path::new(".")))?;
        let found = resume::find(&folder, &From::File(target.to_owned()))?;
        return Ok((folder, found));
    }
    let folder = RunDir::open(target)?;
    let found = resume::find(&folder, &From::Best)?;
    Ok((folder, found))
}

/// The run as it was, with the pictures and the split it was trained on.
fn open(folder: &RunDir, found: &Found) -> Result<Session> {
    let document = &found.checkpoint.document;
    let experiment = resume::experiment(document, &[]).blame(Fault::Config)?;
    let session = Session::reopen(experiment, document, folder)?;
    session
        .network
        .load(&snapshot::weights(&found.checkpoint.tensors))
        .with_context(|| format!("{} does not fit this run's model", found.file.display()))
        .blame(Fault::Run)?;
    Ok(session)
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
