//! Everything an experiment needs in memory: images, their split, a network on a device.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};

use super::arithmetic;
use super::checkpoint::{self, CheckpointMeta, Fingerprints};
use super::checkpoints;
use super::directory::RunDir;
use super::environment::Environment;
use super::source::working_folder;
use crate::bridge;
use crate::config::data::{DataConfig, FixedNormalize, NamedNormalize, Normalize, SplitConfig};
use crate::config::threads::Settled;
use crate::config::train::{InitFrom, Reduction, Shards};
use crate::config::{Device, Experiment, Threads};
use crate::data::index::Index;
use crate::data::split::Split;
use crate::data::{Dataset, hex, residency};
use crate::distributed::{Facts, Ranks};
use crate::fault::{Blame, Fault};
use crate::model::network::{Network, Normalization};
use crate::model::plan::Plan;
use crate::model::transfer::{Transfer, transfer};
use crate::train::loss::{Criterion, class_weights};
use crate::train::snapshot;
use crate::train::trainer::Trainer;

/// An experiment, ready to be trained or evaluated.
pub struct Session {
    /// The experiment, with device and threads settled for this machine.
    pub experiment: Experiment,
    /// All images; batches of them lie on the device.
    pub data: Dataset,
    /// Which images train, validate and test.
    pub split: Split,
    /// How pixels enter the network.
    pub normalization: Normalization,
    /// Of images, split and normalisation.
    pub fingerprints: Fingerprints,
    /// What the bits to come depend on.
    pub environment: Environment,
    /// Where the network and batches of images lie.
    pub device: tch::Device,
    /// How many threads compute, and who said so.
    pub threads: Settled,
    /// With its initial weights.
    pub network: Network,
    /// What is made small.
    pub criterion: Criterion,
    /// What became of the weights to begin with, if the experiment names some.
    pub transfer: Option<Transfer>,
    /// The folder from which relative paths of the experiment are found.
    pub working_folder: PathBuf,
    /// The processes that train it together.
    pub ranks: Rc<Ranks>,
}

impl Session {
    /// Reads the images, splits them, makes a network and gives it its first weights, which other processes than the first
    /// of `ranks` are to get from that. Nothing is written anywhere.
    ///
    /// # Errors
    /// Anything about the images, the device, the weights to begin with, or the fit of one to the other.
    pub fn open(experiment: Experiment, ranks: Rc<Ranks>) -> Result<Session> {
        let device = connect(&experiment, &ranks)?;
        let data = load(&experiment.data, &ranks)?;
        let split = Split::new(&data.index, &experiment.data.split, experiment.seed)?;
        let normalization = normalization(&experiment, &data, &split)?;
        let mut session = Session::with(experiment, device, data, split, normalization, ranks)?;
        if let Some(init) = session.experiment.train.init_from.clone()
            && session.ranks.is_first()
        {
            session.transfer = Some(begin_with(&session.network, &init)?);
        }
        session.facts()?.agree(&session.ranks)?;
        Ok(session)
    }

    /// The session of a run that exists: `experiment` on the images and the split that `document` was
    /// trained on, both refused if they are others now. The network has its random weights. Other processes than the first of
    /// `ranks` need not see the `folder` of the run.
    ///
    /// # Errors
    /// As [`Session::open`], and images or a split that changed, by name.
    pub fn reopen(
        experiment: Experiment,
        document: &CheckpointMeta,
        folder: Option<&RunDir>,
        ranks: Rc<Ranks>,
    ) -> Result<Session> {
        let device = connect(&experiment, &ranks)?;
        let then = &document.fingerprints;
        let (data, split) = reload_by(&experiment, then, folder, |config| load(config, &ranks))?;
        let normalization = document.normalization.clone();
        let mut session = Session::with(experiment, device, data, split, normalization, ranks)?;
        if let Some(folder) = folder {
            session.working_folder = working_folder(&session.experiment.data.source, folder);
        }
        let train = session.split.train.len();
        let rest = train.checked_sub(document.progress.images);
        let rest = rest.with_context(|| {
            format!(
                "the checkpoint says {} images of an epoch of {train}, so it is of another run",
                document.progress.images
            )
        })?;
        let world = session.ranks.world();
        check_shards(&session.experiment, rest, session.network.plan(), world)
            .context("in the epoch under way, from whose end one can go on with --from")
            .blame(Fault::Config)?;
        session.facts()?.agree(&session.ranks)?;
        Ok(session)
    }

