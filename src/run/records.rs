//! Writing a run down while it happens: metrics, timing, weights.
//!
//! `metrics.jsonl` holds nothing that a clock could change, so that two equal runs have equal files;
//! seconds go to `timing.jsonl`.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};

use super::directory::RunDir;
use super::progress::plain_line;
use super::session::Session;
use super::tensorboard::EventFile;
use super::weights::{self, Card};
use crate::train::event::{Event, Observer};
use crate::train::metrics::EpochRecord;

const CSV_HEADER: &str = "epoch,step,lr,train_loss,train_accuracy,val_loss,val_accuracy";

/// Listens to a trainer and keeps the evidence in a run directory.
pub struct Records<'a> {
    session: &'a Session,
    folder: &'a RunDir,
    jsonl: Option<File>,
    csv: Option<File>,
    timing: File,
    log: File,
    tensorboard: Option<EventFile>,
    epoch_began: Instant,
}

impl<'a> Records<'a> {
    /// Opens the files that `log` asks for.
    ///
    /// # Errors
    /// Files that cannot be made.
    pub fn open(session: &'a Session, folder: &'a RunDir) -> Result<Records<'a>> {
        let create = |name: &str| {
            File::create(folder.file(name))
                .with_context(|| format!("cannot write {}", folder.file(name).display()))
        };
        let log = &session.experiment.log;
        let csv = if log.csv {
            Some(create("metrics.csv")?)
        } else {
            None
        };
        if let Some(mut file) = csv.as_ref() {
            writeln!(file, "{CSV_HEADER}")?;
        }
        Ok(Records {
            jsonl: if log.jsonl {
                Some(create("metrics.jsonl")?)
            } else {
                None
            },
            csv,
            timing: create("timing.jsonl")?,
            log: create("train.log")?,
            tensorboard: if log.tensorboard {
                Some(EventFile::create(&folder.file("tensorboard"))?)
            } else {
                None
            },
            epoch_began: Instant::now(),
            session,
            folder,
        })
    }

    fn card(&self, record: &EpochRecord) -> Card {
        Card::new(
            &self.session.data.classes,
            &self.session.normalization,
            record.epoch,
            record.step,
        )
    }

    fn write_epoch(&mut self, record: &EpochRecord) -> Result<()> {
        let seconds = self.epoch_began.elapsed().as_secs_f64();
        if let Some(file) = &mut self.jsonl {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
        if let Some(file) = &mut self.csv {
            let val = record.val.map_or(",".to_owned(), |val| {
                format!("{},{}", val.loss, val.accuracy)
            });
            let EpochRecord {
                epoch,
                step,
                lr,
                train,
                ..
            } = record;
            writeln!(
                file,
                "{epoch},{step},{lr},{},{},{val}",
                train.loss, train.accuracy
            )?;
        }
        let timing = serde_json::json!({"epoch": record.epoch, "seconds": seconds});
        writeln!(self.timing, "{timing}")?;
        writeln!(
            self.log,
            "{}",
            plain_line(record, self.session.experiment.train.epochs, seconds)
        )?;
        if let Some(file) = &mut self.tensorboard {
            file.write(record)?;
        }
        Ok(())
    }
}

impl Observer for Records<'_> {
    fn notify(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::EpochStarted { .. } => {
                self.epoch_began = Instant::now();
                Ok(())
            }
            Event::EpochEnded(record) => {
                let place = || {
                    format!(
                        "cannot write the records of {}",
                        self.folder.path().display()
                    )
                };
                let context = place();
                self.write_epoch(record).context(context)
            }
            Event::Improved { record, state } => weights::save(
                &self.folder.file("best.safetensors"),
                state,
                &self.card(record),
            ),
            Event::Finished { record, state } => weights::save(
                &self.folder.file("last.safetensors"),
                state,
                &self.card(record),
            ),
            Event::Stepped { .. } => Ok(()),
        }
    }
}
