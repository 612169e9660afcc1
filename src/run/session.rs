//! Everything an experiment needs in memory: pictures, their split, a network on a device.

use anyhow::{Context, Result, ensure};

use crate::bridge::{self, device};
use crate::config::Experiment;
use crate::config::data::{NamedNormalize, Normalize};
use crate::config::train::BatchSize;
use crate::data::Dataset;
use crate::data::batches::Pictures;
use crate::data::split::Split;
use crate::fault::{Blame, Fault};
use crate::model::network::{Network, Normalization};
use crate::model::plan::Plan;

/// An experiment, ready to be trained or evaluated.
pub struct Session {
    /// What was asked for.
    pub experiment: Experiment,
    /// All pictures.
    pub data: Dataset,
    /// Which pictures are for what.
    pub split: Split,
    /// How pixels enter the network.
    pub normalization: Normalization,
    /// Where the network and the pictures lie.
    pub device: tch::Device,
    /// With its initial weights.
    pub network: Network,
    /// On the device.
    pub pictures: Pictures,
}

impl Session {
    /// Reads the pictures, deals them, and makes a network. Nothing is written anywhere.
    ///
    /// # Errors
    /// Anything about the pictures, the device or the fit of one to the other, with its fault.
    pub fn open(experiment: Experiment) -> Result<Session> {
        let data = Dataset::load(&experiment.data).blame(Fault::Data)?;
        let split =
            Split::deal(&data, &experiment.data.split, experiment.seed).blame(Fault::Data)?;
        let normalization = normalization(&experiment, &data, &split).blame(Fault::Data)?;
        Session::with(experiment, data, split, normalization)
    }

    /// The same with a split and a normalisation that are already decided.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn with(
        experiment: Experiment,
        data: Dataset,
        split: Split,
        normalization: Normalization,
    ) -> Result<Session> {
        let plan = Plan::new(&experiment.model, data.shape, data.classes.len())
            .map_err(|(key, message)| anyhow::anyhow!("{key}: {message}"))
            .blame(Fault::Config)?;
        check_batches(&experiment, &split, &plan).blame(Fault::Config)?;
        let device = device::choose(experiment.device).blame(Fault::Config)?;
        tch::set_num_threads(experiment.threads.count() as i32);
        bridge::repeatable(experiment.train.deterministic)?;
        let network = Network::new(
            plan,
            &experiment.model,
            experiment.seed,
            &normalization,
            device,
        );
        let pictures = Pictures::new(&data, device);
        Ok(Session {
            experiment,
            data,
            split,
            normalization,
            device,
            network,
            pictures,
        })
    }
}

fn normalization(experiment: &Experiment, data: &Dataset, split: &Split) -> Result<Normalization> {
    let channels = data.shape[0];
    match &experiment.data.normalize {
        Normalize::Fixed { mean, std } => Ok(Normalization {
            mean: mean.clone(),
            std: std.clone(),
        }),
        Normalize::Named(NamedNormalize::Unit) => Ok(Normalization {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }),
        Normalize::Named(NamedNormalize::TrainStats) => {
            let (mean, std): (Vec<f64>, Vec<f64>) =
                data.statistics(&split.train).into_iter().unzip();
            ensure!(
                std.iter().all(|std| *std > 0.0),
                "data.normalize: all training pixels of a channel are equal, so train_stats would divide by zero; are the pictures blank?"
            );
            Ok(Normalization { mean, std })
        }
    }
}

/// Rules between the config and the pictures that were found.
fn check_batches(experiment: &Experiment, split: &Split, plan: &Plan) -> Result<()> {
    let train = split.train.len();
    let BatchSize::Pictures(batch) = experiment.train.batch_size else {
        return Ok(());
    };
    ensure!(
        batch <= train,
        "train.batch_size: {batch} is larger than the training part of {train} pictures; use at most {train}, or full"
    );
    ensure!(
        !(plan.needs_company() && train % batch == 1),
        "train.batch_size: {batch} leaves a last batch of one picture out of {train}, and batch_norm cannot normalise one; use {}",
        batch + 1
    );
    let needs_val = experiment.checkpoint.metric.needs_val() && split.val.is_empty();
    ensure!(
        !needs_val,
        "checkpoint.metric: {} needs a val part, and the manifest has none; use train.loss",
        experiment.checkpoint.metric.word()
    );
    Ok(())
}

/// What a process needs to know of the machine to say what a run depended on.
///
/// # Errors
/// None that is known.
pub fn environment(session: &Session) -> Result<serde_json::Value> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, name)| name)
    });
    let cuda = session.device.is_cuda();
    let repeatability = match (cuda, session.experiment.train.deterministic) {
        (false, _) => "bitwise at this thread count on this kind of CPU",
        (true, true) => "bitwise on this kind of GPU",
        (true, false) => {
            "not bitwise: some CUDA kernels add in any order; train.deterministic: true makes it so"
        }
    };
    let started = time::OffsetDateTime::now_utc();
    let started = started
        .format(&time::format_description::well_known::Rfc3339)
        .context("formatting the time")?;
    Ok(serde_json::json!({
        "signet": env!("CARGO_PKG_VERSION"),
        "libtorch": bridge::LIBTORCH,
        "device": format!("{:?}", session.device).to_lowercase(),
        "threads": tch::get_num_threads(),
        "cpu": model.unwrap_or("unknown"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "repeatability": repeatability,
        "started": started,
        "command": std::env::args().collect::<Vec<_>>(),
    }))
}