    /// What all processes that train it together must have alike.
    fn facts(&self) -> Result<Facts> {
        if self.ranks.world() == 1 {
            return Ok(Facts::default());
        }
        let words = std::env::args_os().skip(1);
        let words: Vec<String> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let program = std::env::current_exe().and_then(std::fs::read);
        let program = program.context("cannot read this program")?;
        let Environment {
            libtorch,
            kernels,
            cpu_capability,
            ..
        } = &self.environment;
        let Fingerprints {
            data,
            split,
            normalization,
        } = &self.fingerprints;
        let device = if self.device.is_cuda() {
            "CUDA"
        } else {
            "the CPU"
        };
        Ok(Facts::default()
            .with("the command lines", words.join(" "))
            .with("the programs", hex(&Sha256::digest(program)))
            .with("the versions of libtorch", libtorch)
            .with("the kernels", kernels)
            .with("the devices", device)
            .with("the instructions of the CPU", cpu_capability)
            .with("the numbers of threads", self.threads.count.to_string())
            .with("the images", data)
            .with("the splits", split)
            .with("the normalisations", normalization))
    }

    /// What trains it.
    pub fn trainer(&self) -> Trainer<'_> {
        Trainer {
            experiment: &self.experiment,
            network: &self.network,
            images: &self.data,
            split: &self.split,
            criterion: &self.criterion,
            ranks: &self.ranks,
        }
    }

    fn with(
        mut experiment: Experiment,
        device: tch::Device,
        mut data: Dataset,
        split: Split,
        normalization: Normalization,
        ranks: Rc<Ranks>,
    ) -> Result<Session> {
        let world = ranks.world();
        let plan = fit(&experiment, &data.index, &split, world)?;
        bridge::set_deterministic(experiment.train.deterministic)?;
        arithmetic::choose(experiment.train.precision, device)?;
        bridge::keep_freed_memory();
        // What was left to this machine is settled now, so that another launch uses the same.
        let batch = experiment.train.batch_size.of(split.train.len());
        let pieces = experiment.train.pieces(world);
        let work = plan.work((batch / pieces).max(1));
        let threads = experiment.threads.settle(work, ranks.sharing());
        experiment.threads = Threads::Count(threads.count);
        experiment.device = match device {
            tch::Device::Cuda(number) => Device::Cuda(number - ranks.local_rank()),
            _ => Device::Cpu,
        };
        if experiment.train.reduction == Reduction::Tree {
            experiment.train.shards = Shards::Count(pieces);
        }
        bridge::set_num_threads(threads.count);
        bridge::waiting::be_considerate(threads.count);
        let network = Network::new(
            plan,
            &experiment.model,
            experiment.seed,
            &normalization,
            device,
        );
        let loss = &experiment.train.loss;
        let weights = class_weights(loss, &data.index, &split.train)?;
        let criterion = Criterion::new(loss, weights, device);
        data.pixels.to_device(device, experiment.data.residency)?;
        let fingerprints = Fingerprints {
            data: data.index.fingerprint().to_owned(),
            split: fingerprint(&split, &data.index)?,
            normalization: hex(&Sha256::digest(serde_json::to_string(&normalization)?)),
        };
        let environment = Environment::here(&experiment, world);
        Ok(Session {
            experiment,
            data,
            split,
            normalization,
            fingerprints,
            environment,
            device,
            threads,
            network,
            criterion,
            transfer: None,
            working_folder: std::env::current_dir().unwrap_or_default(),
            ranks,
        })
    }
}

/// The device of this process, by which it is connected to the others from now on, so that it is noticed where one is lost.
fn connect(experiment: &Experiment, ranks: &Ranks) -> Result<tch::Device> {
    let device = experiment.device.choose(ranks.local_rank())?;
    ranks.connect(device)?;
    Ok(device)
}

