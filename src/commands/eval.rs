//! `signet eval`.

use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::cli::{EvalArguments, PartArgument};
use crate::config::data::{DataConfig, Group};
use crate::data::split::{Part, Split};
use crate::data::{Dataset, class_folders};
use crate::export::classifier::Classifier;
use crate::fault::{Blame, Fault};
use crate::report::table::{Table, csv_text};
use crate::run::directory::RunDir;
use crate::run::session;
use crate::run::source::source_of;
use crate::train::evaluation::Evaluation;

pub(super) fn run(command: EvalArguments) -> Result<()> {
    let classifier = Classifier::open(&command.target)?;
    let (data, name, part) = match &command.data {
        Some(folder) => {
            let data = other_images(&classifier, folder)?;
            let all = (0..data.index.len()).collect();
            (data, "given", all)
        }
        None => {
            let folder = run_of(&command.target)?;
            let mut experiment = classifier.card.experiment()?;
            let (config, set) = (&classifier.card.config, &command.moved.set);
            experiment.data.source = source_of(folder.as_ref(), config, set)?;
            let then = &classifier.card.fingerprints;
            let (data, split) = session::reload(&experiment, then, folder.as_ref())?;
            let (name, part) = part_of(&split, command.part);
            (data, name, part)
        }
    };
    super::report_reading(&data);
    if part.is_empty() {
        return Err(anyhow!(
            "the run has no {name} part; choose another with --part"
        ))
        .blame(Fault::Config);
    }
    let logits = classifier.logits(&data.pixels, &part)?;
    let index = &data.index;
    let labels = index.labels_of(&part);
    let names: Vec<&str> = part.iter().map(|&image| &*index.names[image]).collect();
    let evaluation = Evaluation::new(name, &logits, &labels, &names, &index.classes)?;
    super::tell(
        &command.files,
        describe(&evaluation).trim_end(),
        &evaluation,
        || csv(&evaluation, &index.classes),
    )
}

/// The images in the class folders of `folder`, made ready as the model wants them.
fn other_images(classifier: &Classifier, folder: &Path) -> Result<Dataset> {
    let config = classifier.card.experiment()?.data;
    let config = DataConfig {
        per_class: None,
        group: Group::NONE,
        ..config
    };
    class_folders::load_known(folder, &classifier.card.classes, &config)
        .context("--data")
        .blame(Fault::Data)
}

/// The run that `target` is, or whose checkpoint it is; none for an artefact.
fn run_of(target: &Path) -> Result<Option<RunDir>> {
    if target.is_dir() {
        return RunDir::open(target).map(Some);
    }
    let above = target
        .parent()
        .filter(|folder| folder.ends_with("checkpoints"));
    above
        .and_then(Path::parent)
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                RunDir::open(Path::new("."))
            } else {
                RunDir::open(folder)
            }
        })
        .transpose()
}

fn part_of(split: &Split, part: PartArgument) -> (&'static str, Vec<usize>) {
    let one = |part: Part| (part.word(), split.part(part).to_vec());
    match part {
        PartArgument::Train => one(Part::Train),
        PartArgument::Val => one(Part::Val),
        PartArgument::Test => one(Part::Test),
        PartArgument::All => ("all", split.parts().map(|(_, part)| part).concat()),
    }
}

fn describe(evaluation: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.2}", 100.0 * share);
    let [low, high] = evaluation.accuracy_interval.map(percent);
    let right = evaluation.images - evaluation.wrong.len();
    let mut text = format!(
        "{} part: {right} of {} right, accuracy {} % (95 % Wilson interval {low} to {high}), loss {:.4}\n\
         balanced accuracy {} %, macro F1 {} %\n\n",
        evaluation.part,
        evaluation.images,
        percent(evaluation.accuracy),
        evaluation.loss,
        percent(evaluation.balanced_accuracy),
        percent(evaluation.macro_f1)
    );
    let mut classes = Table::new(1, &["class", "precision %", "recall %", "F1 %", "images"]);
    for metrics in &evaluation.classes {
        let shares = [metrics.precision, metrics.recall, metrics.f1]
            .map(|share| share.map_or("undefined".to_owned(), percent));
        classes.add_row(
            [
                vec![metrics.class.clone()],
                shares.to_vec(),
                vec![metrics.support.to_string()],
            ]
            .concat(),
        );
    }
    text += &format!("{classes}\n\n");
    let names: Vec<&str> = evaluation
        .classes
        .iter()
        .map(|metrics| metrics.class.as_str())
        .collect();
    let mut confusion = Table::new(1, &[&["is \\ taken for"], &names[..]].concat());
    for (name, row) in names.iter().zip(&evaluation.confusion) {
        let counts = row.iter().map(ToString::to_string);
        confusion.add_row(std::iter::once((*name).to_owned()).chain(counts));
    }
    text += &format!("{confusion}\n");
    if !evaluation.wrong.is_empty() {
        let mut wrong = Table::new(3, &["wrong image", "is", "taken for", "probability %"]);
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

/// A line per image, with the probability of each class.
fn csv(evaluation: &Evaluation, classes: &[String]) -> Result<String> {
    let mut header = ["image", "label", "predicted"].map(str::to_owned).to_vec();
    header.extend(classes.iter().map(|class| format!("p_{class}")));
    let rows = evaluation.predictions.iter().map(|made| {
        let mut row = vec![
            made.name.clone(),
            made.label.clone(),
            made.predicted.clone(),
        ];
        row.extend(made.probabilities.iter().map(ToString::to_string));
        row
    });
    csv_text(std::iter::once(header).chain(rows))
}
