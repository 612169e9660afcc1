//! The run directory: the evidence of one run, and its place among others.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::session::{Session, environment};
use crate::config::train::{IfExists, RunConfig};

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Makes the folder: `exact`, or the name of the experiment under `run.root`, numbered if it is taken
    /// and `run.if_exists` allows it.
    ///
    /// # Errors
    /// A name that is taken, a folder that cannot be made.
    pub fn create(config: &RunConfig, name: &str, exact: Option<&Path>) -> Result<RunDir> {
        let first = exact.map_or_else(|| config.root.join(name), Path::to_owned);
        let parent = first.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}; try another run.root", parent.display()))?;
        let numbered = (2..).map(|number| config.root.join(format!("{name}-{number}")));
        for folder in std::iter::once(first).chain(numbered) {
            // Making it is the test whether it exists, so that two runs never share one.
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(RunDir(folder)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    if exact.is_some() || config.if_exists == IfExists::Error {
                        bail!(
                            "{} exists already; name another with --run, or set run.if_exists: new",
                            folder.display()
                        );
                    }
                }
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("cannot make {}; try another run.root", folder.display())
                    });
                }
            }
        }
        unreachable!("numbers do not end");
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

    /// Writes down what the run is about to do: the experiment as written and as resolved, the split, the
    /// environment.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn write_beginning(&self, session: &Session, written: &str) -> Result<()> {
        self.write("config.yaml", written)?;
        self.write("resolved.yaml", &session.experiment.to_yaml())?;
        self.write_json("split.json", &session.split.manifest(&session.data))?;
        self.write_json("environment.json", &environment(session)?)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.write(name, &(serde_json::to_string_pretty(value)? + "\n"))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.file(name), text)
            .with_context(|| format!("cannot write {}", self.file(name).display()))
    }
}
