//! What the bits of a run depend on, beside its experiment.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::arithmetic;
use super::session::Session;
use crate::bridge::{self, cuda};
use crate::config::train::Reduction;
use crate::config::{Device, Experiment};
use crate::disk;
use crate::train::replay;

/// The document of the last launch, in a run directory.
pub const ENVIRONMENT: &str = "environment.json";

/// Program, libraries, device, threads and processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of this program.
    pub signet: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Whose arithmetic on the CPU, as [`bridge::KERNELS`] names it.
    #[serde(default = "by_libtorch")]
    pub kernels: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads of the CPU.
    pub threads: usize,
    /// Processes that train together; versions up to 0.2 knew one.
    #[serde(default = "one")]
    pub processes: usize,
    /// The processor's name.
    pub cpu: String,
    /// The kinds of GPU there are, if one of them is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// The instructions libtorch chooses its kernels by.
    pub cpu_capability: String,
    /// Operating system and architecture.
    pub platform: String,
}

/// Until signet had kernels of its own.
fn by_libtorch() -> String {
    "libtorch".to_owned()
}

fn one() -> usize {
    1
}

impl Environment {
    /// Of this process, for `experiment` with its device and threads settled, as one of so many `processes`.
    pub fn here(experiment: &Experiment, processes: usize) -> Environment {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find_map(|line| {
            let (_, name) = line.strip_prefix("model name")?.split_once(": ")?;
            Some(name.to_owned())
        });
        let mut gpus = match experiment.device {
            Device::Cuda(_) => cuda::gpu_names(),
            _ => Vec::new(),
        };
        gpus.sort();
        gpus.dedup();
        Environment {
            signet: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: bridge::LIBTORCH.to_owned(),
            kernels: bridge::KERNELS.to_owned(),
            device: experiment.device.to_string(),
            threads: tch::get_num_threads() as usize,
            processes,
            cpu: cpu.unwrap_or_else(|| "unknown".to_owned()),
            gpus,
            cpu_capability: bridge::cpu_capability(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }

    /// What differs in `other` and may change the bits, in words; the number of processes is not among that.
    pub fn differences(&self, other: &Environment) -> Vec<String> {
        let pairs = [
            ("signet", &self.signet, &other.signet),
            ("libtorch", &self.libtorch, &other.libtorch),
            ("kernels of", &self.kernels, &other.kernels),
            ("device", &self.device, &other.device),
            (
                "threads",
                &self.threads.to_string(),
                &other.threads.to_string(),
            ),
            ("processor", &self.cpu, &other.cpu),
            ("GPU", &self.gpus.join(", "), &other.gpus.join(", ")),
            (
                "CPU capability",
                &self.cpu_capability,
                &other.cpu_capability,
            ),
            ("platform", &self.platform, &other.platform),
        ];
        let different = pairs.into_iter().filter(|(_, a, b)| a != b);
        different
            .map(|(what, a, b)| format!("{what} {a} then, {b} now"))
            .collect()
    }
}

/// The document `environment.json`: what the run's bits depend on, how far they can be repeated, and how it was
/// launched last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchRecord {
    /// Program, libraries, device, threads and processor.
    #[serde(flatten)]
    pub environment: Environment,
    /// What it computes in; versions up to 0.2 did not write it.
    #[serde(default)]
    pub arithmetic: Option<String>,
    /// Whether steps are replayed as CUDA graphs; versions up to 0.2 did not write it.
    #[serde(default)]
    pub cuda_graphs: bool,
    /// How far a repetition is equal.
    pub repeatability: String,
    /// When, in UTC (RFC 3339).
    pub started: String,
    /// The folder from which relative paths were found; version 0.1 did not write it.
    #[serde(default)]
    pub working_folder: Option<String>,
    /// The words of the command line.
    pub command: Vec<String>,
}

impl LaunchRecord {
    /// Of this process, which trains `session`.
    ///
    /// # Errors
    /// None that is known.
    pub fn of(session: &Session) -> Result<LaunchRecord> {
        let experiment = &session.experiment;
        let pieces = experiment.train.pieces(session.ranks.world());
        let cuda = matches!(experiment.device, Device::Cuda(_));
        let flat = pieces > 1 && experiment.train.reduction == Reduction::Flat;
        let repeatability = match (cuda, experiment.train.deterministic) {
            (false, _) if flat => {
                "bitwise, at this thread count and number of processes on this kind of CPU"
            }
            (true, true) if flat => {
                "not bitwise: NCCL may add in any order; train.reduction: tree makes it so"
            }
            (false, _) => "bitwise, at this thread count on this kind of CPU",
            (true, true) => "bitwise, on this kind of GPU",
            (true, false) => {
                "not bitwise: some CUDA kernels add in any order; train.deterministic: true makes it so"
            }
        };
        let started = time::OffsetDateTime::now_utc();
        let started = started
            .format(&time::format_description::well_known::Rfc3339)
            .context("formatting the time")?;
        Ok(LaunchRecord {
            environment: session.environment.clone(),
            arithmetic: Some(arithmetic::describe(
                experiment.train.precision,
                session.device,
            )?),
            cuda_graphs: replay::available(&experiment.train, pieces, session.device).is_ok(),
            repeatability: repeatability.to_owned(),
            started,
            working_folder: Some(session.working_folder.to_string_lossy().into_owned()),
            command: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
        })
    }

    /// Of the last launch of the run in `folder`; none if the document is missing or damaged, since no result depends
    /// on it.
    pub fn read(folder: &Path) -> Option<LaunchRecord> {
        let text = disk::read_text(&folder.join(ENVIRONMENT)).ok()?;
        serde_json::from_str(&text).ok()
    }
}
