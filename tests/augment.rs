//! What each kind of `data.augment` does to a known image, and that chance is a matter of (seed, epoch, image).

use std::path::Path;

use signet::config::Experiment;
use signet::config::data::Augment;
use signet::config::document::Document;
use signet::data::augment;
use signet::data::sampler::{Sample, once};
use tch::{Device, Kind, Tensor};

const HEIGHT: i64 = 20;
const WIDTH: i64 = 28;

/// Every kind with the test of its effect. A kind that the experiment file knows and this list does not is an error.
const EFFECTS: [(&str, fn()); 12] = [
    (
        "shift",
        shift_moves_all_pixels_by_the_same_distance_up_to_its_bound,
    ),
    ("rotate", rotate_turns_about_the_centre_by_up_to_its_bound),
    ("scale", scale_grows_or_shrinks_about_the_centre),
    ("flip_horizontal", flip_horizontal_mirrors_the_columns),
    ("flip_vertical", flip_vertical_mirrors_the_rows),
    (
        "random_resized_crop",
        random_resized_crop_takes_a_part_of_an_area_and_ratio_within_bounds,
    ),
    ("blur", blur_is_a_normal_distribution_of_up_to_its_width),
    (
        "color_jitter",
        color_jitter_draws_brightness_contrast_and_saturation_apart,
    ),
    ("brightness", brightness_multiplies_all_pixels_by_one_factor),
    ("contrast", contrast_scales_the_distance_from_the_mean),
    ("noise", noise_is_normal_with_the_given_standard_deviation),
    ("erase", erase_paints_one_rectangle_with_the_mean),
];

/// `x` of the images at `indices`, changed as when an epoch meets them first.
fn apply(augment: &[Augment], x: Tensor, indices: &[usize], seed: u64, epoch: usize) -> Tensor {
    augment::apply(augment, x, &once(indices), seed, epoch)
}

fn read(augment: &str) -> Result<Vec<Augment>, String> {
    let text = format!(
        "version: 1\ndata: {{source: {{kind: generated}}, augment: [{augment}]}}\nmodel: {{kind: cnn}}\n"
    );
    Document::parse("test".into(), text, &[])
        .and_then(|document| Experiment::from_document(&document, Path::new("test.yaml"), &[]))
        .map(|experiment| experiment.data.augment)
        .map_err(|problems| problems.to_string())
}

/// The kinds that an experiment may name, from the message about one that it may not.
fn kinds() -> Vec<String> {
    let message = read("{kind: none_of_them}").unwrap_err();
    let (_, list) = message
        .split_once("none_of_them is not one of ")
        .expect(&message);
    let list = list.split([';', '\n']).next().unwrap();
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_kind_has_a_test_of_its_effect() {
    let tested: Vec<&str> = EFFECTS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds(), tested);
}

#[test]
fn an_image_that_an_epoch_meets_again_is_changed_anew_and_the_same_each_time() {
    let x = noise_image(1);
    for kind in kinds() {
        let augment = read(&format!("{{kind: {kind}}}")).unwrap();
        let meet = |image: usize, again: usize| {
            augment::apply(&augment, x.copy(), &[Sample { image, again }], 7, 2)
        };
        let times: Vec<Tensor> = (0..8).map(|again| meet(3, again)).collect();
        assert!(times[1].equal(&meet(3, 1)), "{kind}");
        let others = times[1..].iter().filter(|other| !other.equal(&times[0]));
        assert!(others.count() > 0, "{kind}");
    }
}

