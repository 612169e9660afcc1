//! The command line of `signet config`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Overrides, completion};

/// The verbs of `signet config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every mistake in experiment files, with its line.
    Check {
        /// Experiment files (YAML).
        #[arg(required = true, add = completion::experiments())]
        files: Vec<PathBuf>,
        /// Keys set on the command line, which take precedence over the file's.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Print an experiment file with every default filled in.
    Show {
        /// Experiment file (YAML).
        #[arg(add = completion::experiments())]
        file: PathBuf,
        /// Keys set on the command line, which take precedence over the file's.
        #[command(flatten)]
        overrides: Overrides,
        /// Print a line for each key instead, with where its value comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Say what a key means, takes, and is by default; without one, list all keys.
    Explain {
        /// Dotted key, such as train.optimizer.lr.
        #[arg(add = completion::keys())]
        key: Option<String>,
    },
    /// Print a first experiment that runs as it is, with what its keys mean.
    Init {
        /// Kind of model.
        #[arg(default_value = "cnn", add = completion::kinds())]
        kind: String,
        /// Print every key.
        #[arg(long)]
        full: bool,
        /// Write to FILE, which must not exist, instead of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the page of all keys, in Markdown.
    Reference,
    /// Print the JSON Schema of experiments, for editors and validators.
    Schema,
    /// Print the keys in which two experiments differ, with every default filled in.
    Diff {
        /// Experiment file (YAML) or run directory.
        old: PathBuf,
        /// Experiment file (YAML) or run directory.
        new: PathBuf,
    },
}
