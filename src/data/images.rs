//! One image file becomes a row of bytes.
//!
//! Made grey by luma if the experiment wants grey, stretched if it wants that, turned upright by its EXIF orientation,
//! resized with an antialiased triangle filter; on bytes, as the well-known Kaggle file was made. An image of another
//! aspect ratio is squeezed, cropped or padded.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage};

use super::decode::Encoded;
use super::memory::{BUDGET, Share};
use super::resize::{Stretch, resize};
use crate::config::data::{Background, Channels, Decode, Fit, ImageConfig, Preprocess};
use crate::fault::contained;

/// Largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 29;

/// Files of more bytes are read one at a time.
const LARGE_FILE: u64 = 1 << 24;

/// An image file, made ready.
pub struct Prepared {
    /// `[C, H, W]`, row by row; n stands for n / 255.
    pub bytes: Vec<u8>,
    /// Width and height of the file as stored, in pixels.
    pub size: (u32, u32),
    /// Whether some of its pixels are transparent.
    pub transparent: bool,
    /// Whether it has a profile of colours, which is left alone.
    pub has_profile: bool,
}

/// Reads an image file.
///
/// # Errors
/// A file that cannot be read, is no image of a kind that is read, is truncated or damaged, claims an absurd size, or brings its
/// decoder down.
pub fn read(file: &Path, shape: &ImageConfig) -> Result<Prepared> {
    load(file)?.prepare(shape)
}

/// A file that was read and not looked at.
pub struct Loaded {
    bytes: Vec<u8>,
    /// The whole budget of memory, if there are many.
    share: Option<Share>,
}

/// Reads the bytes of a file.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub fn load(file: &Path) -> Result<Loaded> {
    let found = std::fs::metadata(file).context("cannot be read")?;
    ensure!(
        found.is_file(),
        "is no file of its own, but a folder, a pipe or a device"
    );
    let size = found.len();
    ensure!(
        size <= LARGEST_FILE,
        "is a file of {} MiB; up to {} are read",
        size >> 20,
        LARGEST_FILE >> 20
    );
    let share = (size > LARGE_FILE).then(|| Share::take(BUDGET)).flatten();
    let bytes = std::fs::read(file).context("cannot be read")?;
    Ok(Loaded { bytes, share })
}

impl Loaded {
    /// What lies in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The image in it, made ready.
    ///
    /// # Errors
    /// As of [`read`].
    pub fn prepare(self, shape: &ImageConfig) -> Result<Prepared> {
        let Loaded { bytes, share } = self;
        contained(|| {
            let encoded = Encoded::open(&bytes)?;
            let (width, height) = encoded.size();
            // One plane of it in bytes, and once more while it is turned.
            let plane = u64::from(width) * u64::from(height);
            let needed = encoded.memory() + 2 * plane;
            let _share = match share {
                Some(all) => Some(all),
                None => Share::take(needed),
            };
            ensure!(
                _share.is_some() && needed <= BUDGET,
                "has {width} x {height} pixels, and would take {} MiB to decode of the {} that are allowed",
                needed >> 20,
                BUDGET >> 20
            );
            let (orientation, has_profile) = (encoded.orientation(), encoded.has_profile);
            let divisor = divisor((width, height), orientation, shape);
            let decoded = encoded.decode(shape.background, divisor)?;
            Ok(Prepared {
                bytes: prepare(&decoded.pixels, orientation, shape),
                size: (width, height),
                transparent: decoded.transparent,
                has_profile,
            })
        })
    }
}

/// By what the width and height of a large JPEG may be divided: 8, 4, 2 or 1, as Pillow's `draft` for twice the size that is
/// wanted, so that resizing still smooths.
fn divisor((width, height): (u32, u32), orientation: Orientation, shape: &ImageConfig) -> u32 {
    if shape.decode == Decode::Full {
        return 1;
    }
    let lies = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let [mut wide, mut high] = [shape.width, shape.height].map(|side| side as u32);
    if lies {
        (wide, high) = (high, wide);
    }
    let scale = (width / (2 * wide)).min(height / (2 * high));
    [8, 4, 2]
        .into_iter()
        .find(|divisor| scale >= *divisor)
        .unwrap_or(1)
}

