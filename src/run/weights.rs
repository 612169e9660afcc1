//! Weights on disk: safetensors with PyTorch's names, and what is needed to use them in the metadata.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::model::network::Normalization;

/// The version of the document in the metadata.
const FORMAT: u32 = 1;

/// What weights mean: the document under the metadata key `signet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Of this document.
    pub format: u32,
    /// Names of the outputs.
    pub classes: Vec<String>,
    /// How pixels enter the network.
    pub normalization: Normalization,
    /// Epoch after which the weights were taken.
    pub epoch: usize,
    /// Steps taken by then.
    pub step: usize,
}

impl Card {
    /// A document of today's format.
    pub fn new(
        classes: &[String],
        normalization: &Normalization,
        epoch: usize,
        step: usize,
    ) -> Card {
        Card {
            format: FORMAT,
            classes: classes.to_vec(),
            normalization: normalization.clone(),
            epoch,
            step,
        }
    }
}

/// Writes `state` to `file`, whole or not at all: beside it first, synced, then renamed.
///
/// # Errors
/// A disk that is full or cannot be written; the old file is still there then.
pub fn save(file: &Path, state: &BTreeMap<String, Tensor>, card: &Card) -> Result<()> {
    let place = || format!("cannot write {}", file.display());
    let mut buffers = Vec::new();
    for (name, tensor) in state {
        buffers.push((name, tensor, bytes(tensor)?));
    }
    let views = buffers.iter().map(|(name, tensor, bytes)| {
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        let dtype = if tensor.kind() == Kind::Int64 {
            Dtype::I64
        } else {
            Dtype::F32
        };
        Ok((name.as_str(), TensorView::new(dtype, shape, bytes)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("signet".to_owned(), serde_json::to_string(card)?)]);
    let bytes = safetensors::serialize(views, Some(metadata)).with_context(place)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    // As readable as any other file of the user; a temporary file alone would be private.
    let mut unfinished = tempfile::Builder::new()
        .prefix(".weights-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(place)?;
    unfinished.write_all(&bytes).with_context(place)?;
    unfinished.as_file().sync_all().with_context(place)?;
    unfinished.persist(file).with_context(place)?;
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(place)
}

/// Reads weights and what they mean.
///
/// # Errors
/// A file that is missing, damaged, not ours, or of a newer format.
pub fn load(file: &Path) -> Result<(BTreeMap<String, Tensor>, Card)> {
    let place = || format!("cannot read weights from {}", file.display());
    let bytes = std::fs::read(file).with_context(place)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).with_context(place)?;
    let document = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get("signet"));
    let document = document
        .context("its metadata has no key signet, so another program wrote it")
        .with_context(place)?;
    let card: Card = serde_json::from_str(document).with_context(place)?;
    ensure!(
        card.format <= FORMAT,
        "{}: has format {}, but this signet reads up to {FORMAT}; use a newer one",
        file.display(),
        card.format
    );
    let file = SafeTensors::deserialize(&bytes).with_context(place)?;
    let mut state = BTreeMap::new();
    for (name, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::I64 => Kind::Int64,
            other => bail!("{name} has the type {other:?}; float32 and int64 are read"),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        state.insert(
            name.to_owned(),
            Tensor::f_from_data_size(view.data(), &shape, kind).with_context(place)?,
        );
    }
    Ok((state, card))
}

/// The numbers of a CPU tensor, little-endian.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.contiguous().view([-1]);
    Ok(match tensor.kind() {
        Kind::Float => Vec::<f32>::try_from(flat)?
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect(),
        Kind::Int64 => Vec::<i64>::try_from(flat)?
            .into_iter()
            .flat_map(i64::to_le_bytes)
            .collect(),
        other => bail!("tensors of type {other:?} are not saved"),
    })
}
