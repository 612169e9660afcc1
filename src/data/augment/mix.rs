//! Mixing each image of a batch with the next one, the last with the first: mixup shows one through the other, cutmix puts a
//! rectangle of one into the other. What is drawn is the same for the same (seed, epoch, image); which image comes next is a
//! matter of the order of the epoch, and of the piece of a batch that is computed at once.

use tch::Tensor;

use crate::bridge;
use crate::config::data::Augment;
use crate::data::sampler::Sample;
use crate::rng::{Purpose, Stream};

/// How an image is mixed with the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// The share of the image that is left, 0 to 1.
    pub share: f64,
    /// Top, bottom, left and right of the rectangle that is the next image's, in pixels; none where that shows through.
    rectangle: Option<[i64; 4]>,
}

impl Mix {
    /// An image that stays alone.
    const NOT: Mix = Mix {
        share: 1.0,
        rectangle: None,
    };
}

/// How each of `samples`, images of so many pixels in height and width, is mixed with the next one; nothing where `augment`
/// mixes none.
pub fn draw(
    augment: &[Augment],
    samples: &[Sample],
    size: [i64; 2],
    seed: u64,
    epoch: usize,
) -> Option<Vec<Mix>> {
    let kinds: Vec<&Augment> = augment
        .iter()
        .filter(|kind| !kind.is_of_an_image())
        .collect();
    if kinds.is_empty() {
        return None;
    }
    let mix = |sample: &Sample| {
        let mut stream = Stream::new(seed, Purpose::Mix, &sample.place(epoch));
        match *kinds[stream.below(kinds.len())] {
            Augment::Mixup { alpha, p } if stream.chance(p) => Mix {
                share: stream.beta(alpha),
                rectangle: None,
            },
            Augment::Cutmix { alpha, p } if stream.chance(p) => rectangle(size, alpha, &mut stream),
            _ => Mix::NOT,
        }
    };
    Some(samples.iter().map(mix).collect())
}

/// A rectangle about any pixel, of the image's aspect ratio, cut where it reaches over the edge.
fn rectangle([height, width]: [i64; 2], alpha: f64, stream: &mut Stream) -> Mix {
    let half = 0.5 * (1.0 - stream.beta(alpha)).sqrt();
    let mut reach = |side: i64| {
        let middle = stream.below(side as usize) as i64;
        let half = (half * side as f64) as i64;
        [(middle - half).max(0), (middle + half).min(side)]
    };
    let ([top, bottom], [left, right]) = (reach(height), reach(width));
    let area = (bottom - top) * (right - left);
    Mix {
        share: 1.0 - area as f64 / (height * width) as f64,
        rectangle: Some([top, bottom, left, right]),
    }
}

/// The images `x`, `[B, C, H, W]` in bytes or 0..1, each mixed with the next one; in 0..1.
pub fn apply(x: &Tensor, mixes: &[Mix]) -> Tensor {
    let (_, _, height, width) = x.size4().expect("a batch has four dimensions");
    let x = bridge::in_unit(x).expect("a batch has four dimensions");
    let next = x.roll([-1i64], [0i64]);
    let upload = |numbers: Vec<f32>| bridge::upload(Tensor::from_slice(&numbers), x.device());
    let kept = if mixes.iter().any(|mix| mix.rectangle.is_some()) {
        let kept = mixes.iter().flat_map(|mix| mix.kept(height, width));
        upload(kept.collect()).view([-1, 1, height, width])
    } else {
        upload(mixes.iter().map(|mix| mix.share as f32).collect()).view([-1, 1, 1, 1])
    };
    &x * &kept + next * (1.0 - kept)
}

impl Mix {
    /// How much each pixel keeps of itself, `[H, W]`.
    fn kept(&self, height: i64, width: i64) -> Vec<f32> {
        let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let kept = |(row, column): (i64, i64)| match self.rectangle {
            None => self.share as f32,
            Some([top, bottom, left, right]) => {
                let inside = (top..bottom).contains(&row) && (left..right).contains(&column);
                f32::from(!inside)
            }
        };
        pixels.map(kept).collect()
    }
}