/// The images of `config`, which one process of each machine prepares for the others where there is a cache of them.
fn load(config: &DataConfig, ranks: &Ranks) -> Result<Dataset> {
    if residency::has_cache(config) {
        ranks.one_first(|| Dataset::load(config))
    } else {
        Dataset::load(config)
    }
}

/// The images and the split that something was trained on, refused if they are others now: those of the
/// run in `folder`, or as `experiment` splits them.
///
/// # Errors
/// Images that cannot be read or have changed, a split that is another.
pub fn reload(
    experiment: &Experiment,
    then: &Fingerprints,
    folder: Option<&RunDir>,
) -> Result<(Dataset, Split)> {
    reload_by(experiment, then, folder, Dataset::load)
}

/// The same, by a `load` of images.
fn reload_by(
    experiment: &Experiment,
    then: &Fingerprints,
    folder: Option<&RunDir>,
    load: impl FnOnce(&DataConfig) -> Result<Dataset>,
) -> Result<(Dataset, Split)> {
    let mut config = experiment.data.clone();
    if let Some(folder) = folder {
        let there = working_folder(&config.source, folder);
        if !config.source.lies_in(Path::new("")) && config.source.lies_in(&there) {
            config.source = config.source.seen_from(&there);
        }
    }
    let data = load(&config)?;
    ensure_same(data.index.fingerprint(), &then.data, || match folder {
        Some(folder) => folder.data_changes(&data.index),
        None => anyhow!(
            "the images are not those the model was trained and tested on; name others with --data"
        ),
    })?;
    let file = folder.map(|folder| folder.file("split.json"));
    if let Some(file) = file.as_deref().filter(|file| !file.exists()) {
        bail!(
            "{} is gone, which says what the run was trained on; bring it back, or start a new run",
            file.display()
        );
    }
    let (split, place) = match file {
        Some(file) => (
            SplitConfig::Manifest { file: file.clone() },
            file.display().to_string(),
        ),
        None => (experiment.data.split.clone(), "data.split".to_owned()),
    };
    let split = Split::new(&data.index, &split, experiment.seed)?;
    ensure_same(&fingerprint(&split, &data.index)?, &then.split, || {
        anyhow!(
            "the split is not the one this run was trained with; bring back its {place}, or start a new run"
        )
    })?;
    Ok((data, split))
}

/// Makes sure that a part of the data has the fingerprint it had then.
///
/// # Errors
/// What `changed` says: a fault of the data.
fn ensure_same(now: &str, then: &str, changed: impl FnOnce() -> anyhow::Error) -> Result<()> {
    if now == then {
        return Ok(());
    }
    Err(changed()).blame(Fault::Data)
}

fn fingerprint(split: &Split, index: &Index) -> Result<String> {
    let manifest = serde_json::to_string(&split.manifest(index))?;
    Ok(hex(&Sha256::digest(manifest)))
}

/// Loads the weights that an experiment asks to begin with.
fn begin_with(network: &Network, init: &InitFrom) -> Result<Transfer> {
    let InitFrom { path, strict } = init;
    let place = || format!("train.init_from: {}", path.display());
    let (file, tensors) = if path.is_dir() {
        RunDir::open(path).context("train.init_from")?;
        let found = checkpoints::best(path).with_context(place)?;
        found.report();
        (found.file, found.checkpoint.tensors)
    } else {
        (
            path.clone(),
            checkpoint::load_tensors(path).context("train.init_from")?,
        )
    };
    let transfer = transfer(network, &snapshot::weights(&tensors));
    if let (true, Some((name, why))) = (strict, transfer.missing.first()) {
        return Err(anyhow!(
            "train.init_from: {} tensor(s) of this model are not to be had from {}: {name} {why}; set \
             init_from: {{path: {}, strict: false}} to begin those at random",
            transfer.missing.len(),
            file.display(),
            path.display()
        ));
    }
    ensure!(
        !transfer.taken.is_empty(),
        "train.init_from: {} shares no tensor with this model; is it of the same kind?",
        file.display()
    );
    Ok(transfer)
}

