//! Changes of levels: blur, brightness, contrast, colour, noise, erasing, and TrivialAugment.

use super::*;

#[test]
pub(super) fn blur_is_a_normal_distribution_of_up_to_its_width() {
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
pub(super) fn color_jitter_draws_brightness_contrast_and_saturation_apart() {
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
pub(super) fn brightness_multiplies_all_pixels_by_one_factor() {
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
pub(super) fn contrast_scales_the_distance_from_the_mean() {
    let x = noise_image(1) * 0.6 + 0.2;
    let found = factors(Augment::Contrast { max: 0.5 }, &x, |x, factor| {
        x * factor + x.mean(None) * (1.0 - factor)
    });
    assert_even(&found, 0.5, 1.5);
}

#[test]
pub(super) fn noise_is_normal_with_the_given_standard_deviation() {
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
pub(super) fn erase_paints_one_rectangle_with_the_mean() {
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

/// The image is noise in grey, of 51 levels about the middle.
#[test]
pub(super) fn trivial_augment_draws_one_of_fourteen_changes_at_one_of_31_strengths() {
    const IMAGES: i64 = 3000;
    let noise = (noise_image(1) * 51.0).floor() / 255.0 + 0.4;
    let many = noise.expand([IMAGES, 1, HEIGHT, WIDTH], false).copy();
    let indices: Vec<usize> = (0..IMAGES as usize).collect();
    let changed = apply(&[Augment::TrivialAugment {}], many.copy(), &indices, 1, 0);
    let share = |of: Tensor| of.to_kind(Kind::Double).mean(None).double_value(&[]);
    let flat = |x: &Tensor| x.flatten(1, -1);
    let far = flat(&(&changed - &many).abs()).amax([1i64], false);
    // Nothing changes by nothing and by saturation, by the first strength of eight others, the first three of posterizing,
    // which keep all bits, and the first thirteen of solarizing, whose thresholds lie above 0.6.
    let (unchanged, expected) = (
        share(far.lt(1e-6)),
        (2.0 + (8.0 + 3.0 + 13.0) / 31.0) / 14.0,
    );
    // Four standard errors of a share: 4 sqrt(p (1 - p) / n).
    let near = |found: f64, expected: f64| {
        (found - expected).abs() < 4.0 * (expected * (1.0 - expected) / IMAGES as f64).sqrt()
    };
    assert!(near(unchanged, expected), "{unchanged} is not {expected}");
    // Stretched from 0 to 1 by autocontrast and by equalizing.
    let (low, high) = (
        flat(&changed).amin([1i64], false),
        flat(&changed).amax([1i64], false),
    );
    let stretched = share(low.lt(0.05).logical_and(&high.gt(0.95)));
    assert!(near(stretched, 2.0 / 14.0), "{stretched}");
    let sums: std::collections::BTreeSet<i64> = (0..IMAGES)
        .map(|image| (changed.get(image).sum(Kind::Double).double_value(&[]) * 1e4) as i64)
        .collect();
    // Five moves and brightness either way at 30 strengths each, and few more that change the sum.
    assert!((330..480).contains(&sums.len()), "{}", sums.len());
}
