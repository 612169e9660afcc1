//! What each kind of `data.augment` does to a known image (`places`, `levels`, `batches`), that chance is a matter of (seed,
//! epoch, image), and that runs resume exactly under each.

mod batches;
mod levels;
mod places;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use signet::config::Experiment;
use signet::config::data::Augment;
use signet::config::document::Document;
use signet::data::augment;
use signet::data::sampler::{Sample, once};
use support::Workshop;
use tch::{Device, Kind, Tensor};

const HEIGHT: i64 = 20;
const WIDTH: i64 = 28;

/// Every kind with the test of its effect. A kind that the experiment file knows and this list does not is an error.
const EFFECTS: [(&str, fn()); 15] = [
    (
        "shift",
        places::shift_moves_all_pixels_by_the_same_distance_up_to_its_bound,
    ),
    (
        "rotate",
        places::rotate_turns_about_the_centre_by_up_to_its_bound,
    ),
    ("scale", places::scale_grows_or_shrinks_about_the_centre),
    (
        "flip_horizontal",
        places::flip_horizontal_mirrors_the_columns,
    ),
    ("flip_vertical", places::flip_vertical_mirrors_the_rows),
    (
        "random_resized_crop",
        places::random_resized_crop_takes_a_part_of_an_area_and_ratio_within_bounds,
    ),
    (
        "blur",
        levels::blur_is_a_normal_distribution_of_up_to_its_width,
    ),
    (
        "color_jitter",
        levels::color_jitter_draws_brightness_contrast_and_saturation_apart,
    ),
    (
        "trivial_augment",
        levels::trivial_augment_draws_one_of_fourteen_changes_at_one_of_31_strengths,
    ),
    (
        "brightness",
        levels::brightness_multiplies_all_pixels_by_one_factor,
    ),
    (
        "contrast",
        levels::contrast_scales_the_distance_from_the_mean,
    ),
    (
        "noise",
        levels::noise_is_normal_with_the_given_standard_deviation,
    ),
    ("erase", levels::erase_paints_one_rectangle_with_the_mean),
    ("mixup", batches::mixup_lets_the_next_image_show_through),
    (
        "cutmix",
        batches::cutmix_puts_a_rectangle_of_the_next_image_in,
    ),
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

/// Those that change an image for itself, and not with others of its batch.
fn kinds_of_an_image() -> Vec<String> {
    let mut kinds = kinds();
    kinds.retain(|kind| !["mixup", "cutmix"].contains(&kind.as_str()));
    kinds
}

#[test]
fn every_kind_has_a_test_of_its_effect() {
    let tested: Vec<&str> = EFFECTS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds(), tested);
}

#[test]
fn an_image_that_an_epoch_meets_again_is_changed_anew_and_the_same_each_time() {
    let x = noise_image(1);
    for kind in kinds_of_an_image() {
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
    for kind in kinds_of_an_image() {
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
    for kind in kinds_of_an_image() {
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

/// Pixels are single precision in 0..1, then as many times larger as an image is wide.
const CLOSE: f64 = 1e-5 * WIDTH as f64;

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
fn runs_resume_exactly_from_the_middle_of_an_epoch_under_each_kind() {
    let workshop = Workshop::small(20);
    for kind in kinds() {
        let augment = format!("[{{kind: {kind}}}]");
        let run = |name: &str| {
            let run = workshop
                .run(&format!("{kind}-{name}"))
                .set("data.augment", &augment);
            let run = run.set("data.image.channels", "rgb").set("train.epochs", 2);
            let run = run
                .set("checkpoint.every", "1 step")
                .set("checkpoint.keep_last", 100);
            run.set("export.on_finish", false).train();
        };
        run("straight");
        run("killed");
        let (straight, killed) = (format!("{kind}-straight"), format!("{kind}-killed"));
        // Three steps an epoch: 8 images, 8 and 8.
        for step in 2..=6 {
            let file = format!("{killed}/checkpoints/step-{step:08}.safetensors");
            std::fs::remove_file(workshop.path(&file)).unwrap();
        }
        workshop.signet(&["resume", &killed]);
        for file in ["metrics.jsonl", "samples.jsonl", "last.json", "best.json"] {
            let of = |run: &str| workshop.text(&format!("{run}/{file}"));
            assert_eq!(of(&straight), of(&killed), "{kind}: {file}");
        }
        let plain = workshop.json(&format!("{straight}/last.json"))["weights_sha256"].clone();
        workshop.signet(&["resume", &straight, "--prove"]);
        assert!(plain.is_string());
    }
}
