//! The command line. Flags choose what to do; how to do it stands in the experiment.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::run::Format;
use crate::messages::{ColorChoice, Level, escaped};
use crate::run::display::Style;
use crate::run::resume::CheckpointRef;
use crate::train::progress::ExtendMode;

/// Train image classifiers from YAML experiments.
#[derive(Debug, Parser)]
#[command(name = "signet", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 a fault of signet's own, 2 command line or config, 3 data, 4 run, 5 an artefact that fails its check, 6 training diverged, 130 stopped by SIGINT, 143 by SIGTERM, SIGUSR1, SIGUSR2 or SIGHUP, after a checkpoint; a second signal ends it at once."
)]
pub struct Arguments {
    /// How progress is shown, on standard error.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub progress: Style,
    /// Say nothing on standard error but errors.
    #[arg(short, long, global = true, conflicts_with_all = ["verbose", "progress"])]
    pub quiet: bool,
    /// Say more: layers, steps and memory before a training.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Whether words and bars are coloured.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: ColorChoice,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `words`, the name of the program and its arguments, ask for.
///
/// # Errors
/// Help, the version or a mistake, which is printed; the exit code then.
pub fn parse(words: &[OsString]) -> Result<Arguments, u8> {
    Arguments::try_parse_from(words).map_err(|answer| {
        // A mistake is quoted, and must not tell the terminal what to do.
        let harmless = words
            .iter()
            .map(|word| escaped(&word.to_string_lossy()).into_owned());
        let answer = Arguments::try_parse_from(harmless).err().unwrap_or(answer);
        let _ = answer.print();
        let _ = std::io::stdout().flush();
        answer.exit_code() as u8
    })
}

impl Arguments {
    /// How much is said.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (false, true) => Level::Verbose,
            (false, false) => Level::Usual,
        }
    }

    /// How progress is shown, which quiet ones do not.
    pub fn style(&self) -> Style {
        if self.quiet {
            Style::None
        } else {
            self.progress
        }
    }
}

/// What signet can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train an experiment; makes a run directory with the evidence.
    Train(TrainArguments),
    /// Go on with a run where it stopped, to the same bits it would have had.
    Resume(ResumeArguments),
    /// Train an experiment on many splits of its images, and say how much the figures vary.
    Cv(CvArguments),
    /// Train an experiment under many settings, and say which are best.
    Sweep(SweepArguments),
    /// Look at runs and studies: what there is, how they differ, what can go.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Say how good a model is.
    Eval(EvalArguments),
    /// Say what images show.
    Predict(PredictArguments),
    /// Export a run's model for others, and prove that they get the same from it.
    Export(ExportArguments),
    /// Prove again that an exported model is what it was.
    Verify(VerifyArguments),
    /// Say what signet finds on this machine, and what to do about what is missing.
    Doctor,
    /// Check experiment files, or show one with every default filled in.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work with images.
    #[command(subcommand)]
    Data(DataCommand),
}

/// `signet train`.
#[derive(Debug, clap::Args)]
pub struct TrainArguments {
    /// Experiment file.
    pub config: PathBuf,
    /// Keys laid over the file.
    #[command(flatten)]
    pub overrides: Overrides,
    /// The device, as -s device=D.
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N")]
    pub device: Option<String>,
    /// Threads of the CPU, as -s threads=N.
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
    /// The very run directory to make, instead of one named after the experiment.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Go on with that run if it exists, as `signet resume` does.
    #[arg(long)]
    pub resume: bool,
    /// With --resume: what becomes of a schedule when train.epochs has changed.
    #[arg(long, value_enum, requires = "resume")]
    pub extend: Option<ExtendMode>,
    /// Pause after epoch N of the run, as Ctrl-C would, but as a success; `signet resume` goes on.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub until: Option<usize>,
    /// Print layers, steps and memory, and stop.
    #[arg(long)]
    pub dry_run: bool,
}

