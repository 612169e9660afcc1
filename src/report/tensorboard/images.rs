//! What TensorBoard shows as images: PNG files.

use anyhow::Result;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

/// The longest side of an image, in pixels.
const LARGEST_PX: u32 = 1024;

/// Pixels between the images of a grid.
const GAP_PX: u32 = 2;

/// Columns and rows of a grid, at most.
const GRID: [u32; 2] = [8, 4];

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
    for image in 0..(columns * rows).min(count as u32) {
        let levels = (images.get(i64::from(image)) * 255.0).round();
        let levels = levels.expand([3, -1, -1], false); // gray in each colour, or the colours
        let levels = levels.permute([1, 2, 0]).to_kind(Kind::Uint8);
        let levels = levels.to_device(Device::Cpu).contiguous().view([-1]);
        let own = RgbImage::from_raw(width - GAP_PX, height - GAP_PX, Vec::try_from(levels)?);
        let own = own.expect("three levels for each pixel");
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

/// The confusion matrix `counts` of `classes`: `counts[i][j]` images of class i taken for class j, in row i and column j, the
/// darker the larger their share of class i.
///
/// # Errors
/// None that is known.
pub(super) fn confusion_image(classes: &[String], counts: &[Vec<usize>]) -> Result<Vec<u8>> {
    let cell = (512 / classes.len() as u32).min(64);
    let side = cell * classes.len() as u32;
    png(&RgbImage::from_fn(side, side, |x, y| {
        let row = &counts[(y / cell) as usize];
        let images = row.iter().sum::<usize>().max(1);
        let share = row[(x / cell) as usize] as f64 / images as f64;
        let level = |most: f64| (255.0 - share * (255.0 - most)).round() as u8;
        Rgb([8.0, 48.0, 107.0].map(level))
    }))
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

    #[test]
    fn a_confusion_matrix_has_classes_in_rows_and_what_they_were_taken_for_in_columns() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        let counts = [vec![4, 0, 0], vec![0, 1, 1], vec![0, 0, 0]];
        let shown = read(&confusion_image(&classes, &counts).unwrap());
        let cell = |row: u32, column: u32| shown.get_pixel(column * 64 + 32, row * 64 + 32).0[0];
        let rows = [0, 1, 2].map(|row| [0, 1, 2].map(|column| cell(row, column)));
        assert_eq!(rows, [[8, 255, 255], [255, 132, 132], [255; 3]]);
    }
}
