//! The run directory: the evidence of one run, and its place among others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::checkpoints;
use super::environment::LaunchRecord;
use crate::config::Experiment;
use crate::config::run::IfExists;
use crate::data::index::Index;
use crate::data::split::Part;
use crate::disk::{self, Folder, Lock};
use crate::messages::shell_quote;

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir(Folder);

/// What `signet train` does with the place where its run is to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Makes a run of exactly that name.
    Exactly,
    /// Makes a run of that name, or of the next free number behind it.
    Numbered,
    /// Goes on with the run that is there.
    Continue,
    /// Nothing: something is there.
    Refuse,
}

impl Start {
    /// By `run.if_exists` (`--resume` says `resume`), by whether something is `there`, and by whether the place was
    /// `named` with `--run`. A run that is to be gone on with later has the name it will be looked for under.
    pub fn of(if_exists: IfExists, there: bool, named: bool) -> Start {
        match (if_exists, there) {
            (IfExists::Resume, true) => Start::Continue,
            (IfExists::Resume, false) => Start::Exactly,
            (IfExists::Error, true) => Start::Refuse,
            (IfExists::New, true) if named => Start::Refuse,
            (IfExists::New | IfExists::Error, _) if named => Start::Exactly,
            (IfExists::New | IfExists::Error, _) => Start::Numbered,
        }
    }
}

/// The document in which a study keeps what the best weights make of `part`.
pub fn evaluation_of(part: Part) -> String {
    format!("{part}.json")
}

/// The document in which a study keeps that a run has diverged.
pub const DIVERGED: &str = "diverged.json";

/// The document `data.json`: which images a run was trained on.
#[derive(Debug, Serialize, Deserialize)]
struct DataRecord {
    /// Of all images together.
    fingerprint: String,
    /// SHA-256 of each image's numbers, by name.
    #[serde(alias = "pictures")] // as version 0.2 says
    images: BTreeMap<String, String>,
}

impl DataRecord {
    fn of(index: &Index) -> DataRecord {
        DataRecord {
            fingerprint: index.fingerprint().to_owned(),
            images: index.names.iter().cloned().zip(index.digests()).collect(),
        }
    }
}

impl RunDir {
    /// Makes the folder of a new run, locked, and has it filled: `exact`, or the name of the experiment
    /// under `run.root`, numbered if it is taken and `run.if_exists` allows it. It is filled under another
    /// name and then renamed, so that whoever finds a run finds a whole one.
    ///
    /// # Errors
    /// A name that is taken, a folder that cannot be made or written.
    pub fn create(
        experiment: &Experiment,
        exact: Option<&Path>,
        fill: impl FnOnce(&RunDir) -> Result<()>,
    ) -> Result<(RunDir, Lock)> {
        let Experiment { run, name, .. } = experiment;
        let wanted = exact.map_or_else(|| run.root.join(name), Path::to_owned);
        let place = || {
            let root = wanted.parent().filter(|root| !root.as_os_str().is_empty());
            let root = root.unwrap_or(Path::new("."));
            format!(
                "cannot make a run in {}; try another run.root",
                root.display()
            )
        };
        let (above, first) = Folder::above(&wanted).with_context(place)?;
        let mut unfinished = above.unfinished().with_context(place)?;
        let folder = RunDir(unfinished.folder().clone());
        fill(&folder)?;
        let numbered = (2..).map(|number| format!("{name}-{number}").into());
        for free in std::iter::once(first).chain(numbered) {
            if above.kind(&free).is_none() {
                match unfinished.finish(&free) {
                    Ok((folder, lock)) => return Ok((RunDir(folder), lock)),
                    // Another process was quicker.
                    Err(_) if above.kind(&free).is_some() => {}
                    Err(error) => return Err(error),
                }
            }
            if exact.is_some() || run.if_exists == IfExists::Error {
                let taken = above.file(&free);
                bail!(
                    "{} already exists; choose another directory with --run, or continue the run with `signet resume {}`",
                    taken.display(),
                    shell_quote(&taken)
                );
            }
        }
        unreachable!("numbers do not end");
    }

