//! The run directory: the evidence of one run, and its place among others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::checkpoint::{UNFINISHED, write_whole};
use super::checkpoints;
use super::lock::Lock;
use crate::config::Experiment;
use crate::config::run::{IfExists, RunConfig};
use crate::data::Dataset;
use crate::say::word;

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir(PathBuf);

/// The document `data.json`: which pictures a run was trained on.
#[derive(Debug, Serialize, Deserialize)]
struct DataRecord {
    /// Of all pictures together.
    fingerprint: String,
    /// SHA-256 of each picture's numbers, by name.
    pictures: BTreeMap<String, String>,
}

impl DataRecord {
    fn of(data: &Dataset) -> DataRecord {
        DataRecord {
            fingerprint: data.fingerprint(),
            pictures: data.names.iter().cloned().zip(data.digests()).collect(),
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
        let parent = match wanted.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let place = || {
            format!(
                "cannot make a run in {}; try another run.root",
                parent.display()
            )
        };
        std::fs::create_dir_all(parent).with_context(place)?;
        sweep_beside(parent);
        let unfinished = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .tempdir_in(parent)
            .with_context(place)?;
        let folder = RunDir(unfinished.path().to_owned());
        let lock = Lock::take(folder.path())?;
        fill(&folder)?;
        let folder = rename_to_free(&folder, wanted.clone(), run, name, exact.is_some())?;
        let _renamed = unfinished.keep();
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .with_context(place)?;
        Ok((folder, lock))
    }

    /// Makes the folders within the folder.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn make_folders(&self) -> Result<()> {
        let checkpoints = self.file(checkpoints::FOLDER);
        std::fs::create_dir(&checkpoints)
            .with_context(|| format!("cannot make {}", checkpoints.display()))
    }

    /// A folder that need not be a run.
    pub fn at(folder: &Path) -> RunDir {
        RunDir(folder.to_owned())
    }

    /// An existing run.
    ///
    /// # Errors
    /// A folder that is no run.
    pub fn open(folder: &Path) -> Result<RunDir> {
        if !folder.join("resolved.yaml").is_file() {
            bail!(
                "{} is no run: it has no resolved.yaml; start one with `signet train CONFIG`",
                folder.display()
            );
        }
        Ok(RunDir(folder.to_owned()))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes down which pictures the run is trained on.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn write_data(&self, data: &Dataset) -> Result<()> {
        self.write_json("data.json", &DataRecord::of(data))
    }

    /// What differs between the pictures this run was trained on and `now`, by name.
    pub fn data_changes(&self, now: &Dataset) -> anyhow::Error {
        let advice = "bring the old ones back, or start a new run";
        let text = std::fs::read_to_string(self.file("data.json"));
        let then: Option<DataRecord> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        let Some(then) = then else {
            return anyhow!("the pictures have changed since this run was trained; {advice}");
        };
        let now = DataRecord::of(now);
        let mut found = Vec::new();
        for (name, digest) in &then.pictures {
            match now.pictures.get(name) {
                None => found.push(format!("{name} is gone")),
                Some(other) if other != digest => found.push(format!("{name} has changed")),
                Some(_) => {}
            }
        }
        let new = now
            .pictures
            .keys()
            .filter(|name| !then.pictures.contains_key(*name));
        found.extend(new.map(|name| format!("{name} is new")));
        if found.is_empty() {
            found.push("their order or their classes".to_owned());
        }
        const SHOWN: usize = 5;
        let more = match found.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        found.truncate(SHOWN);
        anyhow!(
            "the pictures have changed since this run was trained: {}{more}; {advice}",
            found.join(", ")
        )
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
        write_whole(&self.file(name), text.as_bytes())
            .with_context(|| format!("cannot write {}", self.file(name).display()))
    }
}

/// Removes runs that a killed process left unfinished: nobody holds their lock.
fn sweep_beside(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        let path = entry.path();
        if unfinished
            && path.join("lock").is_file()
            && let Ok(_lock) = Lock::take(&path)
        {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// Gives a finished folder its name: the `wanted` one, or the first free one with a number.
fn rename_to_free(
    folder: &RunDir,
    wanted: PathBuf,
    config: &RunConfig,
    name: &str,
    exact: bool,
) -> Result<RunDir> {
    let numbered = (2..).map(|number| config.root.join(format!("{name}-{number}")));
    for free in std::iter::once(wanted).chain(numbered) {
        if std::fs::symlink_metadata(&free).is_err() {
            match std::fs::rename(folder.path(), &free) {
                // Another process was quicker.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                renamed => {
                    renamed.with_context(|| format!("cannot make {}", free.display()))?;
                    return Ok(RunDir(free));
                }
            }
        }
        if exact || config.if_exists == IfExists::Error {
            bail!(
                "{} exists already; name another with --run, or go on with it by `signet resume {}`",
                free.display(),
                word(&free)
            );
        }
    }
    unreachable!("numbers do not end");
}