#[test]
fn every_kind_depends_on_seed_epoch_and_image_alone() {
    let x = noise_image(8);
    for kind in kinds() {
        let augment = read(&format!("{{kind: {kind}}}")).unwrap();
        let indices = [3, 1, 4, 15, 9, 2, 6, 5];
        let together = apply(&augment, x.copy(), &indices, 7, 2);
        let far = (&together - &x).abs().max().double_value(&[]);
        assert!(far > 1e-3, "{kind} changes nothing");
        for (at, index) in indices.into_iter().enumerate() {
            let alone = apply(&augment, x.narrow(0, at as i64, 1), &[index], 7, 2);
            let same = alone.equal(&together.narrow(0, at as i64, 1));
            assert!(same, "{kind}: image {index} depends on its batch");
        }
        for (what, indices, seed, epoch) in [
            ("seed", indices, 8, 2),
            ("epoch", indices, 7, 3),
            ("image", indices.map(|index| index + 20), 7, 2),
        ] {
            let other = apply(&augment, x.copy(), &indices, seed, epoch);
            assert!(!other.equal(&together), "{kind} ignores the {what}");
        }
    }
}

#[test]
fn no_kind_leaves_the_range_of_pixels() {
    for kind in kinds() {
        let augment = read(&format!("{{kind: {kind}}}")).unwrap();
        let x = noise_image(8).round();
        let changed = apply(&augment, x, &[0, 1, 2, 3, 4, 5, 6, 7], 1, 0);
        assert!(changed.min().double_value(&[]) >= 0.0, "{kind}");
        assert!(changed.max().double_value(&[]) <= 1.0, "{kind}");
    }
}

/// `[images, 1, HEIGHT, WIDTH]`, the same in each call.
fn noise_image(images: i64) -> Tensor {
    let count = images * HEIGHT * WIDTH;
    (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.618_034)
        .frac()
        .view([images, 1, HEIGHT, WIDTH])
}

/// Where the pixels of 200 images come from: [image][row][column] -> (column, row) in pixels from the centre.
///
/// The image is a map of itself: its first channel is the column and its second the row, both as shares of 1.
/// Both are linear, so interpolation keeps them exact wherever it does not meet the edge.
fn origins(augment: Augment) -> Vec<impl Fn(f64, f64) -> [f64; 2]> {
    const IMAGES: i64 = 200;
    let axis = |length: i64| Tensor::arange(length, (Kind::Float, Device::Cpu)) / length as f64;
    let columns = axis(WIDTH)
        .view([1, 1, 1, WIDTH])
        .expand([IMAGES, 1, HEIGHT, WIDTH], false);
    let rows = axis(HEIGHT)
        .view([1, 1, HEIGHT, 1])
        .expand([IMAGES, 1, HEIGHT, WIDTH], false);
    let map = Tensor::cat(&[columns, rows], 1);
    let indices: Vec<usize> = (0..IMAGES as usize).collect();
    let moved = apply(&[augment], map, &indices, 1, 0);
    (0..IMAGES)
        .map(move |image| {
            let moved = moved.get(image);
            // The pixel at this distance from the centre, which lies between pixels.
            move |right: f64, down: f64| {
                let (row, column) = (down + CENTRE[1], right + CENTRE[0]);
                assert_eq!((row.fract(), column.fract()), (0.0, 0.0));
                let at = |channel| moved.double_value(&[channel, row as i64, column as i64]);
                [
                    at(0) * WIDTH as f64 - CENTRE[0],
                    at(1) * HEIGHT as f64 - CENTRE[1],
                ]
            }
        })
        .collect()
}

/// Column and row of the centre, which lies between pixels.
const CENTRE: [f64; 2] = [(WIDTH - 1) as f64 / 2.0, (HEIGHT - 1) as f64 / 2.0];

/// Pixels in the middle, right and down of the centre, that no bound of these tests takes beyond the edge.
const PLACES: [[f64; 2]; 5] = [
    [0.5, 0.5],
    [-5.5, -4.5],
    [5.5, -4.5],
    [-4.5, 5.5],
    [3.5, 2.5],
];

/// Pixels are single precision in 0..1, then as many times larger as an image is wide.
const CLOSE: f64 = 1e-5 * WIDTH as f64;

fn close(found: [f64; 2], expected: [f64; 2]) -> bool {
    (found[0] - expected[0]).hypot(found[1] - expected[1]) < CLOSE
}

