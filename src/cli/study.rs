//! Arguments of `signet cv` and `signet sweep`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{LiveArguments, Overrides, completion};
use crate::study::share::Share;

/// `signet cv`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("resampling").required(true).args(["folds", "holdout"]))]
pub struct CvArguments {
    /// Experiment file (YAML).
    #[arg(add = completion::experiments())]
    pub config: PathBuf,
    /// Keys set on the command line, which take precedence over the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Split the images into K folds and test on each of them in turn.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(2..))]
    pub folds: Option<u64>,
    /// Repeat with R different splits into folds.
    #[arg(long, value_name = "R", default_value_t = 1, requires = "folds", value_parser = clap::value_parser!(u64).range(1..))]
    pub repeats: u64,
    /// Set the test part of data.split aside and split the rest; each fold is the validation part in turn. Use this to
    /// choose settings.
    #[arg(long, requires = "folds")]
    pub inner: bool,
    /// Use R random splits of the kind and sizes in data.split instead of folds.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..))]
    pub holdout: Option<u64>,
    /// How the trials of the study are run.
    #[command(flatten)]
    pub study: StudyArguments,
}

/// `signet sweep`.
#[derive(Debug, clap::Args)]
pub struct SweepArguments {
    /// Sweep file (YAML): `base` names an experiment file, `over` lists keys and the values to try.
    #[arg(add = completion::experiments())]
    pub sweep: PathBuf,
    /// How the trials of the study are run.
    #[command(flatten)]
    pub study: StudyArguments,
}

/// How the trials of a study are run.
#[derive(Debug, clap::Args)]
pub struct StudyArguments {
    /// Number of trials to run at the same time; they share the CPU threads.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub jobs: usize,
    /// Directory of the study [default: one named after the file, in run.root]. An interrupted study continues there.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Train only the K-th of N equal shares of the trials, as one job of an array. Jobs may run at the same time or one after
    /// another, on all machines that see the same directory. K counts from 1 (sbatch --array=1-N). Afterwards the same
    /// command without --array trains what is missing and writes the results.
    #[arg(long, value_name = "K/N")]
    pub array: Option<Share>,
    /// What is served meanwhile.
    #[command(flatten)]
    pub live: LiveArguments,
    /// What to do with the remaining trials when one fails.
    #[arg(long, value_enum, default_value = "stop")]
    pub on_fail: OnFail,
}

/// What to do with the remaining trials when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFail {
    /// Start no more.
    Stop,
    /// Run them.
    Continue,
}
