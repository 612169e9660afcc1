//! TensorBoard event files: TFRecord frames around small protobuf messages.
//!
//! Formats: `tensorflow/core/lib/io/record_writer.h` and `lib/hash/crc32c.h` (frames, masked checksums);
//! `tensorflow/core/util/event.proto` and `framework/summary.proto` (messages and their field numbers).

use std::fs::File;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use crate::config::train::Metric;
use crate::disk::Folder;
use crate::train::metrics::EpochRecord;

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// `tensorflow.Event`. Of its `oneof what` we write the version of the file, or a summary.
#[derive(Clone, PartialEq, Message)]
struct EventProto {
    /// Seconds since 1970, in UTC.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<SummaryProto>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct SummaryProto {
    #[prost(message, repeated, tag = "1")]
    value: Vec<ValueProto>,
}

/// `tensorflow.Summary.Value`. Of its `oneof value` we write scalars.
#[derive(Clone, PartialEq, Message)]
struct ValueProto {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Whether a file of that name is one of these event files.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("events.out.tfevents.") && name.ends_with(".signet")
}

/// Bytes of the whole events at the start of `file`.
pub fn whole_events(file: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(length) = file[whole..].first_chunk() {
        const AROUND: usize = 16; // the length, its checksum, that of the event
        let frame = (u64::from_le_bytes(*length) as usize).saturating_add(AROUND);
        if frame > file.len() - whole {
            break;
        }
        whole += frame;
    }
    whole
}

/// An event file that is being written.
pub struct EventFile(File);

impl EventFile {
    /// Goes on in the event file of `folder`, or makes one.
    ///
    /// # Errors
    /// A file that cannot be made or written.
    pub fn open(folder: &Folder) -> Result<EventFile> {
        let names = folder.names()?;
        let mut own = names.iter().filter(|name| is_ours(&name.to_string_lossy()));
        if let Some(name) = own.next() {
            return Ok(EventFile(folder.append(name)?));
        }
        let name = format!("events.out.tfevents.{}.signet", seconds() as u64);
        let mut file = EventFile(folder.append(name)?);
        file.append(&EventProto {
            wall_time: seconds(),
            file_version: Some("brain.Event:2".to_owned()),
            ..EventProto::default()
        })?;
        Ok(file)
    }

    /// Adds the metrics of an epoch, at the optimiser steps taken by its end.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn write(&mut self, record: &EpochRecord) -> Result<()> {
        let of_metric = |metric: &Metric| {
            let tag = metric.word().replace('.', "/");
            Some((tag, record.get(*metric)?))
        };
        let mut scalars = vec![("lr".to_owned(), record.lr)];
        scalars.extend(Metric::ALL.iter().filter_map(of_metric));
        let value = |(tag, value): (String, f64)| ValueProto {
            tag,
            simple_value: Some(value as f32),
        };
        self.append(&EventProto {
            wall_time: seconds(),
            step: record.step as i64,
            summary: Some(SummaryProto {
                value: scalars.into_iter().map(value).collect(),
            }),
            ..EventProto::default()
        })
    }

    fn append(&mut self, event: &EventProto) -> Result<()> {
        let event = event.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        let frame = [&length, &masked(&length)[..], &event, &masked(&event)].concat();
        self.0
            .write_all(&frame)
            .context("cannot write the TensorBoard events")
    }
}

fn seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// `masked_crc32c`: turned right by 15 bits, plus a constant.
fn masked(data: &[u8]) -> [u8; 4] {
    CRC32C
        .checksum(data)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
        .to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::Metrics;

    #[test]
    fn an_event_file_holds_each_epoch_at_its_optimiser_step() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        let record = |epoch, val| EpochRecord {
            epoch,
            step: epoch * 37,
            lr: 0.5,
            train: Metrics {
                loss: 0.25,
                accuracy: 0.0,
                ..Metrics::default()
            },
            val,
        };
        let val = Metrics {
            loss: 2.0,
            accuracy: 0.75,
            ..Metrics::default()
        };
        for (epoch, val) in [(1, None), (2, Some(val))] {
            let mut file = EventFile::open(&folder).unwrap();
            file.write(&record(epoch, val)).unwrap();
        }
        let [name] = &folder.names().unwrap()[..] else {
            panic!("not one file");
        };
        let bytes = std::fs::read(scratch.path().join(name)).unwrap();
        // How event files by TensorFlow begin: the length of a version, 24, and its masked checksum.
        assert_eq!(bytes[..12], *b"\x18\0\0\0\0\0\0\0\xa3\x7fK\"");

        let mut events = frames(&bytes).map(|event| EventProto::decode(event).unwrap());
        let version = events.next().unwrap().file_version;
        assert_eq!(version.as_deref(), Some("brain.Event:2"));
        let scalars = |event: EventProto| {
            let values = event.summary.unwrap().value.into_iter();
            let values = values.map(|value| (value.tag, value.simple_value.unwrap()));
            (event.step, values.collect())
        };
        let found: Vec<(i64, Vec<(String, f32)>)> = events.map(scalars).collect();
        let named = |values: &[(&str, f32)]| -> Vec<(String, f32)> {
            let values = values.iter();
            values
                .map(|(tag, value)| ((*tag).to_owned(), *value))
                .collect()
        };
        let train = [("lr", 0.5), ("train/loss", 0.25), ("train/accuracy", 0.0)];
        let val = [("val/loss", 2.0), ("val/accuracy", 0.75)];
        assert_eq!(
            found,
            [
                (37, named(&train)),
                (74, named(&[&train[..], &val].concat()))
            ]
        );
    }

    /// The events of a file, whose frames must be whole and their checksums right.
    fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::from_fn(move || {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let (of_length, rest) = rest.split_first_chunk::<4>().unwrap();
            let (event, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            let (of_event, rest) = rest.split_first_chunk::<4>().unwrap();
            assert_eq!([*of_length, *of_event], [masked(length), masked(event)]);
            bytes = rest;
            Some(event)
        })
    }
}