/// Numbers drawn evenly from `low..high` come near both ends, and half of them lie below the middle.
fn assert_even(drawn: &[f64], low: f64, high: f64) {
    let share =
        |bound: f64| drawn.iter().filter(|&&x| x < bound).count() as f64 / drawn.len() as f64;
    assert!(
        drawn
            .iter()
            .all(|x| (low - CLOSE..high + CLOSE).contains(x)),
        "{drawn:?}"
    );
    for quarter in [0.05, 0.25, 0.5, 0.75, 0.95] {
        // Four standard deviations of a share.
        let far = 4.0 * (quarter * (1.0 - quarter) / drawn.len() as f64).sqrt();
        let found = share(low + (high - low) * quarter);
        assert!(
            (found - quarter).abs() < far,
            "{found} of them below {quarter}"
        );
    }
}

#[test]
fn shift_moves_all_pixels_by_the_same_distance_up_to_its_bound() {
    let mut shifts = [Vec::new(), Vec::new()];
    for origin in origins(Augment::Shift { max_px: 3.0 }) {
        let shift = |place: [f64; 2]| {
            let [x, y] = origin(place[0], place[1]);
            [place[0] - x, place[1] - y]
        };
        let first = shift(PLACES[0]);
        assert!(PLACES.iter().all(|&place| close(shift(place), first)));
        (0..2).for_each(|axis| shifts[axis].push(first[axis]));
    }
    shifts
        .iter()
        .for_each(|shifts| assert_even(shifts, -3.0, 3.0));
    // The axes are drawn apart.
    let product: f64 = shifts[0].iter().zip(&shifts[1]).map(|(a, b)| a * b).sum();
    assert!(
        (product / 200.0).abs() < 4.0 * 3.0 / 200f64.sqrt(),
        "{product}"
    );
    assert_moves_as_pillow(Augment::Shift { max_px: 3.0 }, &SHIFTED);
}

#[test]
fn rotate_turns_about_the_centre_by_up_to_its_bound() {
    let mut angles = Vec::new();
    for origin in origins(Augment::Rotate { max_degrees: 25.0 }) {
        // What lies at `place` came from where a turn back takes it.
        let [x, y] = origin(5.5, 0.5);
        let angle = 0.5f64.atan2(5.5) - y.atan2(x);
        let (sin, cos) = angle.sin_cos();
        for [right, down] in PLACES {
            let back = [right * cos + down * sin, down * cos - right * sin];
            assert!(close(origin(right, down), back), "{angle}");
        }
        angles.push(angle.to_degrees());
    }
    assert_even(&angles, -25.0, 25.0);
    assert_moves_as_pillow(Augment::Rotate { max_degrees: 25.0 }, &ROTATED);
}

#[test]
fn scale_grows_or_shrinks_about_the_centre() {
    let mut factors = Vec::new();
    for origin in origins(Augment::Scale { max: 0.3 }) {
        let factor = 5.5 / origin(5.5, 0.5)[0];
        for [right, down] in PLACES {
            assert!(close(origin(right, down), [right / factor, down / factor]));
        }
        factors.push(factor);
    }
    assert_even(&factors, 0.7, 1.3);
    assert_moves_as_pillow(Augment::Scale { max: 0.3 }, &SCALED);
}

/// The middle of an image that is moved as Pillow moves it: rows 8 to 11 and columns 11 to 16 of image 0.
type Middle = [[f64; 6]; 4];

// image = Image.fromarray((rows**2 + columns**2 / 2) / 2), with rows and columns as shares of 1
// def middle(a, b, d, e, dx=0, dy=0):
//     x, y = 14 + dx, 10 + dy
//     matrix = (a, b, 14 - a * x - b * y, d, e, 10 - d * x - e * y)
//     return np.array(image.transform((28, 20), Image.AFFINE, matrix, Image.BILINEAR))[8:12, 11:17]

