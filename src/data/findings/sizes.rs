//! Images that show nothing, have few pixels, or another aspect ratio than most.

use anyhow::Result;

use super::FindingKind;
use crate::data::Dataset;

/// Up to so many levels of 255 apart, all of an image's levels are one.
const ONE_LEVEL: f32 = 4.0 / 255.0;

/// An image that is made so many times as wide or high shows less than its pixels.
const MOST_ENLARGED: f64 = 3.0;

/// The least width and height, in pixels.
const LEAST_SIDE: u32 = 16;

/// So many times the aspect ratio in the middle of all, or its reciprocal, is odd.
const ODD: f64 = 2.0;

/// Each image with what it is, and why.
pub(super) fn find(data: &Dataset) -> Result<Vec<(FindingKind, usize, String)>> {
    let blank = blank(data)?.into_iter();
    let blank = blank.map(|image| {
        (
            FindingKind::Blank,
            image,
            "all of it is of one level".to_owned(),
        )
    });
    Ok(blank.chain(tiny(data)).chain(odd(data)).collect())
}

fn blank(data: &Dataset) -> Result<Vec<usize>> {
    let channels = data.index.shape[0];
    let of_one_level = data.pixels.each(|levels| {
        levels.chunks(levels.len() / channels).all(|channel| {
            let low = channel.iter().copied().fold(f32::INFINITY, f32::min);
            let high = channel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            high - low <= ONE_LEVEL
        })
    })?;
    let images = of_one_level.into_iter().enumerate();
    Ok(images
        .filter_map(|(image, blank)| blank.then_some(image))
        .collect())
}

fn tiny(data: &Dataset) -> Vec<(FindingKind, usize, String)> {
    let [_, height, width] = data.index.shape.map(|side| side as f64);
    let sizes = data.sizes.iter().enumerate();
    let found = sizes.filter_map(|(image, &(wide, high))| {
        let enlarged = (width / f64::from(wide)).max(height / f64::from(high));
        let few = wide.min(high) < LEAST_SIDE || enlarged > MOST_ENLARGED;
        let detail = format!("{wide} x {high} pixels, made {enlarged:.1} times as large");
        (few && enlarged > 1.0).then_some((FindingKind::Tiny, image, detail))
    });
    found.collect()
}

fn odd(data: &Dataset) -> Vec<(FindingKind, usize, String)> {
    let ratios: Vec<f64> = data
        .sizes
        .iter()
        .map(|&(wide, high)| f64::from(wide) / f64::from(high))
        .collect();
    let mut sorted = ratios.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(&middle) = sorted.get(sorted.len() / 2) else {
        return Vec::new();
    };
    let found = ratios.iter().enumerate().filter(|(_, ratio)| {
        let times = **ratio / middle;
        times.max(1.0 / times) > ODD
    });
    let finding = |(image, ratio): (usize, &f64)| {
        let (wide, high) = data.sizes[image];
        let detail = format!(
            "{wide} x {high} pixels: {ratio:.2} times as wide as high, where the middle of all is {middle:.2}"
        );
        (FindingKind::OddShape, image, detail)
    };
    found.map(finding).collect()
}