impl TrainArguments {
    /// All keys laid over the file: what belongs to the machine rather than the experiment has flags too.
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
    pub run: PathBuf,
    /// Where to go on from: last, best, or a checkpoint file.
    #[arg(long, value_name = "last|best|FILE")]
    pub from: Option<CheckpointRef>,
    /// Train up to so many epochs in all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,
    /// What becomes of a cosine or one_cycle schedule when the number of epochs changes.
    #[arg(long, value_enum)]
    pub extend: Option<ExtendMode>,
    /// Keys laid over the run's experiment.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Pause after epoch N of the run, as Ctrl-C would, but as a success.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub until: Option<usize>,
    /// Branch off into this new run directory and leave the old one as it is.
    #[arg(long = "as", value_name = "NEW_RUN")]
    pub branch: Option<PathBuf>,
    /// Train a copy from an earlier checkpoint to the newest one and compare all bits; changes nothing.
    #[arg(long, conflicts_with_all = ["epochs", "extend", "until", "set", "branch"])]
    pub prove: bool,
}

/// `signet cv`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("resampling").required(true).args(["folds", "holdout"]))]
pub struct CvArguments {
    /// Experiment file.
    pub config: PathBuf,
    /// Keys laid over the file.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Resampling the images into K folds, and test on each of them in turn.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(2..))]
    pub folds: Option<u64>,
    /// Resampling the folds anew so many times.
    #[arg(long, value_name = "R", default_value_t = 1, requires = "folds", value_parser = clap::value_parser!(u64).range(1..))]
    pub repeats: u64,
    /// Leave the test part of data.split alone and split the rest: each fold is a val part in turn. For choosing settings.
    #[arg(long, requires = "folds")]
    pub inner: bool,
    /// Take R random splits instead, of the kind that data.split names.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..))]
    pub holdout: Option<u64>,
    /// How the study is run.
    #[command(flatten)]
    pub study: StudyArguments,
}

/// `signet sweep`.
#[derive(Debug, clap::Args)]
pub struct SweepArguments {
    /// Sweep file: `base`, an experiment; `over`, keys with the values to try.
    pub sweep: PathBuf,
    /// How the study is run.
    #[command(flatten)]
    pub study: StudyArguments,
}

/// How a study is run.
#[derive(Debug, clap::Args)]
pub struct StudyArguments {
    /// Trials at a time; they share the threads.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub jobs: usize,
    /// The study's folder, instead of one named after the experiment or sweep; the same command goes on in it.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// What becomes of the others when a trial fails.
    #[arg(long, value_enum, default_value = "stop")]
    pub on_fail: OnFail,
}

/// What becomes of a study when a trial fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFail {
    /// No further trial starts.
    Stop,
    /// The others go on.
    Continue,
}

/// `signet eval`.
#[derive(Debug, clap::Args)]
pub struct EvalArguments {
    /// A run directory (its best epoch), one of its checkpoints, or an exported model.
    pub target: PathBuf,
    /// Which images of its experiment.
    #[arg(long, value_enum, default_value = "test")]
    pub part: Part,
    /// Other images instead, one folder per class.
    #[arg(long, value_name = "DIR", conflicts_with = "part")]
    pub data: Option<PathBuf>,
    /// Where its data lies now.
    #[command(flatten)]
    pub moved: MovedArguments,
    /// Where else the figures go; the CSV has every image's probabilities.
    #[command(flatten)]
    pub files: FilesArguments,
}

/// `signet predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArguments {
    /// A run directory (its best epoch), a checkpoint, or an exported model.
    pub target: PathBuf,
    /// Image files, folders of them, patterns, or - for a list on standard input.
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// How answers are printed.
    #[arg(long, value_enum, default_value = "table", ignore_case = true)]
    pub format: PredictFormat,
    /// How many classes are named per image, likeliest first.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub top: u64,
}

/// How predictions are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PredictFormat {
    /// For people.
    Table,
    /// One JSON object per image.
    Jsonl,
    /// One line per image.
    Csv,
}

/// `signet export`.
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// Run directory.
    pub run: PathBuf,
    /// Which weights: best, last, or a checkpoint file.
    #[arg(long, value_name = "best|last|FILE", default_value = "best")]
    pub from: CheckpointRef,
    /// Formats, instead of export.formats of the experiment: torchscript, onnx, safetensors.
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = in_any_case)]
    pub format: Vec<Format>,
    /// Where its data lies now.
    #[command(flatten)]
    pub moved: MovedArguments,
    /// Folder to put them in, instead of export/ in the run directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A format, also in capitals.
