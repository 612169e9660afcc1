//! `data.image` and `data.normalize`: the shape of an image and the scale of its pixels.

use serde::Serialize;

use crate::config::declare::keys;
use crate::config::entry::Entry;
use crate::config::key::{Rule, Shape};
use crate::config::section::Section;
use crate::config::setting::words;

keys! {
    /// The shape of an image as the model sees it.
    #[derive(Copy)]
    ImageConfig {
        /// Size from top to bottom.
        height: usize [= 64, within(1, 4096)] unit "px",
        /// Size from left to right.
        width: usize [= 64, within(1, 4096)] unit "px",
        /// Colour or grey.
        channels: Channels [= Channels::Gray],
        /// What happens before resizing.
        preprocess: Preprocess [= Preprocess::Plain],
    }
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
}

/// How pixels are shifted and scaled: x becomes (x - mean) / std per channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Normalize {
    /// By name, without settings.
    Named(NamedNormalize),
    /// As given.
    Fixed(FixedNormalize),
}

keys! {
    /// Means and standard deviations as given, one per channel, for pixels in 0..1.
    FixedNormalize(channels: usize) {
        /// Subtracted from each pixel of the channel.
        mean: Vec<f64> [= vec![0.0; channels]],
        /// What each pixel is divided by after that.
        std: Vec<f64> [= vec![1.0; channels], ABOVE_ZERO],
    }
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
    pub(super) fn shape() -> Shape {
        let named = <NamedNormalize as Entry>::shape(Rule::Any);
        Shape::Either(
            Box::new(named),
            Box::new(Shape::Section("FixedNormalize", || {
                FixedNormalize::declared(1)
            })),
        )
    }

    /// For images of so many `channels`.
    pub(super) fn read(section: &mut Section, channels: usize) -> Normalize {
        let slot = section.slot("normalize");
        if !slot.holds_section() {
            let named = Entry::read(slot, Rule::Any);
            return Normalize::Named(named.unwrap_or(NamedNormalize::TrainStats));
        }
        let mut given = slot.section();
        let fixed = FixedNormalize::of(&mut given, channels);
        for (key, list) in [("mean", &fixed.mean), ("std", &fixed.std)] {
            if list.len() != channels {
                let message = format!("one number per channel ({channels}), found {}", list.len());
                given.wrong(key, message);
            }
        }
        Normalize::Fixed(fixed)
    }
}
