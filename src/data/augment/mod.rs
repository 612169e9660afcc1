//! Random changes to training images: the same for the same (seed, epoch, image), on any device; an image that an epoch
//! meets again is changed anew.
//!
//! All changes of place (crop, shift, turn, scale, mirror) are one affine map, sampled once, so that an image
//! is blurred by interpolation once and not four times. Beyond the edge the edge goes on.

pub mod mix;
mod tones;
mod transform;

use tch::{Device, Kind, Tensor};

use transform::Transform;

use super::sampler::Sample;
use crate::bridge;
use crate::config::data::Augment;
use crate::rng::{Purpose, Stream};

/// Changes a batch.
///
/// # Shapes
/// `x`: `[B, C, H, W]`, bytes or numbers in 0..1; `samples` are its images. The result is the same in 0..1, or `x` itself
/// where nothing is to be changed.
pub fn apply(
    augment: &[Augment],
    x: Tensor,
    samples: &[Sample],
    seed: u64,
    epoch: usize,
) -> Tensor {
    if !augment.iter().any(Augment::is_of_an_image) {
        return x;
    }
    let (_, channels, height, width) = x.size4().expect("a batch has four dimensions");
    let mut changes: Vec<Transform> = samples.iter().map(|_| Transform::none()).collect();
    let mut noise: Vec<f32> = Vec::new();
    let noisy = augment
        .iter()
        .any(|kind| matches!(kind, Augment::Noise { .. }));
    for (change, sample) in changes.iter_mut().zip(samples) {
        let mut stream = Stream::new(seed, Purpose::Augment, &sample.place(epoch));
        augment
            .iter()
            .for_each(|kind| change.draw(kind, [height as f64, width as f64], &mut stream));
        if noisy {
            noise.extend(
                (0..channels * height * width).map(|_| (stream.normal() * change.noise) as f32),
            );
        }
    }
    let device = x.device();
    let column = |number: &dyn Fn(&Transform) -> f64| column(&changes, device, number);
    let mut x = bridge::in_unit(&x).expect("a batch has four dimensions");
    if changes.iter().any(Transform::moves) {
        let maps = changes.iter();
        let maps: Vec<[f64; 6]> = maps
            .map(|change| change.map(height as f64, width as f64))
            .collect();
        x = bridge::warp(&x, &maps).expect("there is a map for each image");
    }
    let widest = changes
        .iter()
        .fold(0.0, |widest: f64, change| widest.max(change.blur_px));
    if widest > 0.0 {
        x = blurred(&x, &changes, 3);
        x = blurred(&x, &changes, 2);
    }
    if changes.iter().any(|change| change.contrast != 1.0) {
        let mean = x.mean_dim(&[1i64, 2, 3][..], true, None); // [B, 1, 1, 1]
        let factor = column(&|change| change.contrast);
        x = ((&x - &mean) * &factor + mean).where_self(&factor.ne(1.0), &x);
    }
    if changes.iter().any(|change| change.brightness != 1.0) {
        x *= column(&|change| change.brightness);
    }
    if channels == 3 && changes.iter().any(Transform::recolours) {
        let colours = [0, 1, 2].map(|channel| x.narrow(1, channel, 1));
        let row = |to: usize| {
            let term = |from: usize| &colours[from] * column(&|change| change.colours()[to][from]);
            term(0) + term(1) + term(2)
        };
        let changes = column(&|change| f64::from(u8::from(change.recolours())));
        x = Tensor::cat(&[row(0), row(1), row(2)], 1).where_self(&changes.ne(0.0), &x);
    }
    if changes.iter().any(|change| change.tone.is_some()) {
        let images = changes
            .iter()
            .zip(x.split(1, 0))
            .map(|(change, x)| match &change.tone {
                Some(tone) => tone.apply(&x),
                None => x,
            });
        x = Tensor::cat(&images.collect::<Vec<_>>(), 0);
    }
    if noisy {
        let noise = bridge::upload(Tensor::from_slice(&noise), device);
        x += noise.view([-1, channels, height, width]);
    }
    if changes.iter().any(|change| change.erased.is_some()) {
        let keep: Vec<f32> = changes
            .iter()
            .flat_map(|change| change.mask(height as usize, width as usize))
            .collect();
        let keep = bridge::upload(Tensor::from_slice(&keep), device).view([-1, 1, height, width]);
        let fill = x.mean_dim(&[2i64, 3][..], true, None);
        x = &x * &keep + fill * (1.0 - keep);
    }
    x.clamp_(0.0, 1.0).to_kind(Kind::Float)
}

/// A number of each image, `[B, 1, 1, 1]` on `device`.
fn column(changes: &[Transform], device: Device, number: &dyn Fn(&Transform) -> f64) -> Tensor {
    let list: Vec<f32> = changes.iter().map(|change| number(change) as f32).collect();
    bridge::upload(Tensor::from_slice(&list), device).view([-1, 1, 1, 1])
}

