//! `data.image` and `data.normalize`: the shape of an image and the scale of its pixels.

use serde::Serialize;

use crate::config::section::Section;
use crate::config::setting::{above_zero, words};

/// The shape of an image as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ImageConfig {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Colour or grey.
    pub channels: Channels,
    /// What happens before resizing.
    pub preprocess: Preprocess,
}

words! {
    /// Colour or grey.
    Channels {
        /// One channel: luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
        Gray = "gray",
        /// Red, green, blue; gray files are repeated.
        Rgb = "rgb",
    }
}

words! {
    /// What happens to an image between decoding and resizing.
    Preprocess {
        /// Pixels as they are decoded.
        Plain = "plain",
        /// Its own darkest pixel becomes 0 and its brightest 255, as in the Kaggle file.
        Stretch = "stretch",
    }
}

impl ImageConfig {
    /// The number of channels.
    pub fn depth(&self) -> usize {
        match self.channels {
            Channels::Gray => 1,
            Channels::Rgb => 3,
        }
    }

    pub(super) fn read(mut section: Section) -> ImageConfig {
        let side = |side: &usize| match side {
            1..=4096 => Ok(()),
            _ => Err("1 to 4096 pixels".to_owned()),
        };
        ImageConfig {
            height: section.get_if("height", 64, side),
            width: section.get_if("width", 64, side),
            channels: section.get("channels", Channels::Gray),
            preprocess: section.get("preprocess", Preprocess::Plain),
        }
    }
}

/// How pixels are shifted and scaled: x becomes (x - mean) / std per channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Normalize {
    /// By name, without settings.
    Named(NamedNormalize),
    /// Means and standard deviations as given, one per channel, for pixels in 0..1.
    Fixed {
        /// Subtracted from each pixel of the channel.
        mean: Vec<f64>,
        /// What each pixel is divided by after that, above 0.
        std: Vec<f64>,
    },
}

words! {
    /// Normalisations without settings.
    NamedNormalize {
        /// Mean and standard deviation of the training part.
        TrainStats = "train_stats",
        /// Pixels stay in 0..1.
        Unit = "unit",
    }
}

impl Normalize {
    pub(super) fn read(section: &mut Section, channels: usize) -> Normalize {
        if !section.holds_section("normalize") {
            return Normalize::Named(section.get("normalize", NamedNormalize::TrainStats));
        }
        let mut given = section.section("normalize");
        let mean = given
            .values_if("mean", |_: &f64| Ok(()))
            .unwrap_or(vec![0.0; channels]);
        let std = given
            .values_if("std", above_zero)
            .unwrap_or(vec![1.0; channels]);
        for (key, list) in [("mean", &mean), ("std", &std)] {
            if list.len() != channels {
                given.wrong(
                    key,
                    format!("one number per channel ({channels}), found {}", list.len()),
                );
            }
        }
        Normalize::Fixed { mean, std }
    }
}
