//! The command line of reports: `signet report`, and `--live` of the verbs that train.

use std::path::PathBuf;

use super::{MovedArguments, completion};

/// `signet report`.
#[derive(Debug, clap::Args)]
pub struct ReportArguments {
    /// Run or study directory; several are compared.
    #[arg(required = true, add = completion::runs())]
    pub runs: Vec<PathBuf>,
    /// HTML file to write [default: report.html in the directory, beside plots/; comparison.html for several].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where its data is now, if it was moved.
    #[command(flatten)]
    pub moved: MovedArguments,
}

/// The page of a training that goes on.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct LiveArguments {
    /// Serve the report while it grows, on this machine alone; the address is printed.
    #[arg(long)]
    pub live: bool,
    /// Port of the address [default: one that is free].
    #[arg(long, value_name = "N", requires = "live", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}
