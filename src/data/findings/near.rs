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
const LEAST_CORRELATION: f32 = 0.98;

/// The side to which images are reduced for the comparison.
const SIDE: u32 = 32;

/// An image as it is compared.
struct Appearance {
    hash: u64,
    /// `[SIDE * SIDE]` levels of grey.
    levels: Vec<u8>,
    /// Their mean.
    mean: f32,
    /// By which their distances from it are divided, so that the sum of their squares is 1; infinite for a blank image.
    length: f32,
}

impl Appearance {
    fn correlation(&self, other: &Appearance) -> f32 {
        let pairs = self.levels.iter().zip(&other.levels);
        let product =
            |(a, b): (&u8, &u8)| (f32::from(*a) - self.mean) * (f32::from(*b) - other.mean);
        pairs.map(product).sum::<f32>() / (self.length * other.length)
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
    let mut root: Vec<usize> = first.clone();
    for block in 0..BLOCKS {
        join_alike(&looks, &distinct, block, &mut root);
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

/// Joins those of `images` that look alike and whose hashes have a `block` in common.
fn join_alike(looks: &[Appearance], images: &[usize], block: u32, root: &mut [usize]) {
    let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
    for &image in images {
        let part = part(looks[image].hash, block);
        buckets.entry(part).or_default().push(image);
    }
    for bucket in buckets.values() {
        for (at, &a) in bucket.iter().enumerate() {
            let near: Vec<usize> = bucket[at + 1..]
                .par_iter()
                .copied()
                .filter(|&b| are_near(&looks[a], &looks[b]))
                .collect();
            for b in near {
                let (one, other) = (find(root, a), find(root, b));
                // Comparing pixels takes longer than the rest, and is of no use where both are in a group.
                if one != other && looks[a].correlation(&looks[b]) >= LEAST_CORRELATION {
                    root[one.max(other)] = one.min(other);
                }
            }
        }
    }
}

/// The bits of `hash` that are its `block`.
fn part(hash: u64, block: u32) -> u64 {
    let (from, to) = (block * 64 / BLOCKS, (block + 1) * 64 / BLOCKS);
    hash >> from & ((1 << (to - from)) - 1)
}

fn are_near(a: &Appearance, b: &Appearance) -> bool {
    (a.hash ^ b.hash).count_ones() <= MOST_BITS
}

/// Of an image with `levels`, `[C, H, W]` in 0..1.
fn look(
    hasher: &Hasher<[u8; 8]>,
    levels: &[f32],
    [channels, height, width]: [usize; 3],
) -> Appearance {
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
    let levels = small.into_raw();
    let mean = levels.iter().map(|level| f32::from(*level)).sum::<f32>() / levels.len() as f32;
    let square = |level: &u8| (f32::from(*level) - mean).powi(2);
    let length = levels.iter().map(square).sum::<f32>().sqrt();
    Appearance {
        hash: u64::from_le_bytes(bytes),
        levels,
        mean,
        length: if length > 0.0 { length } else { f32::INFINITY },
    }
}
