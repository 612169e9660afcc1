//! The bytes of an image file become pixels, those that Pillow makes of them.

use std::io::Cursor;

use anyhow::{Result, anyhow, bail, ensure};
use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, Limits, RgbImage,
    RgbaImage,
};

use super::formats::{self, ARE_READ};
use super::orientation;
use super::tiff::{ByPalette, GreyAlpha};
use crate::bridge::jpeg::{Color, Jpeg, Refusal};
use crate::config::data::Background;

/// The longest side of an image that is read, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// Most memory that a decoder takes beside the pixels for rows, tables and profiles, in bytes.
const BESIDE_PIXELS: u64 = 1 << 26;

/// An image file whose header was read.
pub struct Encoded<'b> {
    decoder: Decoder<'b>,
    orientation: Orientation,
    /// Whether a profile says which colours its numbers stand for.
    pub has_profile: bool,
}

enum Decoder<'b> {
    Jpeg(Jpeg<'b>),
    Other(Box<dyn ImageDecoder + 'b>),
}

/// Pixels of 8 bits, grey or red, green, blue.
pub struct Decoded {
    /// As stored, not yet turned.
    pub pixels: DynamicImage,
    /// Whether the background is to be seen behind some of them.
    pub transparent: bool,
}

impl<'b> Encoded<'b> {
    /// Reads the header of the file in `bytes`.
    ///
    /// # Errors
    /// Bytes that are no image of a kind that is read, whose header is damaged, or that claim an absurd size.
    pub fn open(bytes: &'b [u8]) -> Result<Encoded<'b>> {
        let start = Cursor::new(bytes);
        let encoded = match formats::format(bytes) {
            Some(ImageFormat::Jpeg) => {
                let jpeg = Jpeg::open(bytes).map_err(refused)?;
                Encoded {
                    orientation: orientation::of_jpeg(&jpeg.app1()),
                    has_profile: jpeg.has_profile(),
                    decoder: Decoder::Jpeg(jpeg),
                }
            }
            Some(ImageFormat::Png) => {
                // For what the decoder unpacks beside the pixels; a profile of colours that is larger is passed over.
                let mut limits = Limits::no_limits();
                limits.max_alloc = Some(BESIDE_PIXELS);
                let png = PngDecoder::with_limits(start, limits);
                Encoded::with(png, |_| orientation::of_png(bytes))?
            }
            Some(ImageFormat::WebP) => Encoded::with(WebPDecoder::new(start), |webp| {
                let [exif, xmp] = [webp.exif_metadata(), webp.xmp_metadata()];
                let [exif, xmp] = [exif, xmp].map(|found| found.ok().flatten());
                orientation::of(exif.as_deref(), xmp.as_deref())
            })?,
            // Its own tags are what EXIF is made of, unless they are those of BigTIFF.
            Some(ImageFormat::Tiff) => {
                let by_tag = || orientation::of(Some(bytes), None);
                match (ByPalette::open(bytes), GreyAlpha::open(bytes)) {
                    (Some(tiff), _) => Encoded::with(Ok(tiff), |_| by_tag())?,
                    (_, Some(tiff)) => Encoded::with(Ok(tiff), |_| by_tag())?,
                    (None, None) => Encoded::with(TiffDecoder::new(start), |tiff| {
                        let xmp = tiff.xmp_metadata().ok().flatten();
                        match tiff.orientation() {
                            Ok(turned) if turned != Orientation::NoTransforms => turned,
                            _ => orientation::of(Some(bytes), xmp.as_deref()),
                        }
                    })?,
                }
            }
            Some(ImageFormat::Bmp) => {
                Encoded::with(BmpDecoder::new(start), |_| Orientation::NoTransforms)?
            }
            Some(ImageFormat::Gif) => {
                Encoded::with(GifDecoder::new(start), |_| Orientation::NoTransforms)?
            }
            _ if bytes.is_empty() => bail!("is empty"),
            _ => match formats::name_of(bytes) {
                Some(name) => bail!("is in {name}, whatever its name says; {ARE_READ}"),
                None => bail!("is no image, whatever its name says; {ARE_READ}"),
            },
        };
        let (width, height) = encoded.size();
        ensure!(
            width <= LONGEST_SIDE && height <= LONGEST_SIDE,
            "has {width} x {height} pixels; up to {LONGEST_SIDE} pixels a side are read"
        );
        Ok(encoded)
    }

    fn with<D: ImageDecoder + 'b>(
        opened: Result<D, ImageError>,
        orientation: impl Fn(&mut D) -> Orientation,
    ) -> Result<Encoded<'b>> {
        let mut decoder = opened.map_err(damaged)?;
        Ok(Encoded {
            orientation: orientation(&mut decoder),
            has_profile: matches!(decoder.icc_profile(), Ok(Some(_))),
            decoder: Decoder::Other(Box::new(decoder)),
        })
    }

    /// Width and height as stored, in pixels.
    pub fn size(&self) -> (u32, u32) {
        match &self.decoder {
            Decoder::Jpeg(jpeg) => jpeg.size(),
            Decoder::Other(decoder) => decoder.dimensions(),
        }
    }

    /// Most bytes that decoding takes at a time.
    pub fn memory(&self) -> u64 {
        let decoded = match &self.decoder {
            Decoder::Jpeg(jpeg) => jpeg.memory(),
            Decoder::Other(decoder) => decoder.total_bytes(),
        };
        2 * decoded // once more while it is brought to 8 bits
    }

    /// Which way up the pixels are.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// The pixels, those that are transparent on a `background`; those of a JPEG in 1 / `divisor` of its width and height.
    ///
    /// # Errors
    /// A file that is truncated or damaged, or of an unsupported kind.
    pub fn decode(self, background: Background, divisor: u32) -> Result<Decoded> {
        match self.decoder {
            Decoder::Jpeg(jpeg) => Ok(Decoded {
                pixels: from_jpeg(jpeg, divisor)?,
                transparent: false,
            }),
            Decoder::Other(mut decoder) => {
                let mut limits = Limits::no_limits();
                limits.max_alloc = Some(2 * decoder.total_bytes() + BESIDE_PIXELS);
                decoder.set_limits(limits).map_err(damaged)?;
                let color = decoder.color_type();
                let pixels = DynamicImage::from_decoder(decoder).map_err(damaged)?;
                Ok(flat(pixels, color, background))
            }
        }
    }
}

