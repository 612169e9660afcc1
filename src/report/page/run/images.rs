//! The images of a page, and what its script knows of them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use crate::messages::escaped;
use crate::report::plots::{data_uri, thumbnail};
use crate::report::run_report::RunReport;
use crate::report::studies::percent;
use crate::report::verdicts::{ImageVerdict, Verdicts};
use crate::run::history::{Course, ImageHistory};

/// The longer side of an image in a page, in pixels.
const SIDE: u32 = 96;

/// Wrong images that are shown without being asked for.
const WRONG: usize = 60;

/// Verdicts that a page carries at the most.
const LISTED: usize = 10_000;

/// Histories of a course that a page carries at the most, and the last epochs of each.
const HISTORIES: usize = 500;
const MARKS: usize = 120;

/// Bytes of images that a page carries at the most, as they stand in it.
const IMAGE_BYTES: usize = 2_500_000;

pub(super) struct WrongTile {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) predicted: String,
    pub(super) sure: String,
    pub(super) image: String,
    pub(super) looked_at: String,
}

/// The images that a page carries, each once, as long as there is room.
pub(super) struct PageImages {
    pub(super) uris: Vec<String>,
    pub(super) of_name: BTreeMap<String, usize>,
}

impl PageImages {
    pub(super) fn of(report: &RunReport) -> Result<PageImages> {
        let mut images = PageImages {
            uris: Vec::new(),
            of_name: BTreeMap::new(),
        };
        let Some(verdicts) = &report.verdicts else {
            return Ok(images);
        };
        let named = report.images();
        let mut bytes = 0;
        let right = verdicts
            .images
            .iter()
            .filter(|made| made.label == made.predicted);
        for made in verdicts.wrong().into_iter().chain(right) {
            let Some(image) = named.get(&made.image) else {
                continue;
            };
            let uri = image.uri();
            bytes += uri.len();
            if bytes > IMAGE_BYTES {
                break;
            }
            images.of_name.insert(made.image.clone(), images.uris.len());
            images.uris.push(uri.to_owned());
        }
        Ok(images)
    }
}

pub(super) fn wrong_tiles(
    report: &RunReport,
    verdicts: &Verdicts,
    images: &PageImages,
) -> Vec<WrongTile> {
    let looked_at = |name: &str| {
        let examined = report.examined.as_ref().ok()?;
        let (_, image) = examined.looked_at.iter().find(|(own, _)| own == name)?;
        data_uri(&thumbnail(image, SIDE)).ok()
    };
    let wrong = verdicts.wrong();
    let tile = |made: &&ImageVerdict| WrongTile {
        name: escaped(&made.image).into_owned(),
        label: escaped(&verdicts.classes[made.label]).into_owned(),
        predicted: escaped(&verdicts.classes[made.predicted]).into_owned(),
        sure: made.confidence.map_or(String::new(), percent),
        image: images
            .of_name
            .get(&made.image)
            .map_or(String::new(), |&image| images.uris[image].clone()),
        looked_at: looked_at(&made.image).unwrap_or_default(),
    };
    wrong.iter().take(WRONG).map(tile).collect()
}

/// What the script works with.
pub(super) fn data(report: &RunReport, images: &PageImages) -> Value {
    let name = |name: &str| escaped(name).into_owned();
    let verdicts = report.verdicts.as_ref();
    let classes = verdicts.map_or(Vec::new(), |verdicts| {
        verdicts.classes.iter().map(|class| name(class)).collect()
    });
    let row = |made: &ImageVerdict| {
        let image = images
            .of_name
            .get(&made.image)
            .map_or(-1, |&image| image as i64);
        let rounded = |share: f64| (share * 1e6).round() / 1e6;
        json!([
            name(&made.image),
            made.label,
            made.predicted,
            rounded(made.truth),
            made.confidence.map(rounded),
            image
        ])
    };
    let listed = verdicts.map_or(Vec::new(), |verdicts| {
        let right = verdicts
            .images
            .iter()
            .filter(|made| made.label == made.predicted);
        verdicts
            .wrong()
            .into_iter()
            .chain(right)
            .take(LISTED)
            .map(row)
            .collect()
    });
    json!({
        "classes": classes,
        "verdicts": listed,
        "images": images.uris,
        "thresholds": verdicts.and_then(thresholds),
        "history": Course::ALL.map(|course| (course.word(), histories(report, course))).into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// The images that took a `course`, the least sure first: name, class, the last epochs, epochs recognised and all epochs.
fn histories(report: &RunReport, course: Course) -> Vec<Value> {
    let images = report.history.images.iter();
    let mut own: Vec<_> = images.filter(|image| image.course() == course).collect();
    own.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let history = |image: &ImageHistory| {
        let last = &image.right[image.right.len().saturating_sub(MARKS)..];
        let marks: String = last
            .iter()
            .map(|&right| if right { '1' } else { '0' })
            .collect();
        let right = image.right.iter().filter(|right| **right).count();
        json!([
            escaped(&image.image),
            escaped(&image.label),
            marks,
            right,
            image.right.len()
        ])
    };
    own.into_iter().take(HISTORIES).map(history).collect()
}

/// For each hundredth from 0 to 1: images of the second class whose probability is that or more, and images of the first.
fn thresholds(verdicts: &Verdicts) -> Option<Value> {
    if verdicts.classes.len() != 2 {
        return None;
    }
    let mut counts = vec![[0usize; 2]; 101];
    for made in &verdicts.images {
        let positive = made.label == 1;
        let score = if positive {
            made.truth
        } else {
            1.0 - made.truth
        };
        let reached = (0..=100).rev().find(|&cut| score >= f64::from(cut) / 100.0);
        if let Some(cut) = reached {
            counts[cut as usize][usize::from(!positive)] += 1;
        }
    }
    for cut in (0..100).rev() {
        let [more, fewer] = counts[cut + 1];
        counts[cut][0] += more;
        counts[cut][1] += fewer;
    }
    Some(json!(counts))
}
