//! The pixels of all images, and the batches cut from them.
//!
//! Bytes stay bytes until a batch is made, a quarter of what floats would take. They lie in memory, or on the device where
//! a model trains; whoever asks for a batch need not know.

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::bridge::{self, upload};

/// The levels of images, one image after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Levels {
    /// n stands for n / 255.
    Bytes(Vec<u8>),
    /// Numbers in 0..1, of arrays of floats.
    Floats(Vec<f32>),
}

impl Levels {
    fn len(&self) -> usize {
        match self {
            Levels::Bytes(bytes) => bytes.len(),
            Levels::Floats(floats) => floats.len(),
        }
    }
}

/// The pixels of images of one shape.
#[derive(Debug)]
pub struct Pixels {
    /// Channels, height, width.
    shape: [usize; 3],
    /// `[N, C, H, W]`.
    levels: Levels,
    /// `[N, H, W, C]` in bytes or floats, where images lie on a device that is not the CPU.
    on_device: Option<Tensor>,
}

/// What a model sees of a byte, in 0..1.
pub fn unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

impl Pixels {
    /// Images of `shape` (channels, height, width) in memory, `[N, C, H, W]`.
    ///
    /// # Panics
    /// Levels that are no whole images.
    pub fn new(levels: Levels, shape: [usize; 3]) -> Pixels {
        let image: usize = shape.iter().product();
        assert!(levels.len().is_multiple_of(image), "a part of an image");
        Pixels {
            shape,
            levels,
            on_device: None,
        }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.levels.len() / self.numbers()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.levels.len() == 0
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
    pub fn image(&self, index: usize) -> Vec<f32> {
        let own = index * self.numbers()..(index + 1) * self.numbers();
        match &self.levels {
            Levels::Bytes(bytes) => bytes[own].iter().map(|&byte| unit(byte)).collect(),
            Levels::Floats(floats) => floats[own].to_vec(),
        }
    }

    /// What `work` makes of the numbers of each image, in parallel.
    pub fn each<T: Send>(&self, work: impl Fn(&[f32]) -> T + Sync) -> Vec<T> {
        let numbers = self.numbers();
        match &self.levels {
            Levels::Bytes(bytes) => bytes
                .par_chunks(numbers)
                .map(|bytes| work(&bytes.iter().map(|&byte| unit(byte)).collect::<Vec<_>>()))
                .collect(),
            Levels::Floats(floats) => floats.par_chunks(numbers).map(&work).collect(),
        }
    }

    /// SHA-256 of each image's numbers: `[C, H, W]` in 0..1, as float32, little-endian.
    pub fn digests(&self) -> Vec<[u8; 32]> {
        let of_bytes: [[u8; 4]; 256] = std::array::from_fn(|byte| unit(byte as u8).to_le_bytes());
        let numbers = self.numbers();
        match &self.levels {
            Levels::Bytes(bytes) => digests(bytes, numbers, |byte| of_bytes[usize::from(byte)]),
            Levels::Floats(floats) => digests(floats, numbers, f32::to_le_bytes),
        }
    }

    /// Copies the images to `device`, where batches are cut from then on.
    pub fn to_device(&mut self, device: Device) {
        if device != Device::Cpu {
            let all: Vec<usize> = (0..self.len()).collect();
            self.on_device = Some(self.gathered(&all).to_device(device));
        }
    }

    /// The images at `indices`, on the device of the images.
    ///
    /// # Shapes
    /// `[B, C, H, W]` in 0..1, channels last in memory, which convolutions on the CPU are fastest with.
    pub fn batch(&self, indices: &[usize]) -> Tensor {
        bridge::in_unit(&self.levels(indices)).expect("levels have four dimensions")
    }

    /// The same as they lie in memory: bytes, of which n stands for n / 255, or numbers in 0..1.
    pub fn levels(&self, indices: &[usize]) -> Tensor {
        let levels = match &self.on_device {
            None => self.gathered(indices),
            Some(all) => {
                let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
                all.index_select(0, &upload(Tensor::from_slice(&indices), all.device()))
            }
        };
        levels.permute([0, 3, 1, 2])
    }

    /// The levels of the images at `indices` as they lie in memory, `[B, H, W, C]`.
    fn gathered(&self, indices: &[usize]) -> Tensor {
        let [channels, height, width] = self.shape;
        let levels = match &self.levels {
            Levels::Bytes(bytes) => Tensor::from_slice(&channels_last(bytes, indices, self.shape)),
            Levels::Floats(floats) => {
                Tensor::from_slice(&channels_last(floats, indices, self.shape))
            }
        };
        levels.view([-1, height as i64, width as i64, channels as i64])
    }

    /// Bytes that the images take where batches are cut from.
    pub fn bytes(&self) -> usize {
        match &self.levels {
            Levels::Bytes(bytes) => bytes.len(),
            Levels::Floats(floats) => size_of_val(&floats[..]),
        }
    }

    /// Mean and standard deviation per channel over the images at `indices`.
    pub fn statistics(&self, indices: &[usize]) -> Vec<(f64, f64)> {
        let plane = self.shape[1] * self.shape[2];
        let count = (indices.len() * plane) as f64;
        let of_bytes: [f64; 256] = std::array::from_fn(|byte| unit(byte as u8).into());
        let statistics = |channel: usize| {
            let starts = indices
                .iter()
                .map(|index| index * self.numbers() + channel * plane);
            match &self.levels {
                Levels::Bytes(bytes) => {
                    let own = starts.flat_map(|start| &bytes[start..start + plane]);
                    mean_and_sd(own.map(|&byte| of_bytes[usize::from(byte)]), count)
                }
                Levels::Floats(floats) => {
                    let own = starts.flat_map(|start| &floats[start..start + plane]);
                    mean_and_sd(own.map(|&number| f64::from(number)), count)
                }
            }
        };
        (0..self.shape[0]).map(statistics).collect()
    }
}

fn digests<T: Copy + Sync>(
    all: &[T],
    image: usize,
    bytes_of: impl Fn(T) -> [u8; 4] + Sync,
) -> Vec<[u8; 32]> {
    let digest = |image: &[T]| {
        let bytes: Vec<[u8; 4]> = image.iter().map(|&number| bytes_of(number)).collect();
        Sha256::digest(bytes.as_flattened()).into()
    };
    all.par_chunks_exact(image).map(digest).collect()
}

/// The images at `indices`, each `[H, W, C]`, of `all`, each `[C, H, W]`.
fn channels_last<T: Copy>(all: &[T], indices: &[usize], shape: [usize; 3]) -> Vec<T> {
    let [channels, height, width] = shape;
    let plane = height * width;
    let mut gathered = Vec::with_capacity(indices.len() * channels * plane);
    for &index in indices {
        let image = &all[index * channels * plane..(index + 1) * channels * plane];
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
        let found = pixels.batch(&[0]).contiguous().view([-1]);
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
            let batch = Pixels::new(levels, [3, 2, 4]).batch(&[1, 0, 1]);
            assert_eq!(batch.size(), [3, 3, 2, 4]);
            assert_eq!(batch.stride(), [24, 1, 12, 3]);
            // Image 1, channel 2, row 1, column 3 is the last byte.
            for (place, byte) in [([0, 2, 1, 3], 47), ([1, 2, 1, 3], 23), ([2, 0, 0, 1], 25)] {
                assert_eq!(batch.double_value(&place) as f32, unit(byte));
            }
        }
        let grey = Pixels::new(Levels::Bytes(vec![0; 24]), [1, 3, 4]).batch(&[0, 1]);
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
