//! Resizing a plane of bytes by an antialiased triangle filter, to the very bytes of `image::imageops::resize`, which
//! computes all planes as four of floats and takes five times as long.

/// What one number of a resized row or column is made of: these of the original, from the first on.
struct Window {
    first: usize,
    /// Their shares, which add up to 1.
    weights: Vec<f32>,
}

/// A stretch of a side of an image: where it begins and how long it is, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// From the edge.
    pub start: f32,
    /// Above zero.
    pub length: f32,
}

impl Stretch {
    /// A whole side of so many pixels.
    pub fn whole(pixels: usize) -> Stretch {
        Stretch {
            start: 0.0,
            length: pixels as f32,
        }
    }

    /// The middle of a side of so many pixels.
    pub fn middle(pixels: usize, length: f32) -> Stretch {
        let start = (pixels as f32 - length) / 2.0;
        Stretch { start, length }
    }
}

/// Of each number, where a `part` of `from` become `to`. Support and centres as in `image`; numbers beside the part count
/// where a triangle reaches them, as in Pillow.
fn windows(from: usize, part: Stretch, to: usize) -> Vec<Window> {
    let ratio = part.length / to as f32;
    let support = ratio.max(1.0); // pixels that a triangle reaches to either side
    let window = |index: usize| {
        let middle = part.start + (index as f32 + 0.5) * ratio;
        let first = ((middle - support).floor().max(0.0) as usize).min(from - 1);
        let end = ((middle + support).ceil().max(0.0) as usize).clamp(first + 1, from);
        let middle = middle - 0.5;
        let triangle = |at: usize| (1.0 - ((at as f32 - middle) / support).abs()).max(0.0);
        let mut weights: Vec<f32> = (first..end).map(triangle).collect();
        let sum: f32 = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Window { first, weights }
    };
    (0..to).map(window).collect()
}

/// The nearest byte, upwards from the middle between two.
fn nearest(number: f32) -> u8 {
    let whole = number as u8; // from 0 to 255, whatever it is
    let upwards = number - f32::from(whole) >= 0.5;
    whole.saturating_add(u8::from(upwards))
}

/// The `part` (across, down) of `plane`, rows of `width` bytes, with `to` (width, height).
pub fn resize(plane: &[u8], width: usize, part: (Stretch, Stretch), to: (usize, usize)) -> Vec<u8> {
    let across = windows(width, part.0, to.0);
    let mut resized = Vec::with_capacity(to.0 * to.1);
    let mut row = vec![0.0; width];
    for window in windows(plane.len() / width, part.1, to.1) {
        row.fill(0.0);
        let rows = plane[window.first * width..].chunks_exact(width);
        for (own, weight) in rows.zip(&window.weights) {
            for (sum, byte) in row.iter_mut().zip(own) {
                *sum += f32::from(*byte) * weight;
            }
        }
        resized.extend(across.iter().map(|window| {
            let own = row[window.first..].iter().zip(&window.weights);
            nearest(own.fold(0.0, |sum, (number, weight)| sum + number * weight))
        }));
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    #[test]
    fn resized_bytes_are_those_of_the_image_crate() {
        let mut stream = Stream::new(7, Purpose::Order, &[]);
        let mut side = || 1 + (stream.bits() % 150) as usize;
        let sizes: Vec<[usize; 4]> = (0..300).map(|_| [(); 4].map(|()| side())).collect();
        for [width, height, to_width, to_height] in sizes {
            // Noise, and black and white, whose sums come nearest to what a byte can hold.
            for levels in [256, 2] {
                let bytes =
                    (0..width * height).map(|_| stream.bits() % levels * 255 / (levels - 1));
                let plane: Vec<u8> = bytes.map(|byte| byte as u8).collect();
                let image = image::GrayImage::from_raw(width as u32, height as u32, plane.clone());
                let (to_w, to_h) = (to_width as u32, to_height as u32);
                let filter = image::imageops::FilterType::Triangle;
                let theirs = image::imageops::resize(&image.unwrap(), to_w, to_h, filter);
                let all = (Stretch::whole(width), Stretch::whole(height));
                let ours = resize(&plane, width, all, (to_width, to_height));
                let name = format!("{width} x {height} to {to_width} x {to_height}");
                assert!(ours == theirs.into_raw(), "{name}");
            }
        }
    }
}
