//! `signet config check` and `signet config show`.

use anyhow::Result;

use crate::cli::ConfigCommand;
use crate::config::Experiment;
use crate::config::document::Problems;
use crate::model::plan;

use super::load;

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
        ConfigCommand::Show { file, overrides } => {
            let experiment = load(&file, &overrides)?;
            crate::out!("{}", experiment.to_yaml().trim_end())
        }
    }
}