/// `middle(1, 0, 0, 1, 0.7001896, 1.3312217)`
const SHIFTED: Middle = [
    [0.089763, 0.096651, 0.104176, 0.112339, 0.121140, 0.130579],
    [0.107685, 0.114573, 0.122098, 0.130261, 0.139062, 0.148501],
    [0.128107, 0.134995, 0.142520, 0.150683, 0.159484, 0.168923],
    [0.151029, 0.157917, 0.165442, 0.173605, 0.182406, 0.191845],
];
/// `middle(cos(t), sin(t), -sin(t), cos(t))` with t = 5.83492 degrees
const ROTATED: Middle = [
    [0.123216, 0.128263, 0.133941, 0.140357, 0.147552, 0.155377],
    [0.145678, 0.150536, 0.156024, 0.162265, 0.169270, 0.176906],
    [0.170656, 0.175321, 0.180617, 0.186677, 0.193490, 0.200934],
    [0.198131, 0.202607, 0.207713, 0.213598, 0.220221, 0.227475],
];
/// `middle(1 / s, 0, 0, 1 / s)` with s = 1.0700190
const SCALED: Middle = [
    [0.121870, 0.128787, 0.136258, 0.144304, 0.152926, 0.162101],
    [0.141811, 0.148728, 0.156199, 0.164245, 0.172867, 0.182043],
    [0.164007, 0.170924, 0.178395, 0.186441, 0.195063, 0.204238],
    [0.188457, 0.195374, 0.202845, 0.210892, 0.219513, 0.228689],
];

/// Moves a paraboloid and compares its middle with Pillow's `AFFINE` transform by the same matrix.
fn assert_moves_as_pillow(augment: Augment, expected: &Middle) {
    let axis = |length: i64| Tensor::arange(length, (Kind::Float, Device::Cpu)) / length as f64;
    let x = (axis(HEIGHT).view([HEIGHT, 1]).square() + axis(WIDTH).square() * 0.5) / 2.0;
    let moved = apply(&[augment], x.view([1, 1, HEIGHT, WIDTH]), &[0], 1, 0);
    for (row, numbers) in expected.iter().enumerate() {
        for (column, expected) in numbers.iter().enumerate() {
            let found = moved.double_value(&[0, 0, 8 + row as i64, 11 + column as i64]);
            assert!(
                (found - expected).abs() < 2e-6,
                "{row}, {column}: {found} is not {expected}"
            );
        }
    }
}

#[test]
fn flip_horizontal_mirrors_the_columns() {
    assert_flips(|p| Augment::FlipHorizontal { p }, 3);
}

#[test]
fn flip_vertical_mirrors_the_rows() {
    assert_flips(|p| Augment::FlipVertical { p }, 2);
}

/// An image is turned around along `dim` with the probability that is asked for, or kept.
fn assert_flips(kind: impl Fn(f64) -> Augment, dim: i64) {
    let x = noise_image(1);
    let expected = x.flip([dim]);
    let x = x.expand([1000, 1, HEIGHT, WIDTH], false);
    let indices: Vec<usize> = (0..1000).collect();
    let flipped = |p: f64| {
        let changed = apply(&[kind(p)], x.copy(), &indices, 1, 0);
        let like = |other: &Tensor| {
            let farthest = (&changed - other).abs().amax([1i64, 2, 3], false);
            // Interpolation at pixel centres rounds.
            farthest.lt(1e-6).sum(Kind::Int64).int64_value(&[])
        };
        let (mirrored, kept) = (like(&expected), like(&x));
        assert_eq!(mirrored + kept, 1000, "every image is mirrored or kept");
        mirrored
    };
    assert_eq!((flipped(0.0), flipped(1.0)), (0, 1000));
    // Four standard deviations of a binomial of 1000 at 0.3.
    assert!((flipped(0.3) - 300).abs() < 58, "{}", flipped(0.3));
}

