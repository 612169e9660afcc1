//! The bytes of a JPEG or PNG file become pixels, those that Pillow makes of them.

use std::io::Cursor;

use anyhow::{Result, anyhow, bail, ensure};
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, GrayImage, ImageDecoder, ImageError, Limits, RgbImage};

use super::{folder, orientation};
use crate::bridge::jpeg::{Color, Jpeg, Refusal};

/// The longest side of an image that is read, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// Most memory that a PNG's decoder takes for rows, tables and profiles, in bytes.
const BESIDE_PIXELS: u64 = 1 << 26;

/// An image file whose header was read.
pub struct Encoded<'b> {
    decoder: Decoder<'b>,
    orientation: Orientation,
}

enum Decoder<'b> {
    Jpeg(Jpeg<'b>),
    Png(Box<PngDecoder<Cursor<&'b [u8]>>>),
}

impl<'b> Encoded<'b> {
    /// Reads the header of the file in `bytes`.
    ///
    /// # Errors
    /// Bytes that are neither JPEG nor PNG, whose header is damaged, or that claim an absurd size.
    pub fn open(bytes: &'b [u8]) -> Result<Encoded<'b>> {
        let encoded = if infer::image::is_jpeg(bytes) {
            let jpeg = Jpeg::open(bytes).map_err(refused)?;
            let orientation = orientation::of_jpeg(&jpeg.app1());
            Encoded {
                decoder: Decoder::Jpeg(jpeg),
                orientation,
            }
        } else if infer::image::is_png(bytes) {
            // For what the decoder unpacks beside the pixels; a profile of colours that is larger is passed over.
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(BESIDE_PIXELS);
            let png = PngDecoder::with_limits(Cursor::new(bytes), limits);
            Encoded {
                decoder: Decoder::Png(Box::new(png.map_err(damaged)?)),
                orientation: orientation::of_png(bytes),
            }
        } else {
            match folder::name_of_kind(bytes) {
                Some(kind) => {
                    bail!("is a {kind}, whatever its name says; JPEG and PNG are read")
                }
                None => bail!("is neither a JPEG nor a PNG, whatever its name says"),
            }
        };
        let (width, height) = encoded.size();
        ensure!(
            width <= LONGEST_SIDE && height <= LONGEST_SIDE,
            "has {width} x {height} pixels; up to {LONGEST_SIDE} pixels a side are read"
        );
        Ok(encoded)
    }

    /// Width and height as stored, in pixels.
    pub fn size(&self) -> (u32, u32) {
        match &self.decoder {
            Decoder::Jpeg(jpeg) => jpeg.size(),
            Decoder::Png(png) => png.dimensions(),
        }
    }

    /// Most bytes that decoding takes at a time.
    pub fn memory(&self) -> u64 {
        let decoded = match &self.decoder {
            Decoder::Jpeg(jpeg) => jpeg.memory(),
            Decoder::Png(png) => png.total_bytes(),
        };
        2 * decoded // once more while it is brought to 8 bits
    }

    /// Which way up the pixels are.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// The pixels as stored: 8-bit grey or red, green, blue. Opacity is left out.
    ///
    /// # Errors
    /// A file that is truncated or damaged.
    pub fn decode(self) -> Result<DynamicImage> {
        match self.decoder {
            Decoder::Jpeg(jpeg) => from_jpeg(jpeg),
            Decoder::Png(png) => {
                let color = png.color_type();
                let pixels = DynamicImage::from_decoder(*png).map_err(damaged)?;
                Ok(match color {
                    ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
                        DynamicImage::ImageLuma8(pixels.into_luma8())
                    }
                    _ => DynamicImage::ImageRgb8(pixels.into_rgb8()),
                })
            }
        }
    }
}

fn from_jpeg(jpeg: Jpeg) -> Result<DynamicImage> {
    let ((width, height), color) = (jpeg.size(), jpeg.color());
    let bytes = jpeg.decode().map_err(refused)?;
    let pixels = match color {
        Color::Gray => GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
        Color::Rgb => RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
        Color::Cmyk => {
            let bytes = bytes.as_chunks().0.iter().flat_map(from_cmyk).collect();
            RgbImage::from_raw(width, height, bytes).map(DynamicImage::from)
        }
    };
    Ok(pixels.expect("a decoder gives as many bytes as it says"))
}

/// Stored inverted, as Adobe's programs do and Pillow takes for granted; then as Pillow's `cmyk2rgb` (Convert.c).
fn from_cmyk(&[cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let light = u32::from(black);
    [cyan, magenta, yellow].map(|ink| {
        let dark = u32::from(255 - ink) * light + 128;
        (light - (((dark >> 8) + dark) >> 8)) as u8
    })
}

fn refused(refusal: Refusal) -> anyhow::Error {
    match refusal {
        Refusal::Damaged(words) => anyhow!("is truncated or damaged: {}", decapitalised(&words)),
        Refusal::Unsupported(words) => anyhow!(
            "is an unsupported kind of JPEG ({}); save it as a baseline JPEG or as PNG",
            decapitalised(&words)
        ),
    }
}

/// What a decoder says, on one line.
fn damaged(error: ImageError) -> anyhow::Error {
    let words = error.to_string();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    anyhow!("is truncated or damaged: {}", words.trim_end_matches('.'))
}

/// `words` as the end of a sentence.
fn decapitalised(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 24 x 24 pixels of noise, by Pillow 13.0: `Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (24, 24, 3),
    /// numpy.uint8)).save("noise.jpg", quality=90)`.
    const NOISE: &[u8] = include_bytes!("../../tests/support/noise.jpg");

    fn decode(bytes: &[u8]) -> Result<DynamicImage> {
        Encoded::open(bytes)?.decode()
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_refused() {
        assert!(decode(NOISE).is_ok());
        for length in 0..NOISE.len() {
            let all = NOISE.len();
            assert!(decode(&NOISE[..length]).is_err(), "{length} of {all} bytes");
        }
    }

    #[test]
    fn a_jpeg_with_something_behind_its_end_is_read() {
        // As cameras write that put a film behind the image.
        let trailed = [NOISE, b"\xFF\xDA a film"].concat();
        assert!(decode(&trailed).unwrap() == decode(NOISE).unwrap());
    }

    #[test]
    fn what_is_no_image_is_called_what_it_is() {
        let message = |bytes| decode(bytes).unwrap_err().to_string();
        assert_eq!(
            message(b"these are not pixels"),
            "is neither a JPEG nor a PNG, whatever its name says"
        );
        assert_eq!(
            message(b"RIFF\0\0\0\0WEBPVP8 "),
            "is a WebP image, whatever its name says; JPEG and PNG are read"
        );
        let lossless = [&NOISE[..159], &b"\xC3"[..], &NOISE[160..]].concat();
        assert_eq!(NOISE[158..160], *b"\xFF\xC0", "where the frame begins");
        assert_eq!(
            message(&lossless),
            "is an unsupported kind of JPEG (unsupported JPEG process: SOF type 0xc3); save it as a baseline JPEG or as PNG"
        );
    }

    #[test]
    fn a_png_that_claims_60000_pixels_a_side_is_refused_before_it_takes_memory() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::new(1, 1)
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let mut png = png.into_inner();
        // IHDR: width and height at 16 and 20, its checksum over type and content at 29.
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        let message = decode(&png).unwrap_err().to_string();
        assert!(message.starts_with("has 60000 x 60000 pixels"), "{message}");
    }
}
