//! `signet config`: `check`, `show`, `explain`, `init`, `reference`, `schema` and `diff`.

use std::path::Path;

use anyhow::{Result, anyhow};

use crate::cli::{ConfigCommand, Overrides};
use crate::config::Experiment;
use crate::config::document::Problems;
use crate::config::schema;
use crate::config::starter::starter;
use crate::disk;
use crate::fault::{Blame, Fault};
use crate::messages::{self, shell_quote};
use crate::model::plan;
use crate::report::{reference, summary};
use crate::run::changes;
use crate::run::directory::RunDir;

use super::{load, open};

pub(super) fn run(command: ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check { files, overrides } => {
            let mut problems = Vec::new();
            for file in &files {
                match Experiment::load(file, &overrides.set, &[plan::check]) {
                    Ok(experiment) => {
                        crate::show!("{}: ok, experiment {}", file.display(), experiment.name)?
                    }
                    Err(Problems(found)) => problems.extend(found),
                }
            }
            if problems.is_empty() {
                Ok(())
            } else {
                Err(Problems(problems).into())
            }
        }
        ConfigCommand::Show {
            file,
            overrides,
            origin,
        } => {
            let (experiment, document) = open(&file, &overrides)?;
            if origin {
                let shown = summary::origins(&changes::settings(&experiment), &document);
                return messages::show_text(&shown.to_string());
            }
            crate::out!("{}", experiment.to_yaml().trim_end())
        }
        ConfigCommand::Explain { key: None } => messages::show_text(&reference::tree().to_string()),
        ConfigCommand::Explain { key: Some(key) } => {
            messages::show_text(&reference::explain(&key)?)
        }
        ConfigCommand::Init { kind, full, out } => init(&kind, full, out.as_deref()),
        ConfigCommand::Reference => crate::out!("{}", reference::page().trim_end()),
        ConfigCommand::Schema => crate::out!("{:#}", schema::schema()),
        ConfigCommand::Diff { old, new } => {
            let found = changes::between(&resolved(&old)?, &resolved(&new)?);
            if found.is_empty() {
                return crate::show!(
                    "{} and {} are the same experiment",
                    old.display(),
                    new.display()
                );
            }
            messages::show_text(&summary::changes(&found).to_string())
        }
    }
}

fn init(kind: &str, full: bool, out: Option<&Path>) -> Result<()> {
    let text = starter(kind, full)
        .map_err(|message| anyhow!("{message}"))
        .blame(Fault::Config)?;
    let Some(file) = out else {
        return crate::out!("{}", text.trim_end());
    };
    if file.exists() {
        let error = anyhow!(
            "{} already exists; name another file with --out",
            file.display()
        );
        return Err(error).blame(Fault::Config);
    }
    disk::write_named(file, text.as_bytes()).blame(Fault::Run)?;
    crate::show!("next: signet train {}", shell_quote(file))
}

/// The experiment of a file, or of a run as it was last trained.
fn resolved(path: &Path) -> Result<Experiment> {
    let none = Overrides { set: Vec::new() };
    if path.is_dir() {
        return load(&RunDir::open(path)?.file("resolved.yaml"), &none);
    }
    load(path, &none)
}
