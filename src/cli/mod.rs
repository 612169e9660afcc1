//! The command line: verbs, arguments and their help. Flags choose what to do; the experiment file says how.

pub mod completion;
mod config;
mod data;
mod report;
mod runs;
mod study;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use config::ConfigCommand;
pub use data::DataCommand;
pub use report::{LiveArguments, ReportArguments};
pub use runs::RunsCommand;
pub use study::{CvArguments, OnFail, StudyArguments, SweepArguments};

use crate::config::run::Format;
use crate::fault;
use crate::messages::{ColorChoice, Level, escaped};
use crate::run::display::Style;
use crate::run::resume::CheckpointRef;
use crate::train::progress::ExtendMode;

/// The heading in help of the options that every verb takes.
const GLOBAL: &str = "Global options";

/// Train image classifiers described by YAML files, resume interrupted runs exactly, and export the models.
///
/// An experiment file describes the images, the network and the training. `signet train` makes a run directory from it,
/// with checkpoints and metrics. `signet config show FILE` lists every key with its value.
#[derive(Debug, Parser)]
#[command(name = "signet", version, arg_required_else_help = true)]
#[command(after_help = fault::exit_codes())]
pub struct Arguments {
    /// How to report progress on standard error.
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value = "auto")]
    pub progress: Style,
    /// Print only results and errors.
    #[arg(short, long, global = true, help_heading = GLOBAL, conflicts_with_all = ["verbose", "progress"])]
    pub quiet: bool,
    /// Print more detail, such as the layers and the expected memory before training.
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub verbose: bool,
    /// When to use colour.
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value = "auto")]
    pub color: ColorChoice,
    /// The verb with its arguments.
    #[command(subcommand)]
    pub command: Command,
}

/// What `words`, the name of the program and its arguments, ask for.
///
/// # Errors
/// Help, the version or a mistake, which is printed; the exit code then.
pub fn parse(words: &[OsString]) -> Result<Arguments, u8> {
    read(words).map_err(|answer| {
        // A mistake is quoted, and must not tell the terminal what to do.
        let harmless: Vec<OsString> = words
            .iter()
            .map(|word| escaped(&word.to_string_lossy()).into_owned().into())
            .collect();
        let answer = read(&harmless).err().unwrap_or(answer);
        let _ = answer.print();
        let _ = std::io::stdout().flush();
        answer.exit_code() as u8
    })
}