/// From pixels of any size, grey or coloured, to bytes `[C, H, W]`, upright.
pub fn prepare(pixels: &DynamicImage, orientation: Orientation, shape: &ImageConfig) -> Vec<u8> {
    let levels = LevelReader::of(pixels, shape.channels);
    let mut prepared = Vec::with_capacity(shape.bytes());
    for bytes in match shape.preprocess {
        Preprocess::Plain => levels.plain(shape.depth()),
        Preprocess::Stretch => levels.stretched(shape.depth()),
    } {
        let channel = prepared.len() / (shape.height * shape.width);
        let plane = GrayImage::from_raw(pixels.width(), pixels.height(), bytes);
        let plane = plane.expect("a plane has as many bytes as the image has pixels");
        let mut plane = DynamicImage::from(plane);
        plane.apply_orientation(orientation);
        let behind = behind(shape, channel);
        let width = plane.width() as usize;
        prepared.extend(fitted(plane.into_bytes(), width, shape, behind));
    }
    prepared
}

/// The level of the background in a channel.
pub fn behind(shape: &ImageConfig, channel: usize) -> u8 {
    match (shape.background, shape.channels) {
        (Background::None, _) => 0,
        (Background::Color(color), Channels::Rgb) => color[channel],
        (Background::Color(color), Channels::Gray) => (luma(color) + 0.5) as u8,
    }
}

/// A `plane`, rows of `width` bytes, as large as it is wanted. Sizes are those of Pillow's `ImageOps.fit` and `pad`.
fn fitted(plane: Vec<u8>, width: usize, shape: &ImageConfig, behind: u8) -> Vec<u8> {
    let height = plane.len() / width;
    let wanted = (shape.width, shape.height);
    if (width, height) == wanted {
        return plane;
    }
    let (mut across, mut down) = (Stretch::whole(width), Stretch::whole(height));
    let too_wide = width * shape.height > shape.width * height;
    match shape.fit {
        Fit::Squeeze => resize(&plane, width, (across, down), wanted),
        Fit::Crop => {
            let ratio = shape.width as f32 / shape.height as f32;
            if too_wide {
                across = Stretch::middle(width, ratio * height as f32);
            } else {
                down = Stretch::middle(height, width as f32 / ratio);
            }
            resize(&plane, width, (across, down), wanted)
        }
        Fit::Pad => {
            let side = |a: usize, b: usize, by: usize| {
                let exact = a as f64 / b as f64 * by as f64;
                (exact.round_ties_even() as usize).max(1)
            };
            let (inner_width, inner_height) = if too_wide {
                (shape.width, side(height, width, shape.width))
            } else {
                (side(width, height, shape.height), shape.height)
            };
            let inner = resize(&plane, width, (across, down), (inner_width, inner_height));
            let start =
                |all: usize, part: usize| ((all - part) as f64 / 2.0).round_ties_even() as usize;
            let left = start(shape.width, inner_width);
            let mut padded = vec![behind; shape.width * shape.height];
            let rows = padded.chunks_exact_mut(shape.width);
            let rows = rows.skip(start(shape.height, inner_height));
            for (row, own) in rows.zip(inner.chunks_exact(inner_width)) {
                row[left..left + inner_width].copy_from_slice(own);
            }
            padded
        }
    }
}

/// The levels of an image as a model sees it, in 0..255, computed where they are asked for.
struct LevelReader<'p> {
    bytes: &'p [u8],
    /// Bytes from one pixel to the next.
    step: usize,
    grey_from_colour: bool,
}

