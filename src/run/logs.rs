//! Writing a run down while it happens: metrics and timing.
//!
//! `metrics.jsonl` holds nothing that a clock could change, so that two equal runs have equal files;
//! seconds go to `timing.jsonl`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::directory::RunDir;
use super::display::plain_line;
use super::event_files;
use super::samples;
use super::session::Session;
use super::timing::{Clock, TIMING};
use crate::config::run::SampleLog;
use crate::config::train::Metric;
use crate::disk::{self, Folder};
use crate::train::event::{Event, Observer};
use crate::train::metrics::EpochRecord;

/// The log files, from the run directory; TensorBoard's lie in their own folder.
const LOGS: [&str; 5] = [METRICS, TABLE, SAMPLES, TIMING, "train.log"];
const METRICS: &str = "metrics.jsonl";
const TABLE: &str = "metrics.csv";
pub(super) const SAMPLES: &str = "samples.jsonl";

/// The epochs that `metrics.jsonl` of the run in `folder` tells of; a last line that a killed process left
/// unfinished is passed over.
///
/// # Errors
/// A file that cannot be read, or lines that are not signet's.
pub fn read(folder: &Path) -> Result<Vec<EpochRecord>> {
    let file = folder.join(METRICS);
    let place = || format!("cannot read {}", file.display());
    let text = match disk::read_text(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(place)?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let record = |line| serde_json::from_str(line).with_context(place);
    whole.lines().map(record).collect()
}

/// Bytes of every log file there is in the run directory `folder`, by path.
///
/// # Errors
/// A folder that cannot be read.
pub fn lengths(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut logs: Vec<String> = LOGS.map(str::to_owned).to_vec();
    for entry in disk::entries(&folder.join(event_files::FOLDER))? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if event_files::is_log(&name) {
            logs.push(format!("{}/{name}", event_files::FOLDER));
        }
    }
    let length = |log: String| {
        let found = std::fs::metadata(folder.join(&log)).ok()?;
        Some((log, found.len()))
    };
    Ok(logs.into_iter().filter_map(length).collect())
}

/// Makes sure that the `logs` of `folder` are on the disk.
///
/// # Errors
/// A disk that fails. One that somebody removed meanwhile is no matter.
pub fn sync<'l>(folder: &Path, logs: impl Iterator<Item = &'l String>) -> Result<()> {
    for log in logs {
        let file = folder.join(log);
        match File::open(&file).and_then(|open| open.sync_data()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            synced => synced.with_context(|| format!("cannot write {}", file.display()))?,
        }
    }
    Ok(())
}

/// Cuts the log files of `folder` back to the `recorded` lengths: what was written after the checkpoint
/// will be written again. Answers with what is missing from files that are shorter than recorded.
///
/// # Errors
/// A file that cannot be written.
pub fn cut_back(folder: &Folder, recorded: &BTreeMap<String, u64>) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (log, now) in lengths(folder.path())? {
        let (within, name) = place_of(folder, &log)?;
        if log.starts_with(event_files::FOLDER) && !recorded.contains_key(&log) {
            // An event file begins with a header, so one that began later begins anew.
            within.remove(name)?;
            continue;
        }
        let then = recorded.get(&log).copied().unwrap_or(0);
        if then < now {
            within.cut(name, then)?;
        }
    }
    for (log, then) in recorded {
        let now = std::fs::metadata(folder.file(log)).map_or(0, |found| found.len());
        if now < *then {
            end_whole(folder, log)?;
            missing.push(format!(
                "{log} has {now} bytes of the {then} it had at the checkpoint; what it lacks is lost"
            ));
        }
    }
    Ok(missing)
}

/// Whether `log` is one that signet writes.
pub fn is_log(log: &str) -> bool {
    let events = log
        .strip_prefix(event_files::FOLDER)
        .and_then(|name| name.strip_prefix('/'));
    LOGS.contains(&log)
        || events.is_some_and(|name| event_files::is_log(name) && !name.contains('/'))
}

/// The folder that `log` of the run in `folder` lies in, and its name there.
pub fn place_of<'l>(folder: &Folder, log: &'l str) -> Result<(Folder, &'l str)> {
    match log.split_once('/') {
        Some((above, name)) => Ok((folder.make_folder(above)?, name)),
        None => Ok((folder.clone(), log)),
    }
}