#[test]
fn random_resized_crop_takes_a_part_of_an_area_and_ratio_within_bounds() {
    let parts = |min_area: f64, max_ratio: f64| -> Vec<[f64; 2]> {
        let kind = Augment::RandomResizedCrop {
            min_area,
            max_ratio,
        };
        let part = |origin: Box<dyn Fn(f64, f64) -> [f64; 2]>| {
            let (first, second) = (origin(0.5, 0.5), origin(5.5, 4.5));
            let sides = [(second[0] - first[0]) / 5.0, (second[1] - first[1]) / 4.0];
            let middle = [first[0] - 0.5 * sides[0], first[1] - 0.5 * sides[1]];
            for [right, down] in PLACES {
                let expected = [middle[0] + sides[0] * right, middle[1] + sides[1] * down];
                assert!(close(origin(right, down), expected));
            }
            for (axis, length) in [(0, WIDTH as f64), (1, HEIGHT as f64)] {
                let room = (1.0 - sides[axis]) * length / 2.0;
                assert!(middle[axis].abs() < room + CLOSE, "{sides:?} at {middle:?}");
            }
            sides
        };
        let origins = origins(kind).into_iter();
        origins.map(|origin| part(Box::new(origin))).collect()
    };
    let square = parts(0.3, 1.0);
    assert!(square.iter().all(|[wide, high]| (wide - high).abs() < 1e-4));
    let areas: Vec<f64> = square.iter().map(|[wide, high]| wide * high).collect();
    assert_even(&areas, 0.3, 1.0);
    // So small that no side reaches that of the image.
    let small = parts(0.04, 1.5);
    let small = small.iter().filter(|[wide, high]| wide * high < 0.4);
    let ratios: Vec<f64> = small.map(|[wide, high]| (wide / high).ln() / 2.0).collect();
    assert!(ratios.len() > 50, "{}", ratios.len());
    assert_even(&ratios, -1.5f64.ln(), 1.5f64.ln());
}

#[test]
fn blur_is_a_normal_distribution_of_up_to_its_width() {
    let x = Tensor::zeros([200, 1, 31, 31], (Kind::Float, Device::Cpu));
    let _ = x.narrow(2, 15, 1).narrow(3, 15, 1).fill_(1.0);
    let indices: Vec<usize> = (0..200).collect();
    let blurred = apply(&[Augment::Blur { max_sigma_px: 3.0 }], x, &indices, 1, 0);
    let mut widths = Vec::new();
    for image in 0..200 {
        let at = |right: i64, down: i64| blurred.double_value(&[image, 0, 15 + down, 15 + right]);
        let near = at(1, 0) / at(0, 0);
        // Below, the neighbours' share is lost among numbers of single precision.
        let sigma = if near > 1e-6 {
            (-0.5 / near.ln()).sqrt()
        } else {
            0.0
        };
        widths.push(sigma);
        let reach = if sigma > 0.0 {
            (2.5 * sigma) as i64
        } else {
            -1
        };
        for right in 0..=reach {
            for down in 0..=reach {
                let far = (right * right + down * down) as f64;
                let expected = at(0, 0) * (-0.5 * far / sigma.powi(2)).exp();
                for found in [at(right, down), at(-right, down), at(right, -down)] {
                    assert!((found - expected).abs() < 1e-5, "{sigma}: {right}, {down}");
                }
            }
        }
        let sum = blurred.get(image).sum(Kind::Double).double_value(&[]);
        assert!((sum - 1.0).abs() < 1e-5, "{sigma}: {sum}");
    }
    let wide: Vec<f64> = widths.into_iter().filter(|sigma| *sigma > 0.3).collect();
    assert_even(&wide, 0.3, 3.0);
}

