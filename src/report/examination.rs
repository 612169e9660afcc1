//! What the images of a run show once its best weights have looked at them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use image::RgbImage;
use tch::{Device, Kind, Tensor};

use super::plots::{Plot, Tile, data_uri, end_of, sheet, thumbnail};
use super::verdicts::Verdicts;
use crate::data::Dataset;
use crate::data::findings::{self, Finding, FindingKind, FoundImage};
use crate::data::split::Split;
use crate::model::network::Network;
use crate::train::metrics;
use crate::train::trainer::Trainer;

/// Images in a sheet at the most.
const IN_A_SHEET: usize = 24;

/// Images that a page shows at the most.
const SHOWN: usize = 400;

/// With more images, or more numbers in all of them together, findings are not looked for: every image is compared with every
/// other one. `signet data check` says the same.
const CHECKED_IMAGES: usize = 5000;
const CHECKED_NUMBERS: usize = 100_000_000;

/// The longer side of an image that is kept to be shown, in pixels: as large as a sheet has it in a PNG.
const SIDE: u32 = 232;

/// Images that are read, or looked at, at a time.
const AT_A_TIME: usize = 16;

/// Images by name, as the network sees them.
pub type NamedImages = BTreeMap<String, ShownImage>;

/// An image that is shown, perhaps again and again.
pub struct ShownImage {
    /// The image.
    pub image: RgbImage,
    uri: OnceLock<String>,
}

impl ShownImage {
    /// How it stands in a page: none if it cannot be encoded. That is worked out once, since a page that is served is made
    /// anew with every epoch.
    pub fn uri(&self) -> &str {
        const SIDE: u32 = 96; // pixels in a page
        self.uri
            .get_or_init(|| data_uri(&thumbnail(&self.image, SIDE)).unwrap_or_default())
    }
}

/// A run whose images nobody has examined.
#[derive(Clone)]
pub struct Unexamined {
    /// Why not.
    pub why: String,
    /// The classes, in the order of the outputs; none if nothing of the run says so any more.
    pub classes: Vec<String>,
    /// Images that can be shown all the same.
    pub images: Arc<NamedImages>,
}

impl Unexamined {
    /// A training of `data` that goes on: the first images of the val part can be shown.
    ///
    /// # Errors
    /// A file that is gone or has changed.
    pub fn while_training(data: &Dataset, split: &Split) -> Result<Unexamined> {
        let shown = &split.val[..split.val.len().min(SHOWN)];
        Ok(Unexamined {
            why: "The training goes on; what is shown of images is the val part after the last epoch.".to_owned(),
            classes: data.index.classes.clone(),
            images: Arc::new(named(data, shown)?),
        })
    }
}

/// What was seen.
pub struct Examination {
    /// What the weights make of the test part, or of the val part where there is no test part, or else of the train part.
    pub verdicts: Verdicts,
    /// Images of that part by name, as the network sees them: the wrong ones first, then the others.
    pub images: Arc<NamedImages>,
    /// What the network looked at in wrong images, the surest first, by name.
    pub looked_at: Vec<(String, RgbImage)>,
    /// Images of the train part as the first epoch met them.
    pub augmented: Vec<Tile>,
    /// Filters of the first convolution.
    pub filters: Vec<RgbImage>,
    /// What is doubtful about the images; none where there are too many to look.
    pub findings: Option<Vec<Finding>>,
    /// The images that the first findings are about.
    pub doubtful: Vec<Tile>,
}

impl Examination {
    /// By `trainer`, whose network has the weights of `epoch`.
    ///
    /// # Errors
    /// A file that is gone or has changed.
    pub fn of(trainer: &Trainer, epoch: usize) -> Result<Examination> {
        let Trainer {
            network,
            images: data,
            split,
            ..
        } = *trainer;
        let part = split.judged_by();
        let own = split.part(part);
        let index = &data.index;
        let logits = metrics::logits(network, data, own)?;
        let verdicts = Verdicts::of_logits(&logits, own, index, part, epoch)?;
        let places: BTreeMap<&str, usize> = own
            .iter()
            .map(|&image| (&*index.names[image], image))
            .collect();
        let wrong: Vec<usize> = verdicts
            .wrong()
            .iter()
            .map(|made| places[&*made.image])
            .collect();
        let right = verdicts
            .images
            .iter()
            .filter(|made| made.label == made.predicted);
        let right = right.map(|made| places[&*made.image]);
        let shown: Vec<usize> = wrong.iter().copied().chain(right).take(SHOWN).collect();
        let images = Arc::new(named(data, &shown)?);
        let numbers = index.len() * index.shape.iter().product::<usize>();
        let findings = (index.len() <= CHECKED_IMAGES && numbers <= CHECKED_NUMBERS)
            .then(|| findings::find(data, Some(split)))
            .transpose()?;
        Ok(Examination {
            looked_at: looked_at(
                data,
                network,
                &verdicts,
                &wrong[..wrong.len().min(IN_A_SHEET)],
            )?,
            augmented: augmented(trainer)?,
            filters: filters(network),
            doubtful: doubtful(data, findings.as_deref().unwrap_or_default())?,
            findings,
            images,
            verdicts,
        })
    }

