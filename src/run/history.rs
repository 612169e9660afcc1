//! What the epochs made of each image, from `samples.jsonl`: which images are learned, forgotten, or always wrong.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result};

use super::logs::SAMPLES;
use super::samples::SampleRecord;
use crate::data::split::Part;

/// One image over the epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageHistory {
    /// Name of the image within its source.
    pub image: String,
    /// The class it shows.
    pub label: String,
    /// Whether it was recognised, epoch by epoch.
    pub right: Vec<bool>,
    /// Probability of its class after the last epoch, 0 to 1.
    pub probability: f64,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Course {
    /// Wrong in every epoch.
    AlwaysWrong,
    /// Right once, and wrong after the last epoch.
    Forgotten,
    /// Right after the last epoch, and wrong again after it had been right.
    Unsteady,
    /// Wrong at first, and right ever since.
    Learned,
    /// Right in every epoch.
    AlwaysRight,
}

impl Course {
    /// All of them, what deserves a look first.
    pub const ALL: [Course; 5] = [
        Course::AlwaysWrong,
        Course::Forgotten,
        Course::Unsteady,
        Course::Learned,
        Course::AlwaysRight,
    ];

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Course::AlwaysWrong => "always wrong",
            Course::Forgotten => "forgotten",
            Course::Unsteady => "unsteady",
            Course::Learned => "learned",
            Course::AlwaysRight => "always right",
        }
    }
}

impl ImageHistory {
    /// What became of it.
    pub fn course(&self) -> Course {
        let ends_right = self.right.last() == Some(&true);
        let lost = self.right.windows(2).any(|pair| pair == [true, false]);
        match (self.right.contains(&true), ends_right) {
            (false, _) => Course::AlwaysWrong,
            (true, false) => Course::Forgotten,
            (true, true) if lost => Course::Unsteady,
            (true, true) if self.right.contains(&false) => Course::Learned,
            (true, true) => Course::AlwaysRight,
        }
    }
}

/// The lines of one epoch, and the courses of all images over the epochs.
#[derive(Debug, Default)]
pub struct History {
    /// The epochs that the file tells of, in order.
    pub epochs: Vec<usize>,
    /// The images of the part, in the order of the data.
    pub images: Vec<ImageHistory>,
    /// What the epoch that was asked for made of each image.
    pub records: Vec<SampleRecord>,
}

impl History {
    /// Of `part` of the run in `folder` up to the epoch `until`, with the lines of `epoch` (of the last one, if none is given).
    /// What follows, of an epoch under way, is passed over, as is a line that a killed process left unfinished. Nothing in the
    /// file gives an empty history.
    ///
    /// # Errors
    /// A file that cannot be read, or lines that are not signet's.
    pub fn read(folder: &Path, part: Part, until: usize, epoch: Option<usize>) -> Result<History> {
        let path = folder.join(SAMPLES);
        let place = || format!("cannot read {}", path.display());
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(History::default()),
            file => file.with_context(place)?,
        };
        let mut history = History::default();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut file = BufReader::new(file);
        let mut line = String::new();
        while file.read_line(&mut line).with_context(place)? > 0 && line.ends_with('\n') {
            let record: SampleRecord = serde_json::from_str(&line).with_context(place)?;
            line.clear();
            if record.epoch > until {
                break;
            }
            if record.part != part {
                continue;
            }
            if history.epochs.last() != Some(&record.epoch) {
                history.epochs.push(record.epoch);
                if epoch.is_none() {
                    history.records.clear();
                }
            }
            let images = &mut history.images;
            let next = images.len();
            let at = *places.entry(record.image.clone()).or_insert(next);
            if at == next {
                images.push(ImageHistory {
                    image: record.image.clone(),
                    label: record.label.clone(),
                    right: Vec::new(),
                    probability: 0.0,
                });
            }
            images[at].right.push(record.predicted == record.label);
            images[at].probability = record.probability;
            if epoch.is_none_or(|epoch| epoch == record.epoch) {
                history.records.push(record);
            }
        }
        Ok(history)
    }

    /// How many images took each course.
    pub fn counts(&self) -> [(Course, usize); 5] {
        Course::ALL.map(|course| {
            let own = self.images.iter().filter(|image| image.course() == course);
            (course, own.count())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_says_how_an_image_ended_and_how_it_got_there() {
        let cases = [
            ("---", Course::AlwaysWrong),
            ("+++", Course::AlwaysRight),
            ("-++", Course::Learned),
            ("+-+", Course::Unsteady),
            ("-+-", Course::Forgotten),
            ("+-+-", Course::Forgotten),
            ("-", Course::AlwaysWrong),
            ("+", Course::AlwaysRight),
        ];
        for (right, course) in cases {
            let image = ImageHistory {
                image: String::new(),
                label: String::new(),
                right: right.chars().map(|mark| mark == '+').collect(),
                probability: 0.0,
            };
            assert_eq!(image.course(), course, "{right}");
        }
    }

    #[test]
    fn a_line_that_was_cut_is_passed_over_and_the_other_part_is_not_counted() {
        let scratch = tempfile::tempdir().unwrap();
        let line = |epoch, part, image: &str, predicted: &str| {
            let record = SampleRecord {
                epoch,
                part,
                image: image.to_owned(),
                label: "a".to_owned(),
                predicted: predicted.to_owned(),
                probability: 0.25,
                loss: 1.0,
            };
            serde_json::to_string(&record).unwrap() + "\n"
        };
        let text = [
            line(1, Part::Val, "x", "b"),
            line(1, Part::Train, "y", "a"),
            line(2, Part::Val, "x", "a"),
            "{\"epoch\":3".to_owned(),
        ];
        std::fs::write(scratch.path().join(SAMPLES), text.concat()).unwrap();
        let found = History::read(scratch.path(), Part::Val, 9, None).unwrap();
        assert_eq!(found.epochs, [1, 2]);
        assert_eq!(found.images.len(), 1);
        assert_eq!(found.images[0].right, [false, true]);
        assert_eq!(found.records[0].epoch, 2);
        let first = History::read(scratch.path(), Part::Val, 9, Some(1)).unwrap();
        assert_eq!(first.records[0].predicted, "b");
        let under_way = History::read(scratch.path(), Part::Val, 1, None).unwrap();
        assert_eq!((under_way.epochs, under_way.records.len()), (vec![1], 1));
        let nothing = History::read(&scratch.path().join("gone"), Part::Val, 9, None).unwrap();
        assert!(nothing.images.is_empty());
    }
}