fn in_any_case(word: &str) -> Result<Format, String> {
    word.to_lowercase().parse()
}

/// `signet verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    /// An exported model.
    pub artefact: PathBuf,
    /// The run it came from; without it, the model is tried on noise whose logits it carries along.
    #[arg(long, value_name = "RUN")]
    pub against: Option<PathBuf>,
    /// The checkpoint of that run to compare with, instead of the one that has the same weights.
    #[arg(long, value_name = "FILE", requires = "against")]
    pub checkpoint: Option<PathBuf>,
    /// Where its data lies now.
    #[command(flatten)]
    pub moved: MovedArguments,
    /// Write the figures as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Those weights were moved by.
    Train,
    /// Those the best epoch was chosen by.
    Val,
    /// Those held back.
    Test,
    /// All of them.
    All,
}

/// What can be done with an experiment file.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Find everything that is wrong with experiment files.
    Check {
        /// Experiment files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Keys laid over the file.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Print an experiment with every default filled in.
    Show {
        /// Experiment file.
        file: PathBuf,
        /// Keys laid over the file.
        #[command(flatten)]
        overrides: Overrides,
    },
}

/// What can be done with images.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Describe the images of an experiment: counts, sizes, mean and sd, duplicates, fingerprint.
    Info {
        /// Experiment file.
        config: PathBuf,
        /// Keys laid over the file.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Write the images of an experiment as X.npy and Y.npy.
    Npy {
        /// Experiment file.
        config: PathBuf,
        /// A folder that does not exist yet.
        out: PathBuf,
        /// Keys laid over the file.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Download the Sign Language Digits images, check them and unpack them.
    Fetch {
        /// A folder that does not exist yet.
        #[arg(long, default_value = "data/sign-language-digits")]
        out: PathBuf,
        /// Another address of the same archive.
        #[arg(long)]
        url: Option<String>,
    },
    /// Draw hand signs into DIR/<digit>/*.png.
    Generate {
        /// A folder that does not exist yet.
        dir: PathBuf,
        /// Digits to draw.
        #[arg(long, value_delimiter = ',', default_value = "0,1", value_parser = clap::value_parser!(u8).range(0..=9))]
        digits: Vec<u8>,
        /// Images per digit.
        #[arg(long, alias = "pictures", default_value_t = 205, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        images: u64,
        /// The same seed gives the same images.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Side of each image in pixels.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..=1024))]
        side: u32,
    },
}

/// What can be done with runs and studies.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List the runs and studies in folders.
    List {
        /// Folders of runs.
        #[arg(default_value = "runs")]
        folders: Vec<PathBuf>,
        /// Trials of studies too, one by one.
        #[arg(long)]
        trials: bool,
        /// Where figures go.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// Show one run or study: what it was asked, how far it came, what it holds.
    Show {
        /// Run or study directory.
        run: PathBuf,
        /// Where figures go.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// Lay runs or studies side by side: differing settings, figures, and the paired difference of studies that
    /// share their splits.
    Compare {
        /// Run or study directories; the first is what the others are compared with.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<PathBuf>,
        /// Where figures go.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// Show what retention rules no longer ask for, and remove it when told to.
    Gc {
        /// Folders of runs, or runs.
        #[arg(default_value = "runs")]
        folders: Vec<PathBuf>,
        /// Newest checkpoints to keep of each run, instead of its checkpoint.keep_last.
        #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
        keep_last: Option<usize>,
        /// Best checkpoints to keep of each run, instead of its checkpoint.keep_best.
        #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
        keep_best: Option<usize>,
        /// Remove what was shown.
        #[arg(long)]
        yes: bool,
    },
}

/// Where figures go beside the terminal.
#[derive(Debug, clap::Args)]
pub struct FilesArguments {
    /// Write all figures as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write them line by line as CSV: images with their probabilities, runs, settings; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Where data lies that has moved.
#[derive(Debug, clap::Args)]
pub struct MovedArguments {
    /// Say where the data lies now, such as -s data.source.root=DIR.
    #[arg(short = 's', long = "set", value_name = "data.source.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Keys laid over an experiment file.
#[derive(Debug, clap::Args)]
pub struct Overrides {
    /// Set a key, such as -s train.epochs=5; the value is YAML.
    #[arg(short = 's', long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