/// Reads `words`. What there is to say of them has the colours that `--color` among them asks for.
fn read(words: &[OsString]) -> clap::error::Result<Arguments> {
    let asks = |value: &str| {
        let one = words
            .iter()
            .any(|word| **word == *format!("--color={value}"));
        one || words
            .windows(2)
            .any(|pair| pair[0] == "--color" && pair[1] == value)
    };
    let color = match (asks("never"), asks("always")) {
        (true, _) => clap::ColorChoice::Never,
        (false, true) => clap::ColorChoice::Always,
        // clap colours what is read by a CI system, whatever terminal that says it is.
        (false, false) if std::env::var_os("TERM").is_some_and(|term| term == "dumb") => {
            clap::ColorChoice::Never
        }
        (false, false) => clap::ColorChoice::Auto,
    };
    let mut command = Arguments::command().color(color);
    let mut matches = command.try_get_matches_from_mut(words)?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

impl Arguments {
    /// How much is printed on standard error.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (false, true) => Level::Verbose,
            (false, false) => Level::Usual,
        }
    }

    /// How progress is shown: not at all with --quiet.
    pub fn style(&self) -> Style {
        if self.quiet {
            Style::None
        } else {
            self.progress
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the model of an experiment file; creates a run directory.
    Train(TrainArguments),
    /// Continue a run; the result is bit for bit that of an uninterrupted run.
    Resume(ResumeArguments),
    /// Cross-validate: train on many splits of the images and report how much the metrics vary.
    Cv(CvArguments),
    /// Train with many combinations of settings and rank them.
    Sweep(SweepArguments),
    /// List, show, compare and clean up runs and studies (the directories that train, cv and sweep make).
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Draw a run or study, or several of them side by side: curves, confusion, wrong images, settings, as one HTML page.
    Report(ReportArguments),
    /// Measure a model on labelled images: accuracy, loss, confusion matrix, wrong images.
    Eval(EvalArguments),
    /// Classify images.
    Predict(PredictArguments),
    /// Export a model as TorchScript, ONNX or safetensors, and check the exported files.
    Export(ExportArguments),
    /// Check that an exported model still gives the outputs it gave when it was exported.
    Verify(VerifyArguments),
    /// Report which libtorch, GPUs and CPU threads signet finds, and what is missing.
    Doctor,
    /// Check experiment files, or print one with every default filled in.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Describe, convert, download or generate images.
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a script by which a shell completes verbs, options, keys of experiments and paths.
    ///
    /// For bash, write `source <(signet completions bash)` into ~/.bashrc; for zsh, the same with zsh into ~/.zshrc, behind
    /// compinit; for fish, `signet completions fish | source` into ~/.config/fish/config.fish.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual: a page for each verb, and one for the keys of experiments.
    Man {
        /// Folder of manuals, such as ~/.local/share/man; pages go into man1 and man5 in it.
        dir: PathBuf,
    },
}

/// `signet train`.
#[derive(Debug, clap::Args)]
pub struct TrainArguments {
    /// Experiment file (YAML).
    #[arg(add = completion::experiments())]
    pub config: PathBuf,
    /// Keys set on the command line, which take precedence over the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Device to train on; the same as -s device=DEVICE.
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N")]
    pub device: Option<String>,
    /// Number of CPU threads; the same as -s threads=N.
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
    /// Run directory to create [default: one named after the experiment, in run.root].
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Continue the run if its directory exists, as `signet resume` does; create it otherwise.
    #[arg(long)]
    pub resume: bool,
    /// With --resume, if train.epochs changed: how a cosine or one_cycle schedule goes on.
    #[arg(long, value_enum, requires = "resume")]
    pub extend: Option<ExtendMode>,
    /// Stop after epoch N with a checkpoint and exit code 0; `signet resume` continues.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub until: Option<usize>,
    /// What is served meanwhile.
    #[command(flatten)]
    pub live: LiveArguments,
    /// Print the layers, the number of steps and the expected memory without training.
    #[arg(long)]
    pub dry_run: bool,
}

impl TrainArguments {
    /// All keys set on the command line; those of the machine rather than the experiment have flags of their own, too.
    pub fn overrides(&self) -> Overrides {
        let machine = [("device", &self.device), ("threads", &self.threads)];
        let machine = machine
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let mut set = self.overrides.set.clone();
        set.extend(machine.map(|(key, value)| format!("{key}={value}")));
        Overrides { set }
    }
}

/// `signet resume`.
#[derive(Debug, clap::Args)]
pub struct ResumeArguments {
    /// Run directory.
    #[arg(add = completion::runs())]
    pub run: PathBuf,
    /// Checkpoint to continue from [default: last].
    #[arg(long, value_name = "last|best|FILE")]
    pub from: Option<CheckpointRef>,
    /// Total number of epochs, those already trained included; the same as -s train.epochs=N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,
    /// How a cosine or one_cycle schedule goes on when the number of epochs changed.
    #[arg(long, value_enum)]
    pub extend: Option<ExtendMode>,
    /// Keys set on the command line, which take precedence over the run's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Stop after epoch N with a checkpoint and exit code 0.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub until: Option<usize>,
    /// What is served meanwhile.
    #[command(flatten)]
    pub live: LiveArguments,
    /// Continue in this new run directory and leave the old one unchanged; allows more keys to change.
    #[arg(long = "as", value_name = "NEW_RUN")]
    pub branch: Option<PathBuf>,
    /// Check reproducibility: train again from an earlier checkpoint to the newest, in a temporary copy, and compare all
    /// bits.
    #[arg(long, conflicts_with_all = ["epochs", "extend", "until", "set", "branch"])]
    pub prove: bool,
}

/// `signet eval`.
#[derive(Debug, clap::Args)]
pub struct EvalArguments {
    /// Run directory (its best checkpoint is used), checkpoint file, or exported model (.pt, .onnx, .safetensors).
    pub target: PathBuf,
    /// Part of the experiment's images to evaluate on.
    #[arg(long, value_enum, default_value = "test")]
    pub part: PartArgument,
    /// Evaluate on the images in this folder instead, which has a subfolder per class.
    #[arg(long, value_name = "DIR", conflicts_with = "part")]
    pub data: Option<PathBuf>,
    /// Where its data is now, if it was moved.
    #[command(flatten)]
    pub moved: MovedArguments,
    /// Files to write the metrics to; the CSV has every image's probabilities.
    #[command(flatten)]
    pub files: FilesArguments,
}

/// `signet predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArguments {
    /// Run directory (its best checkpoint is used), checkpoint file, or exported model (.pt, .onnx, .safetensors).
    pub target: PathBuf,
    /// Image files, folders, glob patterns, or - to read file names from standard input.
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value = "table", ignore_case = true)]
    pub format: PredictFormat,
    /// Number of classes to print per image, most probable first.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub top: u64,
}

