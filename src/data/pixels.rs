//! The pixels of all images, and the batches cut from them.
//!
//! They lie in memory, on the device where a model trains, or on the disk (`stream`); whoever asks for a batch need not know,
//! and gets the same numbers. Bytes stay bytes until a batch is made, a quarter of what floats would take.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

use super::stream::{ImageStream, ReadAhead, sha256, sums};
use crate::bridge::{self, upload};
use crate::config::data::Residency;
use crate::fault::{Blame, Fault};

/// The levels of images, one image after the other.
#[derive(Debug)]
pub enum Levels {
    /// n stands for n / 255.
    Bytes(Vec<u8>),
    /// Numbers in 0..1, of arrays of floats.
    Floats(Vec<f32>),
    /// Bytes in files.
    Streamed(Arc<ImageStream>),
}

/// The pixels of images of one shape.
#[derive(Debug)]
pub struct Pixels {
    /// Channels, height, width.
    shape: [usize; 3],
    /// `[N, C, H, W]`.
    levels: Levels,
    /// Where batches are wanted.
    device: Device,
    /// `[N, H, W, C]` in bytes or floats, where all images lie on a device that is not the CPU.
    on_device: Option<Tensor>,
}

/// What a model sees of a byte, in 0..1.
pub fn unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

impl Pixels {
    /// Images of `shape` (channels, height, width), `[N, C, H, W]`.
    ///
    /// # Panics
    /// Levels that are no whole images.
    pub fn new(levels: Levels, shape: [usize; 3]) -> Pixels {
        let pixels = Pixels {
            shape,
            levels,
            device: Device::Cpu,
            on_device: None,
        };
        let numbers = match &pixels.levels {
            Levels::Bytes(bytes) => bytes.len(),
            Levels::Floats(floats) => floats.len(),
            Levels::Streamed(_) => 0,
        };
        assert!(
            numbers.is_multiple_of(pixels.numbers()),
            "a part of an image"
        );
        pixels
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        match &self.levels {
            Levels::Bytes(bytes) => bytes.len() / self.numbers(),
            Levels::Floats(floats) => floats.len() / self.numbers(),
            Levels::Streamed(stream) => stream.known().len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The numbers of an image.
    fn numbers(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers of one image, `[C, H, W]` in 0..1.
    ///
    /// # Errors
    /// As of [`Pixels::levels`].
    pub fn image(&self, index: usize) -> Result<Vec<f32>> {
        let own = index * self.numbers()..(index + 1) * self.numbers();
        Ok(match &self.levels {
            Levels::Bytes(bytes) => units(&bytes[own]),
            Levels::Floats(floats) => floats[own].to_vec(),
            Levels::Streamed(stream) => units(&stream.read(index)?),
        })
    }

    /// What `work` makes of the numbers of each image, in parallel.
    ///
    /// # Errors
    /// As of [`Pixels::levels`].
    pub fn each<T: Send>(&self, work: impl Fn(&[f32]) -> T + Sync) -> Result<Vec<T>> {
        let numbers = self.numbers();
        match &self.levels {
            Levels::Bytes(bytes) => {
                let images = bytes.par_chunks(numbers);
                Ok(images.map(|bytes| work(&units(bytes))).collect())
            }
            Levels::Floats(floats) => Ok(floats.par_chunks(numbers).map(&work).collect()),
            Levels::Streamed(stream) => (0..self.len())
                .into_par_iter()
                .map(|image| Ok(work(&units(&stream.read(image)?))))
                .collect(),
        }
    }

    /// SHA-256 of each image's numbers: `[C, H, W]` in 0..1, as float32, little-endian.
    pub fn digests(&self) -> Vec<[u8; 32]> {
        let numbers = self.numbers();
        match &self.levels {
            Levels::Bytes(bytes) => bytes.par_chunks_exact(numbers).map(digest).collect(),
            Levels::Floats(floats) => {
                let images = floats.par_chunks_exact(numbers);
                images
                    .map(|image| digest_of(image.iter().copied()))
                    .collect()
            }
            Levels::Streamed(stream) => stream.known().iter().map(|known| known.digest).collect(),
        }
    }

    /// Has batches cut for `device`, to which all images are copied, if `residency` lets them and they are not read from the
    /// disk.
    ///
    /// # Errors
    /// A device that has no room for them.
    pub fn to_device(&mut self, device: Device, residency: Residency) -> Result<()> {
        self.device = device;
        let streams = matches!(self.levels, Levels::Streamed(_));
        if device == Device::Cpu || residency == Residency::Memory || streams {
            return Ok(());
        }
        match self.copied_to(device) {
            Ok(images) => self.on_device = Some(images),
            Err(_) if residency == Residency::Auto => {
                crate::status!(
                    "signet: {device:?} has no room for all images, which stay in memory"
                );
            }
            Err(error) => {
                let message = "data.residency: the device has no room for all images; use memory";
                return Err(error.context(message)).blame(Fault::Config);
            }
        }
        Ok(())
    }

    /// All images on `device`, `[N, H, W, C]`, which some are copied to at a time.
    fn copied_to(&self, device: Device) -> Result<Tensor> {
        const SOME: usize = 1024;
        let all: Vec<usize> = (0..self.len()).collect();
        let in_words =
            |error: TchError| anyhow!(bridge::first_words(&error.to_string()).into_owned());
        let [channels, height, width] = self.shape.map(|length| length as i64);
        let kind = match &self.levels {
            Levels::Floats(_) => Kind::Float,
            Levels::Bytes(_) | Levels::Streamed(_) => Kind::Uint8,
        };
        let size = [all.len() as i64, height, width, channels];
        let images = Tensor::f_empty(size, (kind, device)).map_err(in_words)?;
        for (number, some) in all.chunks(SOME).enumerate() {
            let mut place = images.narrow(0, (number * SOME) as i64, some.len() as i64);
            place.copy_(&self.gathered(some)?);
        }
        Ok(images)
    }

    /// The images at `indices`, on the device that batches are wanted on.
    ///
    /// # Shapes
    /// `[B, C, H, W]` in 0..1, channels last in memory, which convolutions on the CPU are fastest with.
    ///
    /// # Errors
    /// As of [`Pixels::levels`].
    pub fn batch(&self, indices: &[usize]) -> Result<Tensor> {
        bridge::in_unit(&self.levels(indices)?)
    }

    /// The same as they lie in memory: bytes, of which n stands for n / 255, or numbers in 0..1.
    ///
    /// # Errors
    /// A file that is gone or has changed.
    pub fn levels(&self, indices: &[usize]) -> Result<Tensor> {
        Ok(self.on_device(indices)?.permute([0, 3, 1, 2]))
    }

    /// The same, `[B, H, W, C]`.
    fn on_device(&self, indices: &[usize]) -> Result<Tensor> {
        let Some(all) = &self.on_device else {
            return Ok(upload(self.gathered(indices)?, self.device));
        };
        let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        Ok(all.index_select(0, &upload(Tensor::from_slice(&indices), all.device())))
    }

    /// The images at the places of `order`, one after the other; those on the disk are read ahead.
    pub fn in_order(&self, order: Vec<usize>) -> InOrder<'_> {
        let reader = match &self.levels {
            Levels::Streamed(stream) => Some(ReadAhead::start(
                Arc::clone(stream),
                order.clone(),
                self.numbers(),
            )),
            Levels::Bytes(_) | Levels::Floats(_) => None,
        };
        InOrder {
            pixels: self,
            order,
            given: 0,
            reader,
        }
    }

    /// The levels of the images at `indices` as they lie in memory, `[B, H, W, C]`.
    fn gathered(&self, indices: &[usize]) -> Result<Tensor> {
        let numbers = self.numbers();
        let own = |index: usize| index * numbers..(index + 1) * numbers;
        Ok(match &self.levels {
            Levels::Bytes(bytes) => self.together(indices.iter().map(|&index| &bytes[own(index)])),
            Levels::Floats(floats) => {
                self.together(indices.iter().map(|&index| &floats[own(index)]))
            }
            Levels::Streamed(stream) => {
                let images: Result<Vec<Vec<u8>>> = indices
                    .par_iter()
                    .map(|&index| stream.read(index))
                    .collect();
                self.together(images?.iter().map(Vec::as_slice))
            }
        })
    }

    /// `images`, each `[C, H, W]`, as `[B, H, W, C]`.
    fn together<'i, T: tch::kind::Element + Copy + 'i>(
        &self,
        images: impl ExactSizeIterator<Item = &'i [T]>,
    ) -> Tensor {
        let [channels, height, width] = self.shape;
        let levels = Tensor::from_slice(&channels_last(images, self.shape));
        levels.view([-1, height as i64, width as i64, channels as i64])
    }

    /// Bytes that the images take in memory or on the device; 0 where they lie on the disk.
    pub fn bytes(&self) -> usize {
        match &self.levels {
            Levels::Bytes(bytes) => bytes.len(),
            Levels::Floats(floats) => size_of_val(&floats[..]),
            Levels::Streamed(_) => 0,
        }
    }

    /// Mean and standard deviation per channel over the images at `indices`.
    pub fn statistics(&self, indices: &[usize]) -> Vec<(f64, f64)> {
        let plane = self.shape[1] * self.shape[2];
        let count = (indices.len() * plane) as u64;
        let starts = |channel: usize| {
            let starts = indices.iter().map(|index| index * self.numbers());
            starts.map(move |start| start + channel * plane)
        };
        let of_bytes = |sums: &mut dyn Iterator<Item = [u64; 2]>| {
            let add = |[a, b]: [u128; 2], [c, d]: [u64; 2]| [a + u128::from(c), b + u128::from(d)];
            mean_and_sd_of_bytes(sums.fold([0, 0], add), count)
        };
        let statistics = |channel: usize| match &self.levels {
            Levels::Bytes(bytes) => {
                let planes = starts(channel).map(|start| &bytes[start..start + plane]);
                of_bytes(&mut planes.map(sums))
            }
            Levels::Streamed(stream) => {
                let known = indices.iter().map(|&image| &stream.known()[image]);
                of_bytes(&mut known.map(|known| known.sums[channel]))
            }
            Levels::Floats(floats) => {
                let own = starts(channel).flat_map(|start| &floats[start..start + plane]);
                mean_and_sd(own.map(|&number| f64::from(number)), count as f64)
            }
        };
        (0..self.shape[0]).map(statistics).collect()
    }
}

/// Images in an order that was said in advance.
pub struct InOrder<'p> {
    pixels: &'p Pixels,
    order: Vec<usize>,
    /// How many of them were given.
    given: usize,
    reader: Option<ReadAhead>,
}

impl InOrder<'_> {
    /// The levels of the next `count` images, as of [`Pixels::levels`].
    ///
    /// # Errors
    /// As there.
    pub fn next(&mut self, count: usize) -> Result<Tensor> {
        let own = self.given..self.given + count;
        self.given = own.end;
        let Some(reader) = &mut self.reader else {
            return self.pixels.levels(&self.order[own]);
        };
        let images: Vec<Vec<u8>> = own.map(|_| reader.take()).collect::<Result<_>>()?;
        let images = self.pixels.together(images.iter().map(Vec::as_slice));
        Ok(upload(images, self.pixels.device).permute([0, 3, 1, 2]))
    }
}