/// The 8 bits of pixels of a `color` that are to be seen on `background`.
fn flat(pixels: DynamicImage, color: ColorType, background: Background) -> Decoded {
    let grey = !color.has_color();
    let behind = match background {
        Background::Color(behind) if color.has_alpha() => Some(behind),
        _ => None,
    };
    let Some(behind) = behind else {
        return Decoded {
            pixels: eight_bits(pixels, grey),
            transparent: false,
        };
    };
    let mut pixels = match pixels {
        DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgba16(_) => high_bytes(pixels),
        other => other.into_rgba8(),
    };
    let mut transparent = false;
    for image::Rgba([red, green, blue, opacity]) in pixels.pixels_mut() {
        transparent |= *opacity < 255;
        for (level, behind) in [red, green, blue].into_iter().zip(behind) {
            let [front, back] = [(*level, *opacity), (behind, 255 - *opacity)]
                .map(|(level, share)| u32::from(level) * u32::from(share));
            // As Pillow's alpha_composite (AlphaComposite.c) over what is opaque.
            let sum = (front + back) * 128 + (128 << 7);
            *level = ((((sum >> 8) + sum) >> 8) >> 7) as u8;
        }
    }
    let stays_grey = grey && behind == [behind[0]; 3];
    Decoded {
        pixels: eight_bits(pixels.into(), stays_grey),
        transparent,
    }
}

/// The upper eight of sixteen bits, as Pillow takes them where there is opacity.
fn high_bytes(pixels: DynamicImage) -> RgbaImage {
    let pixels = pixels.into_rgba16();
    let size = pixels.dimensions();
    let bytes = pixels
        .into_raw()
        .into_iter()
        .map(|level| (level >> 8) as u8);
    RgbaImage::from_raw(size.0, size.1, bytes.collect())
        .expect("as many bytes as there were levels")
}

/// Without opacity.
fn eight_bits(pixels: DynamicImage, grey: bool) -> DynamicImage {
    if grey {
        pixels.into_luma8().into()
    } else {
        pixels.into_rgb8().into()
    }
}

fn from_jpeg(jpeg: Jpeg, divisor: u32) -> Result<DynamicImage> {
    let ((width, height), color) = (jpeg.size(), jpeg.color());
    let [width, height] = [width, height].map(|side| side.div_ceil(divisor));
    let bytes = jpeg.decode(divisor).map_err(refused)?;
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
    let words = words.trim_end_matches('.');
    match error {
        ImageError::Unsupported(_) => {
            anyhow!("is of an unsupported kind ({words}); save it as JPEG or PNG")
        }
        _ => anyhow!("is truncated or damaged: {words}"),
    }
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
        let decoded = Encoded::open(bytes)?.decode(Background::BLACK, 1)?;
        Ok(decoded.pixels)
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
            format!("is no image, whatever its name says; {ARE_READ}")
        );
        assert_eq!(
            message(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"),
            format!("is in AVIF, whatever its name says; {ARE_READ}")
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
