//! `data.augment`: random changes to training images.

use serde::Serialize;

use crate::config::section::Section;
use crate::config::setting::{at_least, below, between};

/// One random change to a training image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Augment {
    /// Moves by up to `max_px` pixels along both axes.
    Shift {
        /// Largest shift in pixels, each axis drawn from -max_px to max_px.
        max_px: f64,
    },
    /// Turns by up to `max_degrees` either way.
    Rotate {
        /// Largest angle in degrees, drawn from -max_degrees to max_degrees.
        max_degrees: f64,
    },
    /// Grows or shrinks by a factor in 1 - max .. 1 + max.
    Scale {
        /// Share of the size.
        max: f64,
    },
    /// Mirrors left and right with probability `p`.
    FlipHorizontal {
        /// Probability that an image is changed, 0 to 1.
        p: f64,
    },
    /// Multiplies all pixels by a factor in 1 - max .. 1 + max.
    Brightness {
        /// Share of the brightness.
        max: f64,
    },
    /// Spreads pixels around the image's mean by a factor in 1 - max .. 1 + max.
    Contrast {
        /// Share of the contrast.
        max: f64,
    },
    /// Adds normal noise to every pixel.
    Noise {
        /// Standard deviation, for pixels in 0..1.
        std: f64,
    },
    /// Paints a rectangle over with the image's mean, with probability `p`.
    Erase {
        /// Probability that an image is changed, 0 to 1.
        p: f64,
        /// Largest share of the image's area.
        max_area: f64,
    },
}

impl Augment {
    pub(super) fn read(mut section: Section) -> Option<Augment> {
        let kinds = [
            "shift",
            "rotate",
            "scale",
            "flip_horizontal",
            "brightness",
            "contrast",
            "noise",
            "erase",
        ];
        Some(match section.kind(&kinds, None)? {
            "shift" => Augment::Shift {
                max_px: section.get_if("max_px", 4.0, at_least(0.0)),
            },
            "rotate" => Augment::Rotate {
                max_degrees: section.get_if("max_degrees", 10.0, between(0.0, 180.0)),
            },
            "scale" => Augment::Scale {
                max: section.get_if("max", 0.1, below(0.0, 1.0)),
            },
            "flip_horizontal" => Augment::FlipHorizontal {
                p: section.get_if("p", 0.5, between(0.0, 1.0)),
            },
            "brightness" => Augment::Brightness {
                max: section.get_if("max", 0.2, between(0.0, 1.0)),
            },
            "contrast" => Augment::Contrast {
                max: section.get_if("max", 0.2, between(0.0, 1.0)),
            },
            "noise" => Augment::Noise {
                std: section.get_if("std", 0.02, at_least(0.0)),
            },
            _ => Augment::Erase {
                p: section.get_if("p", 0.5, between(0.0, 1.0)),
                max_area: section.get_if("max_area", 0.2, between(0.0, 1.0)),
            },
        })
    }
}
