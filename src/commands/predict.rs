//! `signet predict`.

use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use rayon::prelude::*;
use serde_json::json;
use tch::{Kind, Tensor};

use crate::cli::{PredictArguments, PredictFormat};
use crate::data::images::{self, Prepared};
use crate::data::{folder, pixels};
use crate::export::classifier::Classifier;
use crate::fault::{Blame, Fault};
use crate::report::table::{Table, csv_text};

/// Images that are read, in parallel, before they go through the model together.
const CHUNK: usize = 256;

/// What is said of one image: likeliest classes with their probabilities, or why there is nothing to say.
type Answer = (PathBuf, Result<Vec<(String, f64)>, String>);

pub(super) fn run(command: PredictArguments) -> Result<()> {
    let classifier = Classifier::open(&command.target)?;
    let files = list(&command.inputs).blame(Fault::Data)?;
    let top = (command.top as usize).min(classifier.card.classes.len());
    let mut printer = Printer::new(command.format, top)?;
    let mut bad = 0;
    for chunk in files.chunks(CHUNK) {
        let answers = predict(&classifier, chunk, top)?;
        bad += answers.iter().filter(|(_, answer)| answer.is_err()).count();
        printer.print(&answers)?;
    }
    printer.finish()?;
    match bad {
        0 => Ok(()),
        bad => Err(anyhow!("{bad} of {} images cannot be read", files.len())).blame(Fault::Data),
    }
}

fn predict(classifier: &Classifier, files: &[PathBuf], top: usize) -> Result<Vec<Answer>> {
    let image = classifier.card.experiment()?.data.image;
    let read: Vec<Result<Prepared>> = files
        .par_iter()
        .map(|file| images::read(file, &image))
        .collect();
    let good = read.iter().flatten().flat_map(|image| &image.bytes);
    let good: Vec<f32> = good.map(|&byte| pixels::unit(byte)).collect();
    let size = [
        -1,
        image.depth() as i64,
        image.height as i64,
        image.width as i64,
    ];
    let mut rows = Vec::new();
    if !good.is_empty() {
        let images = Tensor::from_slice(&good).view(size);
        let logits = classifier.batch_logits(&images)?;
        let probabilities = logits.to_kind(Kind::Double).softmax(1, Kind::Double);
        rows = Vec::<Vec<f64>>::try_from(probabilities)?;
    }
    let mut rows = rows.into_iter();
    let answer = |(file, read): (&PathBuf, Result<Prepared>)| {
        let named = read.map_err(|error| format!("{error:#}")).and_then(|_| {
            let row = rows.next().unwrap_or_default();
            if row.iter().any(|probability| !probability.is_finite()) {
                return Err("cannot be classified: the model's logits are not finite".to_owned());
            }
            let classes = classifier.card.classes.iter().cloned();
            let mut named: Vec<(String, f64)> = classes.zip(row).collect();
            named.sort_by(|a, b| b.1.total_cmp(&a.1));
            named.truncate(top);
            Ok(named)
        });
        (file.clone(), named)
    };
    Ok(files.iter().zip(read).map(answer).collect())
}

/// The image files that `inputs` stand for, in their order; those of a folder by name.
fn list(inputs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        let text = input.to_string_lossy();
        if text == "-" {
            // File names are bytes: one that is not UTF-8 is a name, too.
            for line in std::io::stdin().lock().split(b'\n') {
                let line = line.context("cannot read the list on standard input")?;
                if !line.trim_ascii().is_empty() {
                    files.push(PathBuf::from(OsStr::from_bytes(line.trim_ascii_end())));
                }
            }
        } else if input.is_dir() {
            let found = folder::images_below(input)?;
            ensure!(
                !found.images.is_empty(),
                "{text} holds no image, nor does a folder in it"
            );
            for (path, why) in found.left_out {
                crate::status!("signet: left out {} {why}", input.join(path).display());
            }
            files.extend(found.images.into_iter().map(|path| input.join(path)));
        } else if !input.exists() && text.contains(['*', '?', '[']) {
            let matches =
                glob::glob(&text).with_context(|| format!("{text} is not a valid glob pattern"))?;
            let mut found: Vec<PathBuf> = matches.collect::<Result<_, _>>()?;
            found.retain(|path| path.is_file());
            ensure!(!found.is_empty(), "{text} matches no file");
            found.sort();
            files.extend(found);
        } else {
            files.push(input.clone());
        }
    }
    ensure!(
        !files.is_empty(),
        "there are no input images; name image files, folders or glob patterns"
    );
    Ok(files)
}

/// Prints answers as they come; a table waits for the last one.
struct Printer {
    format: PredictFormat,
    table: Table,
    top: usize,
}

impl Printer {
    fn new(format: PredictFormat, top: usize) -> Result<Printer> {
        let mut header = vec!["image".to_owned()];
        for place in 1..=top {
            let number = if top == 1 {
                String::new()
            } else {
                format!(" {place}")
            };
            header.extend([format!("class{number}"), format!("probability{number} %")]);
        }
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        if format == PredictFormat::Csv {
            let names = header
                .iter()
                .map(|name| name.replace(" %", "").replace(' ', "_"));
            print_csv(names.chain(["error".to_owned()]).collect())?;
        }
        Ok(Printer {
            format,
            table: Table::new(2, &header),
            top,
        })
    }

    fn print(&mut self, answers: &[Answer]) -> Result<()> {
        for (file, answer) in answers {
            let name = file.display().to_string();
            let named = answer.as_deref().unwrap_or_default();
            let empty = 2 * (self.top - named.len());
            match self.format {
                PredictFormat::Table => {
                    let mut row = vec![name];
                    for (class, probability) in named {
                        row.extend([class.clone(), format!("{:.2}", 100.0 * probability)]);
                    }
                    row.extend(answer.as_ref().err().cloned());
                    self.table.add_row(row);
                }
                PredictFormat::Jsonl => {
                    let line = match answer {
                        Ok(named) => {
                            let each = named.iter().map(|(class, probability)| {
                                json!({"class": class, "probability": probability})
                            });
                            json!({"image": name, "classes": each.collect::<Vec<_>>()})
                        }
                        Err(error) => json!({"image": name, "error": error}),
                    };
                    crate::out!("{line}")?;
                }
                PredictFormat::Csv => {
                    let mut row = vec![name];
                    for (class, probability) in named {
                        row.extend([class.clone(), probability.to_string()]);
                    }
                    row.extend(std::iter::repeat_n(String::new(), empty));
                    row.push(answer.as_ref().err().cloned().unwrap_or_default());
                    print_csv(row)?;
                }
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        if self.format == PredictFormat::Table {
            crate::out!("{}", self.table)?;
        }
        Ok(())
    }
}

fn print_csv(row: Vec<String>) -> Result<()> {
    super::write_text(Path::new("-"), &csv_text([row])?)
}