#[test]
fn color_jitter_draws_brightness_contrast_and_saturation_apart() {
    let kind = |brightness, contrast, saturation, hue| Augment::ColorJitter {
        brightness,
        contrast,
        saturation,
        hue,
    };
    let x = noise_image(1) * 0.5 + 0.1;
    let found = factors(kind(0.4, 0.0, 0.0, 0.0), &x, |x, factor| x * factor);
    assert_even(&found, 0.6, 1.4);
    let about_mean =
        |x: &Tensor, factor: f64| (x - x.mean(Kind::Float)) * factor + x.mean(Kind::Float);
    let found = factors(kind(0.0, 0.4, 0.0, 0.0), &x, about_mean);
    assert_even(&found, 0.6, 1.4);
    // Three colours, none of which leaves the range.
    let x = noise_image(3).view([1, 3, HEIGHT, WIDTH]) * 0.2 + 0.4;
    let luma = |x: &Tensor| {
        let weights = Tensor::from_slice(&[0.213f32, 0.715, 0.072]).view([1, 3, 1, 1]);
        (x * weights).sum_dim_intlist(&[1i64][..], true, Kind::Float)
    };
    let indices: Vec<usize> = (0..200).collect();
    let many = x.expand([200, 3, HEIGHT, WIDTH], false).copy();
    let paler = apply(&[kind(0.0, 0.0, 0.5, 0.0)], many.copy(), &indices, 1, 0);
    let distance = |x: &Tensor| (x - luma(x)).abs().mean(Kind::Double).double_value(&[]);
    let mut saturations = Vec::new();
    for image in 0..200 {
        let own = paler.narrow(0, image, 1);
        let factor = distance(&own) / distance(&x);
        let expected = luma(&x) + (&x - luma(&x)) * factor;
        assert!(
            (&own - expected).abs().max().double_value(&[]) < 1e-6,
            "{factor}"
        );
        saturations.push(factor);
    }
    assert_even(&saturations, 0.5, 1.5);
    let turned = apply(&[kind(0.0, 0.0, 0.0, 90.0)], many.copy(), &indices, 1, 0);
    assert!(
        (luma(&turned) - luma(&many)).abs().max().double_value(&[]) < 1e-3,
        "W3C rounds to thousandths"
    );
    assert!((&turned - &many).abs().max().double_value(&[]) > 0.1);
    // Grey has no hue and no saturation.
    let grey = x
        .narrow(1, 0, 1)
        .expand([1, 3, HEIGHT, WIDTH], false)
        .copy();
    let same = apply(&[kind(0.0, 0.0, 0.5, 90.0)], grey.copy(), &[3], 1, 0);
    assert!((same - grey).abs().max().double_value(&[]) < 1e-6);
}

/// The factor by which each of 200 images was changed, once it is known that all its pixels were changed by it.
fn factors(augment: Augment, x: &Tensor, change: impl Fn(&Tensor, f64) -> Tensor) -> Vec<f64> {
    let indices: Vec<usize> = (0..200).collect();
    let changed = apply(
        &[augment],
        x.expand([200, -1, -1, -1], false).copy(),
        &indices,
        1,
        0,
    );
    let spread = |x: &Tensor| x.max().double_value(&[]) - x.min().double_value(&[]);
    (0..200)
        .map(|image| {
            let changed = changed.narrow(0, image, 1);
            let factor = spread(&changed) / spread(x);
            let far = (change(x, factor) - changed).abs().max().double_value(&[]);
            assert!(far < 1e-6, "image {image}: {far}");
            factor
        })
        .collect()
}

/// `torchvision.transforms.functional.adjust_brightness`: `(factor * x).clamp(0, 1)`.
#[test]
fn brightness_multiplies_all_pixels_by_one_factor() {
    let augment = Augment::Brightness { max: 0.4 };
    let found = factors(augment.clone(), &(noise_image(1) * 0.7), |x, factor| {
        x * factor
    });
    assert_even(&found, 0.6, 1.4);
    // What would be brighter than white is white.
    let white = apply(
        &[augment],
        Tensor::ones([200, 1, 2, 2], (Kind::Float, Device::Cpu)),
        &(0..200).collect::<Vec<_>>(),
        1,
        0,
    );
    for (image, factor) in found.into_iter().enumerate() {
        let pixel = white.double_value(&[image as i64, 0, 1, 1]);
        assert!((pixel - factor.min(1.0)).abs() < 1e-6);
    }
}

/// `torchvision.transforms.functional.adjust_contrast` of a gray image:
/// `(factor * x + (1 - factor) * x.mean()).clamp(0, 1)`.
#[test]
fn contrast_scales_the_distance_from_the_mean() {
    let x = noise_image(1) * 0.6 + 0.2;
    let found = factors(Augment::Contrast { max: 0.5 }, &x, |x, factor| {
        x * factor + x.mean(None) * (1.0 - factor)
    });
    assert_even(&found, 0.5, 1.5);
}