    /// Makes the folders within the folder.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn make_folders(&self) -> Result<()> {
        self.0.make_folder(checkpoints::FOLDER).map(drop)
    }

    /// A folder that need not be a run.
    pub fn at(folder: Folder) -> RunDir {
        RunDir(folder)
    }

    /// An existing run.
    ///
    /// # Errors
    /// A folder that is no run, or may not be opened.
    pub fn open(folder: &Path) -> Result<RunDir> {
        if !folder.join("resolved.yaml").is_file() {
            bail!(
                "{} is no run: it has no resolved.yaml; start one with `signet train CONFIG`",
                folder.display()
            );
        }
        Folder::open(folder).map(RunDir)
    }

    /// The folder, for writing.
    pub fn folder(&self) -> &Folder {
        &self.0
    }

    /// Where it lies, as it was named.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.file(name)
    }

    /// Writes down which images the run is trained on.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn write_data(&self, index: &Index) -> Result<()> {
        self.write_json("data.json", &DataRecord::of(index))
    }

    /// What differs between the images this run was trained on and `now`, by name.
    pub fn data_changes(&self, now: &Index) -> anyhow::Error {
        let advice = "bring the old ones back, or start a new run";
        let text = disk::read_text(&self.file("data.json"));
        let then: Option<DataRecord> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        let Some(then) = then else {
            return anyhow!("the images have changed since this run was trained; {advice}");
        };
        let now = DataRecord::of(now);
        let mut found = Vec::new();
        for (name, digest) in &then.images {
            match now.images.get(name) {
                None => found.push(format!("{name} is gone")),
                Some(other) if other != digest => found.push(format!("{name} has changed")),
                Some(_) => {}
            }
        }
        let new = now
            .images
            .keys()
            .filter(|name| !then.images.contains_key(*name));
        found.extend(new.map(|name| format!("{name} is new")));
        if found.is_empty() {
            found.push("their order or their classes".to_owned());
        }
        // JPEG is decoded to the pixels of libjpeg-turbo since 0.2.
        let changed = found.iter().all(|what| what.ends_with(" has changed"));
        let jpeg = now.images.keys().any(|name| {
            let name = name.to_lowercase();
            name.ends_with(".jpg") || name.ends_with(".jpeg")
        });
        let advice = if changed && jpeg && self.trained_by().starts_with("0.1.") {
            "signet 0.1 trained it, which read JPEG to other pixels: go on with that one, or start a new run"
        } else {
            advice
        };
        const SHOWN: usize = 5;
        let more = match found.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        found.truncate(SHOWN);
        anyhow!(
            "the images have changed since this run was trained: {}{more}; {advice}",
            found.join(", ")
        )
    }

    /// The version of signet that was at work here last.
    fn trained_by(&self) -> String {
        let launch = LaunchRecord::read(self.path());
        launch.map_or(String::new(), |launch| launch.environment.signet)
    }

    /// Writes a JSON document into the folder.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.write(name, &(serde_json::to_string_pretty(value)? + "\n"))
    }

    /// Writes a text into the folder, whole or not at all.
    ///
    /// # Errors
    /// A disk that is full or cannot be written; what was there before is there still.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.0.write_whole(name, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_made_continued_or_refused_by_what_is_there_and_what_was_asked() {
        use IfExists::{Error, New, Resume};
        let cases = [
            (New, false, false, Start::Numbered, "the first of its name"),
            (New, true, false, Start::Numbered, "the next number"),
            (
                New,
                false,
                true,
                Start::Exactly,
                "--run names the very directory",
            ),
            (New, true, true, Start::Refuse, "--run never overwrites"),
            (Error, false, false, Start::Numbered, "nothing is there"),
            (Error, true, false, Start::Refuse, "as asked"),
            (Error, false, true, Start::Exactly, "nothing is there"),
            (Error, true, true, Start::Refuse, "as asked"),
            (
                Resume,
                false,
                false,
                Start::Exactly,
                "to be found again under its name",
            ),
            (Resume, true, false, Start::Continue, "as asked"),
            (
                Resume,
                false,
                true,
                Start::Exactly,
                "to be found again under its name",
            ),
            (Resume, true, true, Start::Continue, "as asked"),
        ];
        for (if_exists, there, named, expected, why) in cases {
            assert_eq!(Start::of(if_exists, there, named), expected, "{why}");
        }
    }
}
