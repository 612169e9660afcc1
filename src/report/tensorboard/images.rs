//! What TensorBoard shows as images: PNG files.

use anyhow::Result;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};
use tch::Tensor;

use crate::report::examination::images_of;

/// The longest side of an image, in pixels.
const LARGEST_PX: u32 = 1024;

/// Pixels between the images of a grid.
const GAP_PX: u32 = 2;

/// Columns and rows of a grid, at most.
const GRID: [u32; 2] = [8, 4];

/// Images of a grid, at most.
pub(super) const MOST: usize = (GRID[0] * GRID[1]) as usize;

/// The first of `images`, `[N, C, H, W]` in 0..1 with one channel or three, in rows and columns: as many as there is room
/// for, and smaller than they are only where there is no room for one.
///
/// # Errors
/// None that is known.
pub(super) fn grid(images: &Tensor) -> Result<Vec<u8>> {
    let (count, _, height, width) = images.size4()?;
    let [height, width] = [height, width].map(|side| side as u32 + GAP_PX);
    let room = |side: u32| (LARGEST_PX / side).max(1);
    let columns = GRID[0].min(room(width)).min(count as u32);
    let rows = GRID[1]
        .min(room(height))
        .min((count as u32).div_ceil(columns));
    let gray = Rgb([128; 3]);
    let mut grid = RgbImage::from_pixel(columns * width - GAP_PX, rows * height - GAP_PX, gray);
    let images = images_of(&images.narrow(0, 0, i64::from(columns * rows).min(count))).into_iter();
    for (image, own) in (0..).zip(images) {
        let (left, top) = (image % columns * width, image / columns * height);
        image::imageops::replace(&mut grid, &own, left.into(), top.into());
    }
    let longest = grid.width().max(grid.height());
    if longest > LARGEST_PX {
        let scaled = |side: u32| {
            let side = u64::from(side) * u64::from(LARGEST_PX) / u64::from(longest);
            (side as u32).max(1)
        };
        grid = image::imageops::thumbnail(&grid, scaled(grid.width()), scaled(grid.height()));
    }
    png(&grid)
}

fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let small =
        PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
    image.write_with_encoder(small)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn read(file: &[u8]) -> RgbImage {
        image::load_from_memory(file).unwrap().to_rgb8()
    }

    #[test]
    fn a_grid_shows_each_image_in_its_place_and_stays_small() {
        let options = (Kind::Float, Device::Cpu);
        // Image n is all n / 255 but for its first row.
        let levels = Tensor::arange(40, options).view([40, 1, 1, 1]) / 255.0;
        let images = levels.expand([40, 1, 10, 6], true).copy();
        let _ = images.narrow(2, 0, 1).fill_(1.0);
        let shown = read(&grid(&images).unwrap());
        assert_eq!(shown.dimensions(), (8 * 8 - 2, 4 * 12 - 2));
        for number in 0..32u32 {
            let (left, top) = (number % 8 * 8, number / 8 * 12);
            assert_eq!(shown.get_pixel(left + 5, top).0, [255; 3]);
            assert_eq!(shown.get_pixel(left + 5, top + 9).0, [number as u8; 3]);
        }
        assert_eq!(shown.get_pixel(6, 0).0, [128; 3], "a gap");

        let sizes = [
            ([3, 3, 16, 16], (52, 16), "three of them"),
            ([9, 1, 400, 16], (142, 802), "room for two rows"),
            ([9, 3, 2048, 1024], (512, 1024), "no room for one"),
        ];
        for (shape, expected, why) in sizes {
            let found = read(&grid(&Tensor::zeros(shape, options)).unwrap());
            assert_eq!(found.dimensions(), expected, "{why}");
        }
    }
}
