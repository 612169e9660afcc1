//! One picture file becomes a row of numbers in 0..1.
//!
//! Turned upright by its EXIF orientation, made grey by luma if the experiment wants grey, stretched if
//! it wants that, resized with an antialiased triangle filter; in this order, on bytes, as the well-known
//! Kaggle file was made. A picture of another aspect ratio is squeezed.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use crate::config::data::{Channels, Image, Preprocess};

/// The longest side of a picture file that is read, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// The most memory that decoding one picture may take, in bytes.
const MOST_MEMORY: u64 = 1 << 30;

/// Whether the name of `file` ends as those of pictures do.
pub fn has_picture_name(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    ["jpg", "jpeg", "png"].contains(&extension.to_lowercase().as_str())
}

/// Reads a JPEG or PNG file as `[C, H, W]` numbers in 0..1, row by row.
///
/// # Errors
/// A file that cannot be read, is neither JPEG nor PNG, is truncated or damaged, or claims an absurd size.
pub fn read(file: &Path, shape: &Image) -> Result<Vec<f32>> {
    let found = std::fs::metadata(file).context("cannot be read")?;
    ensure!(
        found.is_file(),
        "is no file of its own, but a folder, a pipe or a device"
    );
    let bytes = std::fs::read(file).context("cannot be read")?;
    let pixels = decode(&bytes)?.to_rgb8();
    Ok(prepare(&pixels, shape))
}

/// Width and height of a JPEG or PNG file as it is stored.
///
/// # Errors
/// A file that cannot be read or is neither.
pub fn size(file: &Path) -> Result<(u32, u32)> {
    let reader = ImageReader::open(file)?.with_guessed_format()?;
    reader
        .into_dimensions()
        .with_context(|| file.display().to_string())
}

fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    let mut reader = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => {
            ImageReader::with_format(Cursor::new(bytes), format)
        }
        _ => bail!("is neither a JPEG nor a PNG, whatever its name says"),
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    if is_jpeg {
        check_jpeg(bytes)?;
    }
    let orientation = decoder.orientation().map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// What a decoder says, on one line and once.
fn refused(error: ImageError) -> anyhow::Error {
    let words = error.to_string();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.trim_end_matches('.');
    match error {
        ImageError::Limits(_) => anyhow!(
            "cannot be decoded: {words} (pictures up to {LONGEST_SIDE} pixels a side are read)"
        ),
        _ => anyhow!("is truncated or damaged: {words}"),
    }
}

/// image's decoder fills what is missing or damaged with grey and says nothing; another one finds it out, as far as
/// anybody can: what still decodes to something, in a scan without restart markers, looks like a picture.
fn check_jpeg(bytes: &[u8]) -> Result<()> {
    let found = jpeg_decoder::Decoder::new(bytes).decode();
    found.map(drop).map_err(|error| {
        let words = error.to_string();
        anyhow!("is truncated or damaged: {words}")
    })
}

/// From upright colour pixels of any size to `[C, H, W]` numbers in 0..1.
pub fn prepare(pixels: &RgbImage, shape: &Image) -> Vec<f32> {
    let planes: Vec<Vec<f32>> = match shape.channels {
        Channels::Gray => vec![pixels.pixels().map(|pixel| luma(pixel.0)).collect()],
        Channels::Rgb => (0..3)
            .map(|c| pixels.pixels().map(|pixel| f32::from(pixel.0[c])).collect())
            .collect(),
    };
    let (low, high) = match shape.preprocess {
        Preprocess::Plain => (0.0, 255.0),
        Preprocess::Stretch => extremes(&planes),
    };
    // A picture of one colour has nothing to stretch; it becomes black.
    let factor = if high > low {
        255.0 / (high - low)
    } else {
        0.0
    };
    let (height, width) = (shape.height as u32, shape.width as u32);
    let mut numbers = Vec::with_capacity(planes.len() * shape.height * shape.width);
    for plane in planes {
        let bytes = plane
            .into_iter()
            .map(|value| ((value - low) * factor + 0.5).floor() as u8)
            .collect();
        let plane = image::GrayImage::from_raw(pixels.width(), pixels.height(), bytes);
        let plane = plane.expect("a plane has as many bytes as the picture has pixels");
        let resized = if plane.dimensions() == (width, height) {
            plane
        } else {
            imageops::resize(&plane, width, height, FilterType::Triangle)
        };
        numbers.extend(
            resized
                .into_raw()
                .into_iter()
                .map(|byte| f32::from(byte) / 255.0),
        );
    }
    numbers
}

/// ITU-R BT.601 luma in thousandths, so that sums are exact.
fn luma([red, green, blue]: [u8; 3]) -> f32 {
    (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) as f32 / 1000.0
}

fn extremes(planes: &[Vec<f32>]) -> (f32, f32) {
    let all = || planes.iter().flatten().copied();
    (
        all().fold(f32::INFINITY, f32::min),
        all().fold(f32::NEG_INFINITY, f32::max),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(side: usize, preprocess: Preprocess) -> Image {
        Image {
            height: side,
            width: side,
            channels: Channels::Gray,
            preprocess,
        }
    }

    fn jpeg(pixels: &RgbImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        pixels.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn stretching_takes_a_picture_to_black_and_white() {
        let pixels = RgbImage::from_fn(4, 4, |x, _| image::Rgb([50 + 10 * x as u8; 3]));
        let stretched = prepare(&pixels, &shape(4, Preprocess::Stretch));
        assert_eq!(stretched[..4], [0.0, 85.0 / 255.0, 170.0 / 255.0, 1.0]);
        let plain = prepare(&pixels, &shape(4, Preprocess::Plain));
        assert_eq!(
            plain[..4],
            [50.0 / 255.0, 60.0 / 255.0, 70.0 / 255.0, 80.0 / 255.0]
        );
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_refused() {
        let pixels =
            RgbImage::from_fn(40, 40, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
        let whole = jpeg(&pixels);
        assert!(decode(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(
                decode(&whole[..length]).is_err(),
                "{length} of {} bytes",
                whole.len()
            );
        }
    }

    #[test]
    fn a_jpeg_with_something_behind_its_end_is_read() {
        let pixels =
            RgbImage::from_fn(40, 40, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
        let whole = jpeg(&pixels);
        // As cameras write that put a film behind the picture.
        let trailed = [&whole[..], b"\xFF\xDA a film"].concat();
        assert!(decode(&trailed).unwrap() == decode(&whole).unwrap());
    }

    #[test]
    fn text_is_refused_whatever_its_name_says() {
        let message = decode(b"these are not pixels").unwrap_err().to_string();
        assert_eq!(
            message,
            "is neither a JPEG nor a PNG, whatever its name says"
        );
    }

    #[test]
    fn a_png_that_claims_60000_pixels_a_side_is_refused_before_it_takes_memory() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::new(1, 1)
            .write_to(&mut png, ImageFormat::Png)
            .unwrap();
        let mut png = png.into_inner();
        // IHDR: width and height at 16 and 20, its checksum over type and content at 29.
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert!(decode(&png).is_err());
    }
}
