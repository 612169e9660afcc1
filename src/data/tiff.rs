//! TIFF files that `image` does not read and Pillow writes: pixels by a palette, and grey with opacity.

use std::io::Cursor;

use image::codecs::tiff::TiffDecoder;
use image::error::{DecodingError, ImageFormatHint};
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageResult, Limits};
use tiff::decoder::{Decoder, DecodingResult};

/// Tags of TIFF 6.0, section 8, and the kind that stands for grey from black up.
const PHOTOMETRIC_INTERPRETATION: u16 = 262;
const COLOR_MAP: u16 = 320;
const BY_PALETTE: u16 = 3;
const FROM_BLACK: u16 = 1;

/// A file whose pixels are numbers of colours.
pub(super) struct ByPalette {
    /// Of the same file, as if the numbers were levels of grey.
    numbers: TiffDecoder<Cursor<Vec<u8>>>,
    /// By number.
    colors: Vec<[u8; 3]>,
}

impl ByPalette {
    /// Of the file in `bytes`, if it is one of those, with 8 bits a pixel.
    pub fn open(bytes: &[u8]) -> Option<ByPalette> {
        let file = File(bytes);
        let (kind_at, _) = file.field(PHOTOMETRIC_INTERPRETATION)?;
        if file.short(kind_at)? != BY_PALETTE {
            return None;
        }
        let (map_at, count) = file.field(COLOR_MAP)?;
        let (start, colors) = (file.long(map_at)?, count / 3);
        // All reds, all greens, all blues, in 16 bits each, of which Pillow takes the upper eight.
        let level = |at: usize| Some((file.short(start + 2 * at)? >> 8) as u8);
        let color = |number: usize| {
            let [red, green, blue] = [0, 1, 2].map(|plane| level(plane * colors + number));
            Some([red?, green?, blue?])
        };
        let colors: Vec<[u8; 3]> = (0..colors).map(color).collect::<Option<_>>()?;
        let mut grey = bytes.to_vec();
        let number = file.stored(FROM_BLACK);
        grey[kind_at..kind_at + 2].copy_from_slice(&number);
        let numbers = TiffDecoder::new(Cursor::new(grey)).ok()?;
        let fits = numbers.color_type() == ColorType::L8 && colors.len() == 256;
        fits.then_some(ByPalette { numbers, colors })
    }
}

impl ImageDecoder for ByPalette {
    fn dimensions(&self) -> (u32, u32) {
        self.numbers.dimensions()
    }

    fn color_type(&self) -> ColorType {
        ColorType::Rgb8
    }

    fn icc_profile(&mut self) -> ImageResult<Option<Vec<u8>>> {
        self.numbers.icc_profile()
    }

    fn set_limits(&mut self, limits: Limits) -> ImageResult<()> {
        self.numbers.set_limits(limits)
    }

    fn read_image(self, pixels: &mut [u8]) -> ImageResult<()> {
        let mut numbers = vec![0; pixels.len() / 3];
        self.numbers.read_image(&mut numbers)?;
        for (pixel, number) in pixels.as_chunks_mut().0.iter_mut().zip(numbers) {
            *pixel = self.colors[usize::from(number)];
        }
        Ok(())
    }

    fn read_image_boxed(self: Box<Self>, pixels: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(pixels)
    }
}

/// A file whose pixels are grey and opaque by 8 bits each.
pub(super) struct GreyAlpha<'b> {
    file: Decoder<Cursor<&'b [u8]>>,
    size: (u32, u32),
}

impl<'b> GreyAlpha<'b> {
    /// Of the file in `bytes`, if it is one of those.
    pub fn open(bytes: &'b [u8]) -> Option<GreyAlpha<'b>> {
        let mut file = Decoder::new(Cursor::new(bytes)).ok()?;
        let pair = tiff::ColorType::Multiband {
            bit_depth: 8,
            num_samples: 2,
        };
        let size = file.dimensions().ok()?;
        (file.colortype().ok()? == pair).then_some(GreyAlpha { file, size })
    }
}

impl ImageDecoder for GreyAlpha<'_> {
    fn dimensions(&self) -> (u32, u32) {
        self.size
    }

    fn color_type(&self) -> ColorType {
        ColorType::La8
    }

    fn read_image(mut self, pixels: &mut [u8]) -> ImageResult<()> {
        let damaged = |why: String| {
            let format = ImageFormatHint::Exact(ImageFormat::Tiff);
            ImageError::Decoding(DecodingError::new(format, why))
        };
        match self.file.read_image() {
            Ok(DecodingResult::U8(levels)) if levels.len() == pixels.len() => {
                pixels.copy_from_slice(&levels);
                Ok(())
            }
            Ok(_) => Err(damaged("it has other pixels than it says".to_owned())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    fn read_image_boxed(self: Box<Self>, pixels: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(pixels)
    }
}

/// The bytes of a TIFF file that is no BigTIFF.
struct File<'b>(&'b [u8]);

impl File<'_> {
    /// Where the value of a field of the first image lies, and how many numbers it has.
    fn field(&self, tag: u16) -> Option<(usize, usize)> {
        if self.short(2)? != 42 {
            return None;
        }
        let directory = self.long(4)?;
        let mut fields = (0..usize::from(self.short(directory)?)).map(|at| directory + 2 + 12 * at);
        let field = fields.find(|&field| self.short(field) == Some(tag))?;
        Some((field + 8, self.long(field + 4)?))
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.0.get(at..)?.first_chunk()?;
        Some(if self.0[0] == b'M' {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = *self.0.get(at..)?.first_chunk()?;
        let number = if self.0[0] == b'M' {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
        usize::try_from(number).ok()
    }

    /// A number as this file stores it.
    fn stored(&self, number: u16) -> [u8; 2] {
        if self.0[0] == b'M' {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }
}
