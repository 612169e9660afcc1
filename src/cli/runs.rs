//! The command line of `signet runs`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{FilesArguments, completion};

/// The verbs of `signet runs`.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs and studies.
    List {
        /// Folders that hold run directories.
        #[arg(default_value = "runs")]
        folders: Vec<PathBuf>,
        /// Also list each trial of a study.
        #[arg(long)]
        trials: bool,
        /// Files to write the metrics to.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// Show the settings, progress and files of one run or study.
    Show {
        /// Run or study directory.
        #[arg(add = completion::runs())]
        run: PathBuf,
        /// Files to write the metrics to.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// Compare runs or studies: settings that differ, metrics and, for studies with equal splits, the paired difference with
    /// its confidence interval.
    Compare {
        /// Run or study directories; the others are compared with the first.
        #[arg(required = true, num_args = 2.., add = completion::runs())]
        runs: Vec<PathBuf>,
        /// Files to write the metrics to.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// List checkpoints that the retention settings no longer keep; delete them with --yes.
    Gc {
        /// Run directories, or folders that hold them.
        #[arg(default_value = "runs")]
        folders: Vec<PathBuf>,
        /// Number of newest checkpoints to keep of each run [default: its checkpoint.keep_last].
        #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
        keep_last: Option<usize>,
        /// Number of best checkpoints to keep of each run [default: its checkpoint.keep_best].
        #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
        keep_best: Option<usize>,
        /// Delete the listed files.
        #[arg(long)]
        yes: bool,
    },
}
