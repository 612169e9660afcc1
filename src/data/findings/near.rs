//! Images that look alike: those whose perceptual hashes differ in a few bits are compared pixel by pixel.
//!
//! On the 411 hand signs 0 and 1, in which no two images are the same, no pair is taken for one; the same images saved as JPEG
//! of quality 50, in two thirds of their size, a sixth brighter, with noise of 6 levels, or grey, all are.

use std::collections::HashMap;

use anyhow::Result;
use image::{GrayImage, imageops};
use image_hasher::{HashAlg, Hasher, HasherConfig};
use rayon::prelude::*;

use crate::data::pixels::Pixels;

/// Bits of 64 in which hashes of images that look alike differ at most.
const MOST_BITS: u32 = 6;

/// Parts of a hash, one of which is equal where [`MOST_BITS`] differ at most.
const BLOCKS: u32 = MOST_BITS + 1;

/// The least correlation of the levels of images that look alike.
const LEAST_CORRELATION: f64 = 0.98;

/// The side to which images are reduced for the comparison.
const SIDE: u32 = 32;

/// An image as it is compared.
struct Look {
    hash: u64,
    /// `[SIDE * SIDE]` levels of grey, with a mean of 0 and a sum of squares of 1; all 0 for a blank image.
    levels: Vec<f32>,
}

impl Look {
    fn correlation(&self, other: &Look) -> f64 {
        let pairs = self.levels.iter().zip(&other.levels);
        pairs.map(|(a, b)| f64::from(a * b)).sum()
    }
}

/// Groups of images that look alike, unless all of a group are `equal`, as those of its groups are.
pub(super) fn groups(pixels: &Pixels, equal: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
    // The median of the lowest frequencies of a cosine transform ("pHash", Zauner, 2010).
    let hasher = HasherConfig::with_bytes_type::<[u8; 8]>()
        .hash_alg(HashAlg::Median)
        .hash_size(8, 8)
        .preproc_dct()
        .to_hasher();
    let shape = pixels.shape();
    let looks = pixels.each(|levels| look(&hasher, levels, shape))?;
    let mut first: Vec<usize> = (0..looks.len()).collect();
    for group in equal {
        group.iter().for_each(|&image| first[image] = group[0]);
    }
    let distinct: Vec<usize> = (0..looks.len())
        .filter(|&image| first[image] == image)
        .collect();
    let mut joined = false;
    let mut root: Vec<usize> = first.clone();
    for (a, b) in pairs(&looks, &distinct) {
        let (a, b) = (find(&mut root, a), find(&mut root, b));
        root[a.max(b)] = a.min(b);
        joined = true;
    }
    if !joined {
        return Ok(Vec::new());
    }
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for image in 0..looks.len() {
        groups
            .entry(find(&mut root, image))
            .or_default()
            .push(image);
    }
    let mut groups: Vec<Vec<usize>> = groups
        .into_values()
        .filter(|group| group.iter().any(|&image| first[image] != first[group[0]]))
        .collect();
    groups.sort_unstable();
    Ok(groups)
}

/// The first image of the group that `image` is in.
fn find(root: &mut [usize], mut image: usize) -> usize {
    while root[image] != image {
        root[image] = root[root[image]];
        image = root[image];
    }
    image
}

/// Pairs of `images` that look alike.
fn pairs(looks: &[Look], images: &[usize]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = (0..BLOCKS)
        .flat_map(|block| {
            let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
            for &image in images {
                let part = part(looks[image].hash, block);
                buckets.entry(part).or_default().push(image);
            }
            let buckets: Vec<Vec<usize>> = buckets.into_values().collect();
            let in_bucket = |bucket: &Vec<usize>| {
                let firsts = bucket.iter().enumerate();
                let alike = firsts.flat_map(|(at, &a)| {
                    let rest = bucket[at + 1..].iter();
                    rest.filter(move |&&b| are_alike(&looks[a], &looks[b]))
                        .map(move |&b| (a, b))
                });
                alike.collect::<Vec<_>>()
            };
            buckets
                .par_iter()
                .flat_map_iter(in_bucket)
                .collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The bits of `hash` that are its `block`.
fn part(hash: u64, block: u32) -> u64 {
    let (from, to) = (block * 64 / BLOCKS, (block + 1) * 64 / BLOCKS);
    hash >> from & ((1 << (to - from)) - 1)
}

fn are_alike(a: &Look, b: &Look) -> bool {
    (a.hash ^ b.hash).count_ones() <= MOST_BITS && a.correlation(b) >= LEAST_CORRELATION
}

/// Of an image with `levels`, `[C, H, W]` in 0..1.
fn look(hasher: &Hasher<[u8; 8]>, levels: &[f32], [channels, height, width]: [usize; 3]) -> Look {
    let plane = height * width;
    let grey = (0..plane).map(|at| {
        let sum: f32 = (0..channels)
            .map(|channel| levels[channel * plane + at])
            .sum();
        (sum / channels as f32 * 255.0).round() as u8
    });
    let image = GrayImage::from_raw(width as u32, height as u32, grey.collect());
    let image = image.expect("a plane has as many levels as the image has pixels");
    let hash = hasher.hash_image(&image);
    let bytes = hash.as_bytes().try_into().expect("64 bits were asked for");
    let small = imageops::resize(&image, SIDE, SIDE, imageops::FilterType::Triangle);
    let levels: Vec<f32> = small.into_raw().into_iter().map(f32::from).collect();
    let mean = levels.iter().sum::<f32>() / levels.len() as f32;
    let length = levels
        .iter()
        .map(|level| (level - mean).powi(2))
        .sum::<f32>()
        .sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    Look {
        hash: u64::from_le_bytes(bytes),
        levels: levels
            .into_iter()
            .map(|level| (level - mean) * scale)
            .collect(),
    }
}