    /// The plots that show images.
    pub fn sheets(&self) -> Vec<Plot> {
        let part = self.verdicts.part;
        let caption = |name: &String| {
            let made = self.verdicts.images.iter().find(|made| made.image == *name);
            made.map_or(Vec::new(), |made| {
                let [is, taken] =
                    [made.label, made.predicted].map(|class| &self.verdicts.classes[class]);
                let mut lines = vec![format!("is {is}"), format!("for {taken}")];
                lines.extend(made.confidence.map(|sure| format!("{:.1} %", 100.0 * sure)));
                lines
            })
        };
        let wrong = self.verdicts.wrong();
        let tiles = wrong.iter().take(IN_A_SHEET).filter_map(|made| {
            Some(Tile {
                image: self.images.get(&made.image)?.image.clone(),
                caption: caption(&made.image),
            })
        });
        let about = format!(
            "{} wrong images of the {part} part, the surest first.",
            wrong.len()
        );
        let title = format!(
            "Wrong images, {part} part ({} of {})",
            wrong.len().min(IN_A_SHEET),
            wrong.len()
        );
        let looked_at = self.looked_at.iter().map(|(name, image)| Tile {
            image: image.clone(),
            caption: caption(name),
        });
        let filters = self.filters.iter().map(|image| Tile {
            image: image.clone(),
            caption: Vec::new(),
        });
        let sheets = [
            sheet("wrong", &title, about, tiles.collect()),
            sheet(
                "looked-at",
                "What spoke for the wrong class (LayerCAM)",
                "Wrong images, brighter where they spoke for the class they were taken for."
                    .to_owned(),
                looked_at.collect(),
            ),
            sheet(
                "training-images",
                "Training images as epoch 1 meets them",
                "Images of the train part, changed at random as the first epoch meets them."
                    .to_owned(),
                self.augmented.clone(),
            ),
            sheet(
                "findings",
                "Images that the data check found",
                "Images that the first findings of the data check are about.".to_owned(),
                self.doubtful.clone(),
            ),
            sheet(
                "filters",
                "Filters of the first convolution",
                "Weights of each filter of the first convolution, dark to bright.".to_owned(),
                filters.collect(),
            ),
        ];
        sheets.into_iter().flatten().collect()
    }
}

/// The images at `indices` with their names, as large as they are shown.
fn named(data: &Dataset, indices: &[usize]) -> Result<NamedImages> {
    let names = indices.iter().map(|&image| data.index.names[image].clone());
    let images = images_at(data, indices)?
        .into_iter()
        .map(|image| ShownImage {
            image,
            uri: OnceLock::new(),
        });
    Ok(names.zip(images).collect())
}

/// The images at `indices`, as large as they are shown.
fn images_at(data: &Dataset, indices: &[usize]) -> Result<Vec<RgbImage>> {
    let mut images = Vec::new();
    for some in indices.chunks(AT_A_TIME) {
        images.extend(shown(&data.pixels.batch(some)?));
    }
    Ok(images)
}

/// Images of a batch, as large as they are shown.
fn shown(batch: &Tensor) -> Vec<RgbImage> {
    let images = images_of(batch).into_iter();
    images.map(|image| thumbnail(&image, SIDE)).collect()
}