impl<'p> LevelReader<'p> {
    fn of(pixels: &'p DynamicImage, wanted: Channels) -> LevelReader<'p> {
        let step = usize::from(pixels.color().channel_count());
        assert!([1, 3].contains(&step) && pixels.color().bytes_per_pixel() as usize == step);
        LevelReader {
            bytes: pixels.as_bytes(),
            step,
            grey_from_colour: step == 3 && wanted == Channels::Gray,
        }
    }

    /// Of every pixel. A grey image has the same in every channel.
    fn channel(&self, channel: usize) -> impl Iterator<Item = f32> {
        let channel = channel.min(self.step - 1);
        self.bytes
            .chunks_exact(self.step)
            .map(move |pixel| match pixel {
                [red, green, blue] if self.grey_from_colour => luma([*red, *green, *blue]),
                pixel => f32::from(pixel[channel]),
            })
    }

    /// The nearest bytes of `depth` channels; several times as fast as one level after the other.
    fn plain(&self, depth: usize) -> Vec<Vec<u8>> {
        let plane = |channel: usize| match self.bytes.as_chunks::<3>() {
            _ if self.step == 1 => self.bytes.to_vec(),
            (pixels, _) if self.grey_from_colour => pixels
                .iter()
                .map(|pixel| (luma(*pixel) + 0.5) as u8)
                .collect(),
            (pixels, _) => pixels.iter().map(|pixel| pixel[channel]).collect(),
        };
        (0..depth).map(plane).collect()
    }

    /// The same, where the darkest of all levels becomes 0 and the brightest 255. An image of one level has nothing to stretch; it
    /// becomes black.
    fn stretched(&self, depth: usize) -> Vec<Vec<u8>> {
        let all = || (0..depth).flat_map(|channel| self.channel(channel));
        let low = all().fold(f32::INFINITY, f32::min);
        let high = all().fold(f32::NEG_INFINITY, f32::max);
        let factor = if high > low {
            255.0 / (high - low)
        } else {
            0.0
        };
        let byte = |level: f32| ((level - low) * factor + 0.5) as u8;
        (0..depth)
            .map(|channel| self.channel(channel).map(byte).collect())
            .collect()
    }
}

/// ITU-R BT.601 luma in thousandths, so that sums are exact.
fn luma([red, green, blue]: [u8; 3]) -> f32 {
    (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) as f32 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(side: usize, preprocess: Preprocess) -> ImageConfig {
        ImageConfig {
            decode: Decode::Full,
            height: side,
            width: side,
            channels: Channels::Gray,
            background: Background::BLACK,
            fit: Fit::Squeeze,
            preprocess,
        }
    }

    fn upright(pixels: &DynamicImage, shape: &ImageConfig) -> Vec<u8> {
        prepare(pixels, Orientation::NoTransforms, shape)
    }

    #[test]
    fn stretching_takes_an_image_to_black_and_white() {
        let pixels = image::RgbImage::from_fn(4, 4, |x, _| image::Rgb([50 + 10 * x as u8; 3]));
        let pixels = DynamicImage::from(pixels);
        let stretched = upright(&pixels, &shape(4, Preprocess::Stretch));
        assert_eq!(stretched[..4], [0, 85, 170, 255]);
        let plain = upright(&pixels, &shape(4, Preprocess::Plain));
        assert_eq!(plain[..4], [50, 60, 70, 80]);
    }

    #[test]
    fn a_grey_image_is_the_same_as_one_of_three_equal_channels() {
        let grey = image::GrayImage::from_fn(9, 7, |x, y| image::Luma([(x * 29 + y * 31) as u8]));
        let coloured = DynamicImage::from(DynamicImage::from(grey.clone()).into_rgb8());
        let grey = DynamicImage::from(grey);
        for preprocess in [Preprocess::Plain, Preprocess::Stretch] {
            let mut shape = shape(5, preprocess);
            assert_eq!(upright(&grey, &shape), upright(&coloured, &shape));
            shape.channels = Channels::Rgb;
            assert_eq!(upright(&grey, &shape), upright(&coloured, &shape));
        }
    }
}
