//! One file from which a run continues: safetensors, with a JSON document in its metadata.
//!
//! Tensors carry PyTorch's names, so that Python reads the weights of a checkpoint as they are; moments
//! lie beside them behind `optimizer.`. The document says what the numbers mean and what they depend on.
//! A SHA-256 over the whole file, with its own digits taken as zeros, tells a valid file from a damaged one.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use super::environment::Environment;
use super::logs;
use crate::data::hex;
use crate::disk::Folder;
use crate::model::network::Normalization;
use crate::train::metrics::Sums;
use crate::train::progress::Progress;
use crate::train::snapshot::Snapshot;

/// Longest header of a safetensors file, in bytes (the format's own limit).
const LONGEST_HEADER: u64 = 100_000_000;

/// The version of the document.
pub const FORMAT: u32 = 1;

/// Everything about a checkpoint but its tensors: the document under the metadata key `signet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointMeta {
    /// Version of this document, [`FORMAT`].
    pub format: u32,
    /// Names of the outputs.
    pub classes: Vec<String>,
    /// How pixels enter the network.
    pub normalization: Normalization,
    /// Where the training stood.
    pub progress: Progress,
    /// Sums of the epoch under way.
    pub sums: Sums,
    /// The resolved experiment, in YAML.
    pub config: String,
    /// What the run was trained on.
    pub fingerprints: Fingerprints,
    /// What its bits depend on.
    pub environment: Environment,
    /// Bytes of each log file at that moment, by its path in the run directory.
    pub logs: BTreeMap<String, u64>,
}

impl CheckpointMeta {
    /// Whether its values are ones that signet writes: a checksum says that a file is whole, not who wrote it.
    fn check(&self) -> Result<()> {
        let Progress { epoch, step, .. } = self.progress;
        // Counters are kept in JSON, whose readers have 53 bits.
        const MOST: usize = 1 << 53;
        ensure!(
            (1..MOST).contains(&epoch) && step < MOST,
            "it says epoch {epoch} and step {step}, which no training reaches"
        );
        let Normalization { mean, std } = &self.normalization;
        let scales = std.iter().all(|std| *std > 0.0 && std.is_finite());
        ensure!(
            [1, 3].contains(&mean.len()) && mean.len() == std.len() && scales,
            "its normalisation is none"
        );
        ensure!(self.classes.len() >= 2, "it knows fewer than two classes");
        if let Some(log) = self.logs.keys().find(|log| !logs::is_log(log)) {
            bail!("it names the log {log:?}, which signet does not write");
        }
        Ok(())
    }
}

/// SHA-256 of what must not change under a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// Images, labels, names and their order.
    pub data: String,
    /// Which image is for what.
    pub split: String,
    /// The statistics that pixels are shifted and scaled by.
    pub normalization: String,
}

/// The bytes of a checkpoint are not those that were written. Anything else that keeps one from being read (a newer
/// format, a folder that is closed) leaves it valid, and nobody should go on without it.
#[derive(Debug)]
pub struct Damaged(String);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "damaged: {}", self.0)
    }
}

impl std::error::Error for Damaged {}

/// Whether `error` says that a checkpoint is damaged.
pub fn is_damage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Damaged>().is_some()
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it means.
    pub document: CheckpointMeta,
    /// Weights, buffers and moments.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// What a trainer continues from.
    pub fn snapshot(self) -> Snapshot {
        Snapshot {
            progress: self.document.progress,
            sums: self.document.sums,
            tensors: self.tensors,
        }
    }

    /// Writes the file called `name` in `folder`, whole or not at all.
    ///
    /// # Errors
    /// A disk that is full, cannot be written, or gives back something else; whatever was there before is
    /// there still.
    pub fn save(&self, folder: &Folder, name: impl AsRef<OsStr>) -> Result<()> {
        let place = || format!("cannot write {}", folder.file(name.as_ref()).display());
        let sealed = self.to_bytes().with_context(place)?;
        folder.write_whole(&name, &sealed)
    }

    /// Reads `file`.
    ///
    /// # Errors
    /// A file that is missing, damaged, no checkpoint, or of a newer format.
    pub fn load(file: &Path) -> Result<Checkpoint> {
        let place = || file.display().to_string();
        let bytes = contents(file).with_context(place)?;
        Checkpoint::from_bytes(&bytes).with_context(place)
    }

    /// Reads the checkpoint at `step` of a run.
    ///
    /// # Errors
    /// As [`Checkpoint::load`]; one that was taken at another step than its name says counts as damaged.
    pub fn load_at(step: usize, file: &Path) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::load(file)?;
        let taken = checkpoint.document.progress.step;
        if taken != step {
            let error = Damaged(format!(
                "it was taken at step {taken}, which its name does not say"
            ));
            return Err(anyhow::Error::new(error)).with_context(|| file.display().to_string());
        }
        Ok(checkpoint)
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// A tensor of a type that is not saved.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let metadata = HashMap::from([
            ("format".to_owned(), "pt".to_owned()),
            ("sha256".to_owned(), "0".repeat(64)),
            ("signet".to_owned(), serde_json::to_string(&self.document)?),
        ]);
        let mut bytes = to_safetensors(&self.tensors, metadata)?;
        let digits = digits_at(&bytes).context("the metadata has no place for a checksum")?;
        let sum = hex(&Sha256::digest(&bytes));
        bytes[digits..digits + 64].copy_from_slice(sum.as_bytes());
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Checkpoint> {
        let damaged = || Damaged("its checksum is not that of its bytes".to_owned());
        let text = metadata(bytes)
            .map_err(|_| damaged())?
            .remove("signet")
            .ok_or_else(|| {
                let words = "no checkpoint of signet: its metadata has no key signet";
                Damaged(words.to_owned())
            })?;
        let digits = digits_at(bytes).ok_or_else(damaged)?;
        let mut hash = Sha256::new();
        hash.update(&bytes[..digits]);
        hash.update("0".repeat(64));
        hash.update(&bytes[digits + 64..]);
        if hex(&hash.finalize()).as_bytes() != &bytes[digits..digits + 64] {
            return Err(damaged().into());
        }
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(&text)?;
        ensure!(
            format == FORMAT,
            "its format is {format}, but this signet reads {FORMAT}; use the signet that wrote it"
        );
        let document: CheckpointMeta = serde_json::from_str(&text)?;
        document.check()?;
        Ok(Checkpoint {
            document,
            tensors: from_safetensors(bytes)?,
        })
    }
}