#[test]
fn noise_is_normal_with_the_given_standard_deviation() {
    let shape = [16, 3, HEIGHT, WIDTH];
    let x = Tensor::full(shape, 0.5, (Kind::Float, Device::Cpu));
    let indices: Vec<usize> = (0..16).collect();
    let noise = (apply(&[Augment::Noise { std: 0.08 }], x, &indices, 1, 0) - 0.5) / 0.08;
    let count = noise.numel() as f64;
    let mean = |x: Tensor| x.mean(Kind::Double).double_value(&[]);
    // Moments of the standard normal distribution, each with four of its standard errors.
    for (power, moment, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
    {
        let found = mean(noise.pow_tensor_scalar(power));
        let far = 4.0 * (variance / count).sqrt();
        assert!((found - moment).abs() < far, "moment {power}: {found}");
    }
    // No two neighbours, channels or images have it in common.
    for dim in 0..4 {
        let length = noise.size()[dim as usize] - 1;
        let product = mean(noise.narrow(dim, 0, length) * noise.narrow(dim, 1, length));
        assert!(
            product.abs() < 4.0 / (count * 0.9).sqrt(),
            "along {dim}: {product}"
        );
    }
}

#[test]
fn erase_paints_one_rectangle_with_the_mean() {
    const MAX_AREA: f64 = 0.25;
    let x = Tensor::cat(&[noise_image(1), noise_image(1).square()], 1);
    let indices: Vec<usize> = (0..400).collect();
    let erased = |p: f64| {
        let augment = Augment::Erase {
            p,
            max_area: MAX_AREA,
        };
        let many = x.expand([400, 2, HEIGHT, WIDTH], false).copy();
        let changed = apply(&[augment], many, &indices, 1, 0);
        (0..400)
            .map(|image| rectangle(&x.get(0), &changed.get(image)))
            .collect::<Vec<_>>()
    };
    assert!(erased(0.0).iter().all(Option::is_none));
    let found: Vec<[i64; 2]> = erased(1.0).into_iter().flatten().collect();
    for [height, width] in &found {
        // A pixel is painted if its middle lies inside, so a side may be one pixel longer than it should be.
        let least = ((height - 1) * (width - 1)) as f64;
        assert!(
            least <= MAX_AREA * (HEIGHT * WIDTH) as f64,
            "{height} x {width}"
        );
        let shares = [*height as f64 / HEIGHT as f64, *width as f64 / WIDTH as f64];
        assert!(shares[0] <= 0.5f64.sqrt() + 0.05 && shares[1] <= 0.5f64.sqrt() + 0.05);
    }
    let area: i64 = found.iter().map(|[height, width]| height * width).sum();
    let mean = area as f64 / (400 * HEIGHT * WIDTH) as f64;
    // Even in 0..MAX_AREA, with four standard errors.
    let far = 4.0 * MAX_AREA / (12.0 * 400.0f64).sqrt();
    assert!((mean - MAX_AREA / 2.0).abs() < far, "{mean}");
    // Four standard deviations of a binomial of 400 at 0.3; a few rectangles are smaller than a pixel.
    let some = erased(0.3).iter().flatten().count() as i64;
    assert!((some - 120).abs() < 37, "{some}");
}

/// Height and width of what was painted over in `[C, H, W]`, which must be one rectangle in the mean of its channel.
fn rectangle(before: &Tensor, after: &Tensor) -> Option<[i64; 2]> {
    let painted = (after - before).abs().gt(1e-5).any_dim(0, false); // [H, W]
    let places = painted.nonzero(); // [N, 2]
    let count = places.size()[0];
    if count == 0 {
        return None;
    }
    let sides = places.amax([0i64], false) - places.amin([0i64], false) + 1;
    let [height, width] = [0, 1].map(|axis| sides.int64_value(&[axis]));
    assert_eq!(count, height * width, "it is no rectangle");
    let mean = before.mean_dim([1i64, 2].as_slice(), true, None);
    let far = ((after - mean) * painted).abs().max().double_value(&[]);
    assert!(far < 1e-6, "it is painted otherwise: {far}");
    Some([height, width])
}
