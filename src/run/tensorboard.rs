//! TensorBoard event files: TFRecord frames around three small protobuf messages.
//!
//! Formats: `tensorflow/core/lib/io/record_writer.h` (frames, masked checksums) and
//! `tensorflow/core/util/event.proto`, `framework/summary.proto` (field numbers).

use std::fs::File;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use crc::{CRC_32_ISCSI, Crc};

use crate::disk::Folder;
use crate::protobuf::{bytes, double, float, number, text};
use crate::train::metrics::EpochRecord;

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Whether a file of that name is one of these event files.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("events.out.tfevents.") && name.ends_with(".signet")
}

/// Bytes of the whole events at the beginning of `file`.
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
        const FILE_VERSION: u32 = 3;
        file.append(&[double(1, seconds()), text(FILE_VERSION, "brain.Event:2")].concat())?;
        Ok(file)
    }

    /// Adds the figures of an epoch, at its step.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn write(&mut self, record: &EpochRecord) -> Result<()> {
        let mut scalars = vec![
            ("lr", record.lr),
            ("train/loss", record.train.loss),
            ("train/accuracy", record.train.accuracy),
        ];
        if let Some(val) = record.val {
            scalars.extend([("val/loss", val.loss), ("val/accuracy", val.accuracy)]);
        }
        const SUMMARY: u32 = 5;
        let values = scalars
            .iter()
            .flat_map(|(tag, value)| bytes(1, &[text(1, tag), float(2, *value as f32)].concat()));
        let summary = bytes(SUMMARY, &values.collect::<Vec<u8>>());
        self.append(
            &[
                double(1, seconds()),
                number(2, record.epoch as u64),
                summary,
            ]
            .concat(),
        )
    }

    fn append(&mut self, event: &[u8]) -> Result<()> {
        let length = (event.len() as u64).to_le_bytes();
        let frame = [&length, &masked(&length)[..], event, &masked(event)].concat();
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
