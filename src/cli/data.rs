//! The command line of `signet data`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{FilesArguments, Overrides, completion};

/// The verbs of `signet data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Describe an experiment's images: counts, sizes, mean and standard deviation, duplicates, fingerprint.
    Info {
        /// Experiment file (YAML).
        #[arg(add = completion::experiments())]
        config: PathBuf,
        /// Keys set on the command line, which take precedence over the file's.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Look for what is wrong with an experiment's images: files that cannot be read, blank, tiny and odd-shaped images, equal
    /// and nearly equal ones, classes and groups that the split treats badly.
    Check {
        /// Experiment file (YAML).
        #[arg(add = completion::experiments())]
        config: PathBuf,
        /// Keys set on the command line, which take precedence over the file's.
        #[command(flatten)]
        overrides: Overrides,
        /// A finished study of signet cv on the same images, by whose predictions doubtful labels are found.
        #[arg(long, value_name = "STUDY")]
        cv: Option<PathBuf>,
        /// End with exit code 3 if images of two parts are equal, nearly equal, or of one group.
        #[arg(long)]
        strict: bool,
        /// Files to write the findings to.
        #[command(flatten)]
        files: FilesArguments,
    },
    /// Write an experiment's images and labels as NumPy files, X.npy and Y.npy.
    Npy {
        /// Experiment file (YAML).
        #[arg(add = completion::experiments())]
        config: PathBuf,
        /// Folder to create; it must not exist.
        out: PathBuf,
        /// Keys set on the command line, which take precedence over the file's.
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Download the Sign Language Digits data set, check it and unpack it.
    Fetch {
        /// Folder to create; it must not exist.
        #[arg(long, default_value = "data/sign-language-digits")]
        out: PathBuf,
        /// Download the same archive from this address instead.
        #[arg(long)]
        url: Option<String>,
    },
    /// Draw synthetic hand signs as DIR/<digit>/*.png, to try signet without a data set.
    Generate {
        /// Folder to create; it must not exist.
        dir: PathBuf,
        /// Comma-separated digits to draw.
        #[arg(long, value_delimiter = ',', default_value = "0,1", value_parser = clap::value_parser!(u8).range(0..=9))]
        digits: Vec<u8>,
        /// Images per digit.
        #[arg(long, alias = "pictures", default_value_t = 205, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        images: u64,
        /// Seed of the drawing; equal seeds give equal images.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Width and height of each image, in pixels.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..=1024))]
        side: u32,
    },
}
