//! Where the data of a run lies now. That it is the same data is checked by its fingerprint, so it may be moved, and
//! relative paths mean what they meant in the folder where the run was started.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use super::directory::RunDir;
use super::environment::LaunchRecord;
use crate::config::Experiment;
use crate::config::data::Source;
use crate::config::document::Document;
use crate::fault::{Blame, Fault};

/// The source of a model's data under `overrides`: of the run in `folder` as it was last trained, or of the experiment
/// in `config`, in YAML, that the model carries along.
///
/// # Errors
/// An override of anything else, a source that is none.
pub fn source_of(folder: Option<&RunDir>, config: &str, overrides: &[String]) -> Result<Source> {
    let own = |set: &&String| set.starts_with("data.source.") || set.starts_with("data.source=");
    if let Some(other) = overrides.iter().find(|set| !own(set)) {
        return Err(anyhow!(
            "-s {other}: only keys of data.source can be set here, to say where the data lies now; everything else \
             belongs to the model"
        ))
        .blame(Fault::Config);
    }
    let experiment = match folder {
        Some(folder) => Experiment::load(&folder.file("resolved.yaml"), overrides, &[])?,
        None => {
            let name = "the model's experiment".to_owned();
            let document = Document::parse(name, config.to_owned(), overrides)?;
            Experiment::from_document(&document, Path::new("model"), &[])?
        }
    };
    Ok(experiment.data.source)
}

/// The folder from which the relative paths of `source` are found: this process's, or else that of the run in
/// `folder`.
pub fn working_folder(source: &Source, folder: &RunDir) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    if source.lies_in(&here) {
        return here;
    }
    let launch = LaunchRecord::read(folder.path());
    let then = launch
        .and_then(|launch| launch.working_folder)
        .map(PathBuf::from);
    then.filter(|then| source.lies_in(then)).unwrap_or(here)
}
