//! `data.image` and `data.normalize`: the shape of an image and the scale of its pixels.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

use crate::config::declare::keys;
use crate::config::entry::Entry;
use crate::config::key::{Rule, Shape};
use crate::config::section::Section;
use crate::config::setting::{Setting, describe, words};

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
        /// What becomes of an image of another aspect ratio.
        fit: Fit [= Fit::Squeeze] since "0.3",
        /// What is seen behind transparent pixels, and beside padded images; none takes their colours as if they were opaque, as signet 0.2 did.
        background: Background [= Background::BLACK] resume Free since "0.3",
        /// Whether large JPEG files are decoded in part: as Pillow's `draft` does, to a half, a quarter or an eighth of their width
        /// and height, as long as that is twice what is wanted or more. Other pixels, in a third of the time.
        decode: Decode [= Decode::Full] since "0.3",
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
    /// What becomes of an image of another aspect ratio.
    Fit {
        /// It is made as wide and as high as wanted.
        Squeeze = "squeeze",
        /// As much of its middle as has that ratio (Pillow's `ImageOps.fit`).
        Crop = "crop",
        /// All of it, in the middle of the background (Pillow's `ImageOps.pad`).
        Pad = "pad",
    }
}

words! {
    /// How much of a JPEG file is decoded.
    Decode {
        /// All of it.
        Full = "full",
        /// As much as a smaller image needs.
        Scaled = "scaled",
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

/// What is seen behind transparent pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// Red, green, blue.
    Color([u8; 3]),
    /// Nothing: opacity does not count.
    None,
}

impl Background {
    /// What is taken if nobody says.
    pub const BLACK: Background = Background::Color([0; 3]);

    /// The colours that have names.
    const NAMED: [(&str, Background); 3] = [
        ("black", Background::BLACK),
        ("white", Background::Color([255; 3])),
        ("none", Background::None),
    ];
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (
            Background::NAMED.iter().find(|(_, known)| known == self),
            self,
        ) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Background::Color([red, green, blue])) => {
                write!(f, "#{red:02x}{green:02x}{blue:02x}")
            }
            (None, Background::None) => f.write_str("none"),
        }
    }
}

impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Setting for Background {
    fn shape(_: Rule) -> Shape {
        Shape::Form("black, white, #rrggbb or none", &["black", "white", "none"])
    }

    fn read(value: &Value) -> Result<Background, String> {
        let text = value.as_str().unwrap_or_default();
        let named = Background::NAMED.iter().find(|(name, _)| *name == text);
        let level = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let digits = text.len() == 7 && text.starts_with('#') && !text.contains('+');
        match (named, [level(1), level(3), level(5)]) {
            (Some((_, known)), _) => Ok(*known),
            (None, [Some(red), Some(green), Some(blue)]) if digits => {
                Ok(Background::Color([red, green, blue]))
            }
            _ => Err(format!(
                "expected black, white, \"#rrggbb\" or none, found {}",
                describe(value)
            )),
        }
    }
}

impl ImageConfig {
    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        [self.depth(), self.height, self.width]
    }

    /// The bytes of a prepared image.
    pub fn bytes(&self) -> usize {
        self.shape().iter().product()
    }

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
