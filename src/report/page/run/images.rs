//! The images of a page, and what its script knows of them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use crate::messages::escaped;
use crate::report::page::percent;
use crate::report::plots::{data_uri, thumbnail};
use crate::report::run_report::RunReport;
use crate::report::verdicts::{Verdict, Verdicts};
use crate::run::history::Course;

/// Wrong images that are shown without being asked for.
const WRONG: usize = 60;

/// Verdicts and histories that a page carries at the most.
const LISTED: usize = 10_000;

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
pub(super) struct Images {
    pub(super) uris: Vec<String>,
    pub(super) of_name: BTreeMap<String, usize>,
}

impl Images {
    pub(super) fn of(report: &RunReport) -> Result<Images> {
        let mut images = Images {
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
            let uri = data_uri(&thumbnail(image))?;
            bytes += uri.len();
            if bytes > IMAGE_BYTES {
                break;
            }
            images.of_name.insert(made.image.clone(), images.uris.len());
            images.uris.push(uri);
        }
        Ok(images)
    }
}

pub(super) fn wrong_tiles(
    report: &RunReport,
    verdicts: &Verdicts,
    images: &Images,
) -> Vec<WrongTile> {
    let looked_at = |name: &str| {
        let examined = report.examined.as_ref().ok()?;
        let (_, image) = examined.looked_at.iter().find(|(own, _)| own == name)?;
        data_uri(&thumbnail(image)).ok()
    };
    let wrong = verdicts.wrong();
    let tile = |made: &&Verdict| WrongTile {
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
pub(super) fn data(report: &RunReport, images: &Images) -> Value {
    let name = |name: &str| escaped(name).into_owned();
    let verdicts = report.verdicts.as_ref();
    let classes = verdicts.map_or(Vec::new(), |verdicts| {
        verdicts.classes.iter().map(|class| name(class)).collect()
    });
    let row = |made: &Verdict| {
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
    let mut courses: Vec<_> = report
        .history
        .images
        .iter()
        .map(|image| (image.course(), image))
        .collect();
    courses.sort_by(|a, b| {
        a.0.cmp(&b.0)
            .then(a.1.probability.total_cmp(&b.1.probability))
    });
    let history = courses
        .into_iter()
        .take(LISTED)
        .map(|(course, image): (Course, _)| {
            let marks: String = image
                .right
                .iter()
                .map(|&right| if right { '1' } else { '0' })
                .collect();
            json!([name(&image.image), name(&image.label), marks, course.word()])
        });
    json!({
        "classes": classes,
        "verdicts": listed,
        "images": images.uris,
        "history": history.collect::<Vec<_>>(),
    })
}