/// Output format of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PredictFormat {
    /// A table, printed when all images are done.
    Table,
    /// One JSON object per line and image.
    Jsonl,
    /// One line per image, below a header.
    Csv,
}

/// `signet export`.
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// Run directory.
    #[arg(add = completion::runs())]
    pub run: PathBuf,
    /// Checkpoint to export.
    #[arg(long, value_name = "best|last|FILE", default_value = "best")]
    pub from: CheckpointRef,
    /// Comma-separated formats: torchscript, onnx, safetensors [default: export.formats of the experiment].
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = in_any_case)]
    pub format: Vec<Format>,
    /// Set where the data is now, for example -s data.source.root=DIR, or the licence to state in README.md, for example
    /// -s export.license=MIT; may be repeated.
    #[arg(short = 's', long = "set", value_name = "KEY=VALUE", add = completion::settings(&["data.source.", "export.license"]))]
    pub set: Vec<String>,
    /// Folder to write to [default: export/ in the run directory].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// The format called `word`, in capitals or not.
fn in_any_case(word: &str) -> Result<Format, String> {
    word.to_lowercase().parse()
}

/// `signet verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    /// Exported model (.pt, .onnx or .safetensors). With -, models are named on standard input, a NUL behind each name (as
    /// `find -print0` does), and checked as they come, up to the first that fails.
    pub artefact: PathBuf,
    /// Compare with the checkpoint of this run on its test images. Without it, compare with the outputs for generated inputs
    /// that are stored in the file.
    #[arg(long, value_name = "RUN", add = completion::runs())]
    pub against: Option<PathBuf>,
    /// Checkpoint of that run to compare with [default: the one with the same weights].
    #[arg(long, value_name = "FILE", requires = "against")]
    pub checkpoint: Option<PathBuf>,
    /// Where its data is now, if it was moved.
    #[command(flatten)]
    pub moved: MovedArguments,
    /// Write the result as JSON to FILE (- for standard output).
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Which part of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartArgument {
    /// The training part: images whose gradients updated the weights.
    Train,
    /// The validation part: images by which the best epoch was chosen.
    Val,
    /// The test part: images used for nothing else.
    Test,
    /// All images.
    All,
}

/// Files to write metrics to.
#[derive(Debug, clap::Args)]
pub struct FilesArguments {
    /// Write all results as JSON to FILE (- for standard output).
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a row per image (eval, data check), run (runs) or setting (runs compare) as CSV to FILE (- for standard output).
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Where data is that was moved.
#[derive(Debug, clap::Args)]
pub struct MovedArguments {
    /// Set where the data is now, for example -s data.source.root=DIR; may be repeated.
    #[arg(short = 's', long = "set", value_name = "data.source.KEY=VALUE", add = completion::settings(&["data.source."]))]
    pub set: Vec<String>,
}

/// Keys that take precedence over those of an experiment file.
#[derive(Debug, clap::Args)]
pub struct Overrides {
    /// Override a key of the experiment file, for example -s train.epochs=5; the value is YAML; may be repeated.
    #[arg(short = 's', long = "set", value_name = "KEY=VALUE", add = completion::settings(&[""]))]
    pub set: Vec<String>,
}