fn normalization(experiment: &Experiment, data: &Dataset, split: &Split) -> Result<Normalization> {
    let channels = data.index.shape[0];
    match &experiment.data.normalize {
        Normalize::Fixed(FixedNormalize { mean, std }) => Ok(Normalization {
            mean: mean.clone(),
            std: std.clone(),
        }),
        Normalize::Named(NamedNormalize::Unit) => Ok(Normalization {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }),
        Normalize::Named(NamedNormalize::TrainStats) => {
            let (mean, std): (Vec<f64>, Vec<f64>) =
                data.pixels.statistics(&split.train).into_iter().unzip();
            if std.iter().any(|std| *std <= 0.0) {
                return Err(anyhow!(
                    "data.normalize: all training pixels of a channel are equal, so train_stats would divide by zero; are the images blank?"
                ))
                .blame(Fault::Data);
            }
            Ok(Normalization { mean, std })
        }
    }
}

/// The layers of `experiment` for the images that were found, if all of them fit together; nothing is
/// computed yet.
///
/// # Errors
/// Layers that do not fit the images, batches that do not fit the split or the `world` of processes, weights of a class that
/// is none.
pub fn fit(experiment: &Experiment, index: &Index, split: &Split, world: usize) -> Result<Plan> {
    Plan::new(&experiment.model, index.shape, index.classes.len())
        .map_err(|(key, message)| anyhow!("{key}: {message}"))
        .and_then(|plan| {
            check_batches(experiment, split, &plan, world)?;
            class_weights(&experiment.train.loss, index, &split.train)?;
            Ok(plan)
        })
        .blame(Fault::Config)
}

/// Rules between the config and the images that were found.
fn check_batches(experiment: &Experiment, split: &Split, plan: &Plan, world: usize) -> Result<()> {
    let pieces = experiment.train.pieces(world);
    if !pieces.is_multiple_of(world) {
        let fitting: Vec<String> = (1..=pieces)
            .filter(|count| pieces.is_multiple_of(*count))
            .map(|count| count.to_string())
            .collect();
        bail!(
            "train.shards: {pieces} shards cannot be shared by {world} processes; start {} of them",
            match fitting.split_last() {
                Some((last, [])) => last.clone(),
                Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
                None => String::new(),
            }
        );
    }
    if let (true, Some((key, metric))) = (split.val.is_empty(), experiment.needs_val().first()) {
        bail!(
            "{key}: {} needs a val part, and data.split gives none; use train.loss",
            metric.word()
        );
    }
    let train = split.train.len();
    let batch = experiment.train.batch_size.of(train);
    ensure!(
        batch <= train,
        "train.batch_size: {batch} is larger than the training part of {train} images; use at most {train}, or full"
    );
    let accumulate = experiment.train.accumulate;
    ensure!(
        batch.saturating_mul(accumulate) <= train,
        "train.accumulate: {accumulate} batches of {batch} are more than the training part of {train} images; use at most {}",
        train / batch
    );
    check_shards(experiment, train, plan, world)
}

/// Makes sure that each shard of each batch that `images` images are cut into has an image, or two for batch_norm.
fn check_shards(experiment: &Experiment, images: usize, plan: &Plan, world: usize) -> Result<()> {
    let shards = experiment.train.pieces(world);
    let least = if plan.needs_two_examples() { 2 } else { 1 };
    let smallest = |batch: usize| match images % batch.min(images) {
        0 => batch.min(images),
        rest => rest,
    };
    let batch = experiment.train.batch_size.of(images);
    if images == 0 || smallest(batch) >= least * shards {
        return Ok(());
    }
    let advice = match (batch..=images).find(|&batch| smallest(batch) >= least * shards) {
        Some(better) => format!("use {better}"),
        None => "use more images, fewer shards or no batch_norm".to_owned(),
    };
    let smallest = smallest(batch);
    if shards > 1 {
        bail!(
            "train.shards: {shards} shards are too many for a batch of {smallest} of the {images} images, since each needs \
             {least}; use fewer, or another train.batch_size ({advice})"
        );
    }
    bail!(
        "train.batch_size: {batch} leaves a batch of one image out of {images}, and batch_norm cannot normalise one; {advice}"
    )
}
