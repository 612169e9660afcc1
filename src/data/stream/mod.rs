//! Images that are read from their files when they are needed, and not kept: from a pack of prepared images on the disk
//! (`pack`), or decoded again. A few are read ahead in the order in which they will be asked for (`reader`).

pub mod pack;
mod reader;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

pub(super) use reader::ReadAhead;

use super::images;
use super::pixels::digest;
use crate::config::data::ImageConfig;
use crate::fault::{Blame, Fault, contained};
use pack::Pack;

/// What is known of an image once it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// SHA-256 of its numbers: `[C, H, W]` in 0..1, as float32, little-endian.
    pub digest: [u8; 32],
    /// Of each channel, the sum of its bytes and that of their squares.
    pub sums: Vec<[u64; 2]>,
}

impl Known {
    /// Of the prepared `bytes` of an image with so many channels.
    pub fn of(bytes: &[u8], channels: usize) -> Known {
        let planes = bytes.chunks_exact(bytes.len() / channels);
        Known {
            digest: digest(bytes),
            sums: planes.map(sums).collect(),
        }
    }
}

/// The sum of some bytes, and that of their squares.
pub(super) fn sums(bytes: &[u8]) -> [u64; 2] {
    let of = |[sum, squares]: [u64; 2], &byte: &u8| {
        let byte = u64::from(byte);
        [sum + byte, squares + byte * byte]
    };
    bytes.iter().fold([0, 0], of)
}

/// Image files, each of which gives the same bytes whenever it is read.
#[derive(Debug)]
pub struct ImageStream {
    files: Vec<PathBuf>,
    known: Vec<Known>,
    image: ImageConfig,
    pack: Option<Pack>,
    /// Whether it was said that the pack is damaged.
    complained: AtomicBool,
}

impl ImageStream {
    /// Of `files` that were read as `image` asks for, and lie in `pack` if there is one.
    pub fn new(
        files: Vec<PathBuf>,
        known: Vec<Known>,
        image: ImageConfig,
        pack: Option<Pack>,
    ) -> ImageStream {
        ImageStream {
            files,
            known,
            image,
            pack,
            complained: AtomicBool::new(false),
        }
    }

    /// What is known of each image.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// Whether reading an image takes no more than reading its bytes.
    fn is_packed(&self) -> bool {
        self.pack.is_some()
    }

    /// The prepared bytes of an image, `[C, H, W]`.
    ///
    /// # Errors
    /// A file that is gone, or gives other pixels than at first: a fault of the data.
    pub fn read(&self, image: usize) -> Result<Vec<u8>> {
        if let Some(pack) = &self.pack {
            match pack.read(image) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => self.complain(pack, &error),
            }
        }
        let file = &self.files[image];
        contained(|| {
            let bytes = images::read(file, &self.image)?.bytes;
            ensure!(
                digest(&bytes) == self.known[image].digest,
                "shows something else than when the training began; bring it back, or start a new run"
            );
            Ok(bytes)
        })
        .with_context(|| file.display().to_string())
        .blame(Fault::Data)
    }

    fn complain(&self, pack: &Pack, error: &anyhow::Error) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            crate::status!(
                "signet: {error:#}, so images are decoded again; remove {} to have it made anew",
                pack.path().display()
            );
        }
    }
}

/// SHA-256 of some bytes.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
