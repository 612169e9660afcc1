//! The command line. Flags choose what to do; how to do it stands in the experiment.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Train image classifiers from YAML experiments.
#[derive(Debug, Parser)]
#[command(name = "signet", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 a fault of signet's own, 2 command line or config, 3 data."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What signet can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check experiment files, or show one with every default filled in.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work with pictures.
    #[command(subcommand)]
    Data(DataCommand),
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

/// What can be done with pictures.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Describe the pictures of an experiment: counts, sizes, mean and sd, duplicates, fingerprint.
    Info {
        /// Experiment file.
        config: PathBuf,
        /// Keys laid over the file.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Write the pictures of an experiment as X.npy and Y.npy.
    Npy {
        /// Experiment file.
        config: PathBuf,
        /// A folder that does not exist yet.
        out: PathBuf,
        /// Keys laid over the file.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Download the Sign Language Digits pictures, check them and unpack them.
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
        /// Pictures per digit.
        #[arg(long, default_value_t = 205)]
        pictures: u64,
        /// The same seed gives the same pictures.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Side of each picture in pixels.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..=1024))]
        side: u32,
    },
}

/// Keys laid over an experiment file.
#[derive(Debug, clap::Args)]
pub struct Overrides {
    /// Set a key, such as -s train.epochs=5; the value is YAML.
    #[arg(short = 's', long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