fn units(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| unit(byte)).collect()
}

/// SHA-256 of what bytes stand for, as float32, little-endian.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    digest_of(bytes.iter().map(|&byte| unit(byte)))
}

fn digest_of(numbers: impl Iterator<Item = f32>) -> [u8; 32] {
    let bytes: Vec<[u8; 4]> = numbers.map(f32::to_le_bytes).collect();
    sha256(bytes.as_flattened())
}

/// `images`, each `[C, H, W]`, as `[B, H, W, C]`.
fn channels_last<'i, T: Copy + 'i>(
    images: impl ExactSizeIterator<Item = &'i [T]>,
    [channels, height, width]: [usize; 3],
) -> Vec<T> {
    let plane = height * width;
    let mut gathered = Vec::with_capacity(images.len() * channels * plane);
    for image in images {
        match channels {
            1 => gathered.extend_from_slice(image),
            _ => {
                let pixel = |at| (0..channels).map(move |channel| image[channel * plane + at]);
                gathered.extend((0..plane).flat_map(pixel));
            }
        }
    }
    gathered
}

/// Of `count` bytes with that sum and sum of squares, each standing for a 255th: exact but for the last steps, in whatever order
/// they were added.
fn mean_and_sd_of_bytes([sum, squares]: [u128; 2], count: u64) -> (f64, f64) {
    let count = u128::from(count);
    let mean = sum as f64 / count as f64 / 255.0;
    let spread = count * squares - sum * sum;
    (mean, (spread as f64).sqrt() / count as f64 / 255.0)
}