/// How far a blur reaches, in standard deviations: beyond lies a hundredth of it.
const REACH: f64 = 2.6;

/// Weighted sums of neighbours along a dimension, the weights a normal distribution; beyond the edge the edge goes on.
fn blurred(x: &Tensor, changes: &[Transform], dim: i64) -> Tensor {
    let column = |number: &dyn Fn(&Transform) -> f64| column(changes, x.device(), number);
    let side = x.size()[dim as usize];
    let places = Tensor::arange(side, (Kind::Int64, x.device()));
    let weight = |change: &Transform, at: i64| match change.blur_px {
        0.0 => f64::from(u8::from(at == 0)),
        sigma => (-0.5 * (at as f64 / sigma).powi(2)).exp(),
    };
    let reach = |change: &Transform| (REACH * change.blur_px).ceil() as i64;
    let within = |change: &Transform, at: i64| {
        if at.abs() > reach(change) {
            0.0
        } else {
            weight(change, at)
        }
    };
    let sum = |change: &Transform| {
        let all = -reach(change)..=reach(change);
        all.map(|at| weight(change, at)).sum::<f64>()
    };
    let mut result = x * column(&|change| weight(change, 0) / sum(change));
    for at in 1..=changes.iter().map(reach).max().unwrap_or(0) {
        let [before, behind] =
            [-at, at].map(|step| x.index_select(dim, &(&places + step).clamp(0, side - 1)));
        result += (before + behind) * column(&|change| within(change, at) / sum(change));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sampler::once;

    fn ramp() -> Tensor {
        Tensor::arange(2 * 36, (Kind::Float, tch::Device::Cpu)).view([2, 1, 6, 6]) / 72.0
    }

    #[test]
    fn a_change_depends_on_seed_epoch_and_image_and_not_on_its_place_in_the_batch() {
        let augment = [
            Augment::Shift { max_px: 2.0 },
            Augment::Rotate { max_degrees: 30.0 },
            Augment::Noise { std: 0.05 },
            Augment::Erase {
                p: 0.5,
                max_area: 0.3,
            },
        ];
        let both = apply(&augment, ramp(), &once(&[7, 8]), 1, 3);
        let second = apply(&augment, ramp().narrow(0, 1, 1), &once(&[8]), 1, 3);
        assert!(both.narrow(0, 1, 1).equal(&second));
        assert!(!both.equal(&apply(&augment, ramp(), &once(&[7, 8]), 1, 4)));
        assert!(!both.equal(&apply(&augment, ramp(), &once(&[7, 8]), 2, 3)));
    }

    #[test]
    fn mirroring_and_whole_shifts_move_pixels_without_changing_them() {
        let mirrored = apply(
            &[Augment::FlipHorizontal { p: 1.0 }],
            ramp(),
            &once(&[0, 1]),
            1,
            0,
        );
        let difference = (mirrored - ramp().flip([3])).abs().max().double_value(&[]);
        // Interpolation at pixel centres: a few units in the last place of numbers up to 1.
        assert!(difference < 1e-6, "{difference}");

        let mut change = Transform::none();
        change.shift = [1.0, 2.0];
        let x = ramp().narrow(0, 0, 1);
        let moved = bridge::warp(&x, &[change.map(6.0, 6.0)]).unwrap();
        // Content moves right by one and down by two.
        let difference = (moved.slice(2, 2, 6, 1).slice(3, 1, 6, 1)
            - x.slice(2, 0, 4, 1).slice(3, 0, 5, 1))
        .abs();
        assert!(difference.max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn a_quarter_turn_is_the_rot90_of_libtorch_and_half_the_size_is_the_mean_of_four() {
        let x = ramp().narrow(0, 0, 1);
        let moved = |change: &Transform| bridge::warp(&x, &[change.map(6.0, 6.0)]).unwrap();
        let mut turn = Transform::none();
        turn.degrees = 90.0;
        let difference = (moved(&turn) - x.rot90(-1, [2, 3])).abs().max();
        // cos 90° is 6e-17 and pixels are up to 1: rounding alone.
        assert!(difference.double_value(&[]) < 1e-6);

        // In the middle of an image of half the size, each pixel is the mean of the four it covers.
        let mut small = Transform::none();
        small.scale = 0.5;
        let middle = moved(&small).slice(2, 2, 4, 1).slice(3, 2, 4, 1);
        let covered = x.slice(2, 1, 5, 1).slice(3, 1, 5, 1);
        let means = covered.avg_pool2d([2i64, 2], [2i64, 2], [0i64, 0], false, true, None);
        assert!((middle - means).abs().max().double_value(&[]) < 1e-6);
    }
}
