//! Changes of images together with the next one of their batch: mixup and cutmix.

use signet::data::augment::mix::{self, Mix};

use super::*;

/// Images of one level each, a hundredth of their number in the batch, in bytes' place.
fn levels(images: usize) -> Tensor {
    let levels: Vec<f32> = (0..images).map(|image| image as f32 / 1000.0).collect();
    let images = Tensor::from_slice(&levels).view([-1, 1, 1, 1]);
    images.expand([-1, 2, HEIGHT, WIDTH], false).copy()
}

fn draw(augment: &[Augment], images: usize, epoch: usize) -> Vec<Mix> {
    let samples = once(&(100..100 + images).collect::<Vec<_>>());
    mix::draw(augment, &samples, [HEIGHT, WIDTH], 5, epoch).expect("they mix")
}

#[test]
pub(super) fn mixup_lets_the_next_image_show_through() {
    const IMAGES: usize = 1000;
    let augment = [Augment::Mixup {
        alpha: 0.4,
        p: 0.75,
    }];
    let mixes = draw(&augment, IMAGES, 1);
    let changed = mix::apply(&levels(IMAGES), &mixes);
    for (image, mix) in mixes.iter().enumerate() {
        let (own, next) = (image as f64, ((image + 1) % IMAGES) as f64);
        let expected = (mix.share * own + (1.0 - mix.share) * next) / 1000.0;
        let far = (changed.get(image as i64) - expected)
            .abs()
            .max()
            .double_value(&[]);
        // float32 of numbers below 1.
        assert!(far < 2e-7, "image {image}: {far}");
    }
    let alone = mixes.iter().filter(|mix| mix.share == 1.0).count();
    // Four standard deviations of a binomial of 1000 at a quarter.
    assert!(alone.abs_diff(250) < 55, "{alone}");
    // scipy.stats.beta(0.4, 0.4).cdf(0.2) = 0.322536
    let mixed: Vec<f64> = mixes
        .iter()
        .map(|mix| mix.share)
        .filter(|share| *share < 1.0)
        .collect();
    let low = mixed.iter().filter(|share| **share < 0.2).count() as f64 / mixed.len() as f64;
    assert!(
        (low - 0.322536).abs() < 4.0 * (0.25 / mixed.len() as f64).sqrt(),
        "{low}"
    );
}

#[test]
pub(super) fn cutmix_puts_a_rectangle_of_the_next_image_in() {
    const IMAGES: usize = 400;
    let augment = [Augment::Cutmix { alpha: 1.0, p: 0.8 }];
    let mixes = draw(&augment, IMAGES, 1);
    let before = levels(IMAGES);
    let changed = mix::apply(&before, &mixes);
    let mut shares = Vec::new();
    for (image, mix) in mixes.iter().enumerate() {
        let image = image as i64;
        let (own, next) = (before.get(image), before.get((image + 1) % IMAGES as i64));
        let pixels = changed.get(image);
        let from_next = pixels.eq_tensor(&next).get(0);
        assert!(
            pixels
                .where_self(&from_next.logical_not(), &own)
                .equal(&own),
            "a pixel of neither"
        );
        let places = from_next.nonzero();
        let count = places.size()[0];
        let share = 1.0 - count as f64 / (HEIGHT * WIDTH) as f64;
        assert!(
            (share - mix.share).abs() < 1e-12,
            "{share} is not {}",
            mix.share
        );
        if count > 0 {
            let sides = places.amax([0i64], false) - places.amin([0i64], false) + 1;
            assert_eq!(
                count,
                sides.int64_value(&[0]) * sides.int64_value(&[1]),
                "it is no rectangle"
            );
            shares.push(share);
        }
    }
    // Rectangles of half a pixel and less are none.
    assert!((270..340).contains(&shares.len()), "{}", shares.len());
    assert!(
        shares.iter().copied().fold(1.0, f64::min) < 0.4,
        "some leave little"
    );
}

#[test]
fn of_mixup_and_cutmix_an_image_is_changed_by_one() {
    let augment = read("{kind: cutmix, p: 1}, {kind: mixup}").unwrap();
    let mixes = draw(&augment, 1000, 1);
    let changed = mix::apply(&levels(1000), &mixes);
    let levels = (changed.flatten(1, -1).amax([1i64], false)
        - changed.flatten(1, -1).amin([1i64], false))
    .gt(1e-6);
    let of_two = levels.sum(Kind::Int64).int64_value(&[]);
    // Half of them are cut, of which a tenth has a rectangle of nothing or of everything.
    assert!((380..520).contains(&of_two), "{of_two}");
}

#[test]
fn mixing_depends_on_seed_epoch_and_image_alone() {
    let augment = read("{kind: cutmix, p: 1}, {kind: mixup}").unwrap();
    let all = draw(&augment, 20, 1);
    assert_eq!(draw(&augment, 12, 1)[..], all[..12]);
    assert_ne!(draw(&augment, 20, 2), all);
    let again = [Sample {
        image: 100,
        again: 1,
    }];
    let again = mix::draw(&augment, &again, [HEIGHT, WIDTH], 5, 1).unwrap();
    assert_ne!(again[0], all[0]);
    assert_eq!(
        mix::draw(&read("{kind: shift}").unwrap(), &once(&[1]), [4, 4], 1, 1),
        None
    );
}