/// Drops the half of a line or event that somebody left of a log.
fn end_whole(folder: &Folder, log: &str) -> Result<()> {
    let (within, name) = place_of(folder, log)?;
    let Ok(bytes) = disk::read(&within.file(name)) else {
        return Ok(()); // it is gone, and begins anew
    };
    let whole = if event_files::is_log(name) {
        event_files::whole_events(&bytes)
    } else {
        let end = bytes.iter().rposition(|&byte| byte == b'\n');
        end.map_or(0, |at| at + 1)
    };
    within.cut(name, whole as u64)
}

/// Listens to a trainer and writes the logs of a run directory.
pub struct Logs<'a> {
    session: &'a Session,
    folder: &'a RunDir,
    jsonl: File,
    table: Option<MetricsTable>,
    samples: Option<File>,
    timing: File,
    log: File,
    clock: Clock,
}

/// `metrics.csv`: a line for each epoch.
struct MetricsTable {
    /// What its first line says: that of a run of signet 0.2 knows less than ours.
    columns: Vec<String>,
    writer: csv::Writer<File>,
}

impl MetricsTable {
    /// Goes on at its end, or begins it.
    fn open(folder: &RunDir) -> Result<MetricsTable> {
        let mut first = String::new();
        if let Ok(file) = File::open(folder.file(TABLE)) {
            BufReader::new(file).read_line(&mut first)?;
        }
        let mut writer = csv::Writer::from_writer(folder.folder().append(TABLE)?);
        let metrics = Metric::ALL.iter().map(|metric| column(*metric));
        let own = ["epoch", "step", "lr"].map(str::to_owned).into_iter();
        let columns: Vec<String> = match first.trim_end() {
            "" => own.chain(metrics).collect(),
            known => known.split(',').map(str::to_owned).collect(),
        };
        if first.is_empty() {
            writer.write_record(&columns)?;
            writer.flush()?;
        }
        Ok(MetricsTable { columns, writer })
    }

    fn write(&mut self, record: &EpochRecord) -> Result<()> {
        let cell = |name: &String| match &**name {
            "epoch" => record.epoch.to_string(),
            "step" => record.step.to_string(),
            "lr" => record.lr.to_string(),
            name => {
                let mut metrics = Metric::ALL.iter();
                let metric = metrics.find(|metric| column(**metric) == name);
                let value = metric.and_then(|metric| record.get(*metric));
                value.map_or(String::new(), |value| value.to_string())
            }
        };
        self.writer.write_record(self.columns.iter().map(cell))?;
        self.writer.flush()?;
        Ok(())
    }
}

/// What the column of `metric` is called: `val_loss`.
fn column(metric: Metric) -> String {
    metric.word().replace('.', "_")
}

impl<'a> Logs<'a> {
    /// Opens the files that `log` asks for, at their ends.
    ///
    /// # Errors
    /// Files that cannot be made.
    pub fn open(session: &'a Session, folder: &'a RunDir) -> Result<Logs<'a>> {
        let open = |name: &str| folder.folder().append(name);
        let log = &session.experiment.log;
        let samples = log.samples != SampleLog::None;
        Ok(Logs {
            jsonl: open(METRICS)?,
            table: log.csv.then(|| MetricsTable::open(folder)).transpose()?,
            samples: samples.then(|| open(SAMPLES)).transpose()?,
            timing: open(TIMING)?,
            log: open("train.log")?,
            clock: Clock::new(folder.path()),
            session,
            folder,
        })
    }

    fn write_epoch(&mut self, record: &EpochRecord) -> Result<()> {
        let timing = self.clock.end(record.epoch, &self.session.ranks);
        let experiment = &self.session.experiment;
        writeln!(self.jsonl, "{}", serde_json::to_string(record)?)?;
        if let Some(table) = &mut self.table {
            table.write(record)?;
        }
        writeln!(self.timing, "{}", serde_json::to_string(&timing)?)?;
        writeln!(
            self.log,
            "{}",
            plain_line(
                record,
                experiment.train.epochs,
                experiment.checkpoint.metric,
                timing.seconds
            )
        )?;
        Ok(())
    }
}

impl Observer for Logs<'_> {
    fn notify(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::EpochStarted { .. } => {
                self.clock.begin(&self.session.ranks);
                Ok(())
            }
            Event::Stepped { .. } => {
                self.clock.step(&self.session.ranks);
                Ok(())
            }
            Event::Evaluated {
                epoch,
                part,
                images,
                logits,
            } => match &self.samples {
                Some(file) => {
                    let index = &self.session.data.index;
                    samples::write(file, *epoch, *part, images, logits, index)
                }
                None => Ok(()),
            },
            Event::EpochEnded { record, .. } => self.write_epoch(record),
            _ => Ok(()),
        }
        .with_context(|| format!("cannot write the logs of {}", self.folder.path().display()))
    }
}
