//! Event files: TFRecord frames around messages.
//!
//! Formats: `tensorflow/core/lib/io/record_writer.h` and `lib/hash/crc32c.h` (frames, masked checksums).

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use super::proto::{EventProto, SummaryProto, ValueProto};
use crate::disk::Folder;

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event file that is being written. Each event is written at once, so that a killed process leaves whole events and, at
/// most, half of one.
pub(super) struct EventFile(File);

impl EventFile {
    /// Goes on at the end of `name` in `folder`, or begins it.
    ///
    /// # Errors
    /// A file that cannot be made or written.
    pub fn open(folder: &Folder, name: impl AsRef<OsStr>) -> Result<EventFile> {
        let mut file = EventFile(folder.append(name)?);
        if file.0.metadata()?.len() == 0 {
            file.append(&EventProto {
                wall_time: seconds(),
                file_version: Some("brain.Event:2".to_owned()),
                ..EventProto::default()
            })?;
        }
        Ok(file)
    }

    /// Adds an event: what there is to show of a step.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn write(&mut self, step: usize, value: Vec<ValueProto>) -> Result<()> {
        self.append(&EventProto {
            wall_time: seconds(),
            step: step as i64,
            summary: Some(SummaryProto { value }),
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

/// Seconds since 1970, in UTC.
pub(super) fn seconds() -> f64 {
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

    #[test]
    fn an_event_file_has_one_header_and_an_event_for_each_step() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        for step in [37, 74] {
            let mut file = EventFile::open(&folder, "events").unwrap();
            file.write(step, vec![ValueProto::scalar("lr", 0.5)])
                .unwrap();
        }
        let bytes = std::fs::read(scratch.path().join("events")).unwrap();
        // How event files by TensorFlow begin: the length of a version, 24, and its masked checksum.
        assert_eq!(bytes[..12], *b"\x18\0\0\0\0\0\0\0\xa3\x7fK\"");

        let mut events = frames(&bytes).map(|event| EventProto::decode(event).unwrap());
        let version = events.next().unwrap().file_version;
        assert_eq!(version.as_deref(), Some("brain.Event:2"));
        let found: Vec<(i64, Vec<ValueProto>)> = events
            .map(|event| (event.step, event.summary.unwrap().value))
            .collect();
        let lr = vec![ValueProto::scalar("lr", 0.5)];
        assert_eq!(found, [(37, lr.clone()), (74, lr)]);
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