/// Added one after the other, so that the sums depend on nothing but the order of the images.
fn mean_and_sd(numbers: impl Iterator<Item = f64> + Clone, count: f64) -> (f64, f64) {
    let mean = numbers.clone().sum::<f64>() / count;
    let squares = numbers.map(|number| (number - mean).powi(2));
    (mean, (squares.sum::<f64>() / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_the_very_numbers_of_all_256_bytes() {
        let pixels = Pixels::new(Levels::Bytes((0..=255).collect()), [1, 16, 16]);
        let found = pixels.batch(&[0]).unwrap().contiguous().view([-1]);
        let found = Vec::<f32>::try_from(found).unwrap();
        let expected: Vec<u32> = (0..=255u8)
            .map(|byte| (f32::from(byte) / 255.0).to_bits())
            .collect();
        let found: Vec<u32> = found.iter().map(|number| number.to_bits()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_batch_is_channels_first_in_shape_and_channels_last_in_memory() {
        // numpy.arange(2 * 3 * 2 * 4, dtype="u1").reshape(2, 3, 2, 4)
        let bytes: Vec<u8> = (0..48).collect();
        let floats = bytes.iter().map(|&byte| unit(byte)).collect();
        for levels in [Levels::Bytes(bytes), Levels::Floats(floats)] {
            let batch = Pixels::new(levels, [3, 2, 4]).batch(&[1, 0, 1]).unwrap();
            assert_eq!(batch.size(), [3, 3, 2, 4]);
            assert_eq!(batch.stride(), [24, 1, 12, 3]);
            // Image 1, channel 2, row 1, column 3 is the last byte.
            for (place, byte) in [([0, 2, 1, 3], 47), ([1, 2, 1, 3], 23), ([2, 0, 0, 1], 25)] {
                assert_eq!(batch.double_value(&place) as f32, unit(byte));
            }
        }
        let grey = Pixels::new(Levels::Bytes(vec![0; 24]), [1, 3, 4])
            .batch(&[0, 1])
            .unwrap();
        assert_eq!(
            (grey.size(), grey.stride()),
            (vec![2, 1, 3, 4], vec![12, 1, 4, 1])
        );
    }

    #[test]
    fn statistics_are_those_of_each_channel_over_the_images_asked_for() {
        // x = numpy.arange(48, dtype="u1").reshape(3, 2, 2, 4)[[2, 0]] / 255
        // x.mean((0, 2, 3)), x.std((0, 2, 3))
        let expected = [(0.07647059, 0.06338522), (0.10784314, 0.06338522)];
        let pixels = Pixels::new(Levels::Bytes((0..48).collect()), [2, 2, 4]);
        let found = pixels.statistics(&[2, 0]);
        for ((mean, sd), (known_mean, known_sd)) in found.into_iter().zip(expected) {
            let near = |a: f64, b: f64| (a - b).abs() < 1e-8;
            assert!(near(mean, known_mean) && near(sd, known_sd), "{mean} {sd}");
        }
    }
}