/// Images of a batch, `[B, C, H, W]` in 0..1, grey or in colour.
pub fn images_of(batch: &Tensor) -> Vec<RgbImage> {
    let Ok((count, channels, height, width)) = batch.size4() else {
        return Vec::new();
    };
    let levels = (batch.to_device(Device::Cpu).to_kind(Kind::Float) * 255.0)
        .round()
        .clamp(0.0, 255.0);
    let levels = levels.expand([count, channels.max(3), height, width], false);
    let levels = levels
        .narrow(1, 0, 3)
        .permute([0, 2, 3, 1])
        .contiguous()
        .to_kind(Kind::Uint8);
    let bytes = Vec::<u8>::try_from(levels.flatten(0, -1)).unwrap_or_default();
    let one = (height * width * 3) as usize;
    let image = |bytes: &[u8]| RgbImage::from_raw(width as u32, height as u32, bytes.to_vec());
    bytes.chunks(one.max(1)).filter_map(image).collect()
}

/// The images at `wrong`, brightest where they spoke for the class they were taken for.
fn looked_at(
    data: &Dataset,
    network: &Network,
    verdicts: &Verdicts,
    wrong: &[usize],
) -> Result<Vec<(String, RgbImage)>> {
    let surest = verdicts.wrong().into_iter().take(wrong.len());
    let taken: Vec<i64> = surest.map(|made| made.predicted as i64).collect();
    let mut all = Vec::new();
    for (images, classes) in wrong.chunks(AT_A_TIME).zip(taken.chunks(AT_A_TIME)) {
        let batch = data.pixels.batch(images)?;
        let Some(seen) = network.layer_cam(&batch, classes) else {
            return Ok(Vec::new());
        };
        // From dark grey over red to yellow, over the image in grey.
        let seen = seen.unsqueeze(1); // [B, 1, H, W]
        let grey = batch.mean_dim(&[1i64][..], true, batch.kind()) * 0.6;
        let channel = |from: f64| ((&seen - from) / (1.0 - from)).clamp(0.0, 1.0);
        let heat = [
            &grey + channel(0.0) * 0.7,
            &grey + channel(0.5) * 0.6,
            &grey * (1.0 - channel(0.2)),
        ];
        let names = images.iter().map(|&image| data.index.names[image].clone());
        all.extend(names.zip(shown(&Tensor::cat(&heat, 1).clamp(0.0, 1.0))));
    }
    Ok(all)
}

/// The first images that the first epoch meets, as it meets them.
fn augmented(trainer: &Trainer) -> Result<Vec<Tile>> {
    let (numbers, images) = trainer.first_images(IN_A_SHEET)?;
    let index = &trainer.images.index;
    let tile = |(image, number): (RgbImage, usize)| Tile {
        image,
        caption: vec![index.classes[index.labels[number] as usize].clone()],
    };
    Ok(shown(&images).into_iter().zip(numbers).map(tile).collect())
}

/// The images that the first of `findings` are about, two of each at the most.
fn doubtful(data: &Dataset, findings: &[Finding]) -> Result<Vec<Tile>> {
    let names = data.index.names.iter().enumerate();
    let places: BTreeMap<&str, usize> = names.map(|(image, name)| (&**name, image)).collect();
    let about = |finding: &Finding| {
        let found = finding.images.iter().take(2).cloned();
        found.map(|found| (finding.kind, found)).collect::<Vec<_>>()
    };
    let shown: Vec<(usize, FindingKind, FoundImage)> = findings
        .iter()
        .flat_map(about)
        .filter_map(|(kind, found)| Some((*places.get(&*found.name)?, kind, found)))
        .take(IN_A_SHEET)
        .collect();
    let numbers: Vec<usize> = shown.iter().map(|(image, ..)| *image).collect();
    let images = images_at(data, &numbers)?.into_iter();
    let tile = |(image, (_, kind, found)): (RgbImage, (usize, FindingKind, FoundImage))| Tile {
        image,
        caption: vec![kind.title().to_owned(), end_of(&found.name, 17)],
    };
    Ok(images.zip(shown).map(tile).collect())
}

/// The filters of the first layer with windows, each scaled from its smallest to its largest weight.
fn filters(network: &Network) -> Vec<RgbImage> {
    let first = network
        .weights()
        .iter()
        .find(|weight| weight.tensor.dim() == 4);
    let Some(weights) = first.map(|weight| weight.tensor.detach()) else {
        return Vec::new();
    };
    let Ok((count, channels, ..)) = weights.size4() else {
        return Vec::new();
    };
    if ![1, 3].contains(&channels) {
        return Vec::new();
    }
    let weights = weights.narrow(0, 0, count.min(IN_A_SHEET as i64));
    let around = &[1i64, 2, 3][..];
    let (low, high) = (weights.amin(around, true), weights.amax(around, true));
    images_of(&((&weights - &low) / (high - low).clamp_min(1e-12)))
}
