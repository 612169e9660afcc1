//! `data.augment`: random changes to training images.

use crate::config::declare::kinds;

kinds! {
    /// One random change to a training image.
    Augment {
        /// Moves by up to `max_px` pixels along both axes.
        "shift" Shift {
            /// Largest shift, each axis drawn from -max_px to max_px.
            max_px: f64 [= 4.0, at_least(0.0)] unit "px",
        },
        /// Turns by up to `max_degrees` either way.
        "rotate" Rotate {
            /// Largest angle, drawn from -max_degrees to max_degrees.
            max_degrees: f64 [= 10.0, within(0.0, 180.0)] unit "degrees",
        },
        /// Grows or shrinks by a factor in 1 - max .. 1 + max.
        "scale" Scale {
            /// Share of the size.
            max: f64 [= 0.1, below(0.0, 1.0)],
        },
        /// Mirrors left and right with probability `p`.
        "flip_horizontal" FlipHorizontal {
            /// Probability that an image is changed.
            p: f64 [= 0.5, within(0.0, 1.0)],
        },
        /// Mirrors top and bottom with probability `p`.
        "flip_vertical" FlipVertical {
            /// Probability that an image is changed.
            p: f64 [= 0.5, within(0.0, 1.0)],
        } since "0.3",
        /// Takes a part of the image, as large as the whole.
        "random_resized_crop" RandomResizedCrop {
            /// Smallest share of the image's area.
            min_area: f64 [= 0.25, within(0.01, 1.0)],
            /// The part is up to so many times as wide, or as high, as an image of that area would be.
            max_ratio: f64 [= 1.15, within(1.0, 10.0)],
        } since "0.3",
        /// Blurs by a normal distribution.
        "blur" Blur {
            /// Largest standard deviation, drawn from 0 to it.
            max_sigma_px: f64 [= 1.0, within(0.0, 16.0)] unit "px",
        } since "0.3",
        /// Changes contrast, brightness, saturation and hue, the latter two of images in colour.
        "color_jitter" ColorJitter {
            /// Share of the brightness, by which it grows or shrinks at most.
            brightness: f64 [= 0.2, within(0.0, 1.0)],
            /// Share of the contrast.
            contrast: f64 [= 0.2, within(0.0, 1.0)],
            /// Share of the saturation.
            saturation: f64 [= 0.2, within(0.0, 1.0)],
            /// Largest turn of the hue either way.
            hue: f64 [= 10.0, within(0.0, 180.0)] unit "degrees",
        } since "0.3",
        /// One of 14 changes, at a strength that is drawn, too: shearing, shifting, turning, brightness, saturation, contrast,
        /// sharpness, posterizing, solarizing, stretching or equalizing the levels, or nothing (Mueller and Hutter, 2021).
        "trivial_augment" TrivialAugment {} since "0.3",
        /// Multiplies all pixels by a factor in 1 - max .. 1 + max.
        "brightness" Brightness {
            /// Share of the brightness.
            max: f64 [= 0.2, within(0.0, 1.0)],
        },
        /// Spreads pixels around the image's mean by a factor in 1 - max .. 1 + max.
        "contrast" Contrast {
            /// Share of the contrast.
            max: f64 [= 0.2, within(0.0, 1.0)],
        },
        /// Adds normal noise to every pixel.
        "noise" Noise {
            /// Standard deviation, for pixels in 0..1.
            std: f64 [= 0.02, at_least(0.0)],
        },
        /// Paints a rectangle over with the image's mean, with probability `p`.
        "erase" Erase {
            /// Probability that an image is changed.
            p: f64 [= 0.5, within(0.0, 1.0)],
            /// Largest share of the image's area.
            max_area: f64 [= 0.2, within(0.0, 1.0)],
        },
        /// Shows through the next image of the batch, whose class the target becomes in part (Zhang et al., 2018). With cutmix, an
        /// image is changed by one of the two.
        "mixup" Mixup {
            /// The share of the image is drawn from Beta(alpha, alpha).
            alpha: f64 [= 0.2, within(0.05, 4)],
            /// Probability that an image is changed.
            p: f64 [= 1.0, within(0.0, 1.0)],
        } since "0.3",
        /// Puts a rectangle of the next image of the batch in, whose class the target becomes by its area (Yun et al., 2019).
        "cutmix" Cutmix {
            /// The share of the image that is left is drawn from Beta(alpha, alpha), before the edge cuts the rectangle.
            alpha: f64 [= 1.0, within(0.05, 4)],
            /// Probability that an image is changed.
            p: f64 [= 0.5, within(0.0, 1.0)],
        } since "0.3",
    }
}

impl Augment {
    /// Whether it changes an image for itself, and not with others of its batch.
    pub fn is_of_an_image(&self) -> bool {
        !matches!(self, Augment::Mixup { .. } | Augment::Cutmix { .. })
    }
}