/// The tensors of any safetensors file; one of signet's own checkpoints must be valid.
///
/// # Errors
/// A file that is missing, damaged, or holds a type that no network here has.
pub fn load_tensors(file: &Path) -> Result<BTreeMap<String, Tensor>> {
    let place = || file.display().to_string();
    let bytes = contents(file).with_context(place)?;
    let is_ours = metadata(&bytes).is_ok_and(|found| found.contains_key("signet"));
    let tensors = if is_ours {
        Checkpoint::from_bytes(&bytes).map(|checkpoint| checkpoint.tensors)
    } else {
        from_safetensors(&bytes)
    };
    tensors.with_context(place)
}

/// The bytes of a safetensors file. One that is longer than its header says is not read: a few bytes may stand before
/// terabytes that take no place on a disk.
fn contents(file: &Path) -> Result<Vec<u8>> {
    let found = std::fs::metadata(file)?;
    ensure!(
        found.is_file(),
        "is no file, but a folder, a pipe or a device"
    );
    let mut open = std::fs::File::open(file)?;
    let mut bytes = Vec::new();
    open.by_ref().take(8).read_to_end(&mut bytes)?;
    let length = bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n));
    let header = length.min(LONGEST_HEADER);
    open.by_ref().take(header).read_to_end(&mut bytes)?;
    let said: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&bytes[8.min(bytes.len())..]).unwrap_or_default();
    let ends = said
        .values()
        .filter_map(|it| it["data_offsets"][1].as_u64());
    let all = ends.max().unwrap_or(0).saturating_add(8 + header);
    if found.len() > all && found.len() > LONGEST_HEADER {
        return Err(Damaged("it is longer than its header says".to_owned()).into());
    }
    open.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the digits of the checksum stand: in the header, behind their key.
fn digits_at(bytes: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let header = bytes.get(8..8usize.checked_add(usize::try_from(length).ok()?)?)?;
    let key = b"\"sha256\":\"";
    let key_at = header.windows(key.len()).position(|found| found == key)?;
    let digits = 8 + key_at + key.len();
    (digits + 64 <= 8 + header.len()).then_some(digits)
}

/// The metadata of a safetensors file.
///
/// # Errors
/// Bytes that are none.
pub fn metadata(bytes: &[u8]) -> Result<HashMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    Ok(header.metadata().clone().unwrap_or_default())
}

/// The bytes of a safetensors file.
///
/// # Errors
/// A tensor of a type that is not written.
pub fn to_safetensors(
    tensors: &BTreeMap<String, Tensor>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let mut buffers = Vec::new();
    for (name, tensor) in tensors {
        buffers.push((name, tensor.size(), tensor.kind(), bytes_of(tensor)?));
    }
    let views = buffers.iter().map(|(name, size, kind, bytes)| {
        let shape = size.iter().map(|&n| n as usize).collect();
        let dtype = if *kind == Kind::Int64 {
            Dtype::I64
        } else {
            Dtype::F32
        };
        Ok((name.as_str(), TensorView::new(dtype, shape, bytes)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// The tensors of a safetensors file.
///
/// # Errors
/// Bytes that are none, or a type that no network here has.
pub fn from_safetensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let file = SafeTensors::deserialize(bytes).context("no safetensors file, or damaged")?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::I64 => Kind::Int64,
            other => bail!("{name} has the type {other:?}, which no network here has"),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// The numbers of a CPU tensor as they lie in memory, which is little-endian wherever libtorch runs.
///
/// # Errors
/// Another type than the two that networks here consist of, float32 and int64.
pub fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let width = match tensor.kind() {
        Kind::Float => 4,
        Kind::Int64 => 8,
        other => bail!("tensors of type {other:?} are not saved"),
    };
    let count = tensor.numel();
    let mut bytes = vec![0; count * width];
    tensor.f_contiguous()?.f_copy_data_u8(&mut bytes, count)?;
    Ok(bytes)
}
