//! Prepared images on the disk: a pack, one file that is written once and then only read.
//!
//! ```text
//! the bytes of each image, [C, H, W], one after the other
//! a record of each file that was listed, of one length
//! JSON: what cannot be read, by number
//! SHA-256 of records and JSON, their length together and that of the JSON as u64, MAGIC; numbers are little-endian
//! ```
//!
//! Its name says what it was made of: how images are prepared, by which signet, and from which files, each with its size, times
//! and place on the disk. A changed file so leads to another pack, into which what other packs hold of equal content is
//! copied. A pack gets its name once it is whole and on the disk, so that a process that is killed leaves none, and of two that
//! write the same the last one wins. It is read by position and not mapped: a file that somebody cuts meanwhile is an error
//! then, and not the end of the process.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use crc::{CRC_32_ISCSI, Crc, Table};
use sha2::{Digest, Sha256};

use super::{Known, sha256};
use crate::config::data::ImageConfig;
use crate::data::hex;
use crate::data::listing::ImageFile;
use crate::disk::{Folder, Unfinished};

const MAGIC: &[u8; 8] = b"signet1\n";

/// Bytes behind the JSON.
const TAIL: usize = 32 + 2 * 8 + MAGIC.len();

/// How the names of packs end.
const SUFFIX: &str = ".pixels";

/// A pack that nobody has used for so long is removed when another one is made.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

static CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// What is known of an image file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Of its pixels.
    pub known: Known,
    /// SHA-256 of the file.
    pub content: [u8; 32],
    /// Width and height as stored, in pixels.
    pub size: (u32, u32),
    /// Whether some of its pixels are transparent.
    pub transparent: bool,
    /// Whether it has a profile of colours.
    pub has_profile: bool,
}

/// A file that was listed: what is known of it, or why it cannot be read.
pub type PackEntry = Result<Scan, String>;

/// A folder of packs.
pub struct Packs {
    folder: Folder,
    /// How images are prepared, in the names of packs.
    preparation: String,
    /// Their channels, and their bytes.
    channels: usize,
    numbers: usize,
}

impl Packs {
    /// Those in `folder`, which is made, of images that are prepared as `image` says.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(folder: &Path, image: &ImageConfig) -> Result<Packs> {
        let how = serde_json::to_string(image)?;
        let channels = image.depth();
        let preparation = sha256(format!("{} {how}", env!("CARGO_PKG_VERSION")).as_bytes());
        Ok(Packs {
            folder: Folder::make(folder)?,
            preparation: hex(&preparation[..8]),
            channels,
            numbers: channels * image.height * image.width,
        })
    }

    /// What the pack of `files` is called.
    fn name_of(&self, files: &[ImageFile]) -> String {
        let mut hash = Sha256::new();
        for file in files {
            hash.update(file.name.as_bytes());
            // One that is gone is so by name.
            let Ok(found) = std::fs::metadata(&file.path) else {
                continue;
            };
            let numbers = [
                found.size() as i64,
                found.mtime(),
                found.mtime_nsec(),
                found.ctime(),
                found.ctime_nsec(),
                found.ino() as i64,
                found.dev() as i64,
            ];
            hash.update([0]);
            numbers
                .iter()
                .for_each(|number| hash.update(number.to_le_bytes()));
        }
        let files = hex(&hash.finalize()[..16]);
        format!("{}-{files}{SUFFIX}", self.preparation)
    }

    /// The pack of `files`, if there is one, with what it says of each.
    ///
    /// # Errors
    /// A damaged one.
    pub fn find(&self, files: &[ImageFile]) -> Result<Option<(Pack, Vec<PackEntry>)>> {
        let file = self.folder.file(self.name_of(files));
        if !file.exists() {
            return Ok(None);
        }
        let (pack, entries) = self.read(&file)?;
        ensure!(
            entries.len() == files.len(),
            "{} is of other files, so it is damaged",
            file.display()
        );
        // Whoever clears away asks for it; who may not write here has nothing to clear.
        let _ = pack.file.set_modified(SystemTime::now());
        Ok(Some((pack, entries)))
    }

    fn read(&self, path: &Path) -> Result<(Pack, Vec<PackEntry>)> {
        let damaged = || format!("{} is damaged", path.display());
        let file = File::open(path).with_context(damaged)?;
        let length = file.metadata()?.len() as usize;
        let part = |from: usize, to: usize| {
            let mut bytes = vec![0; to - from];
            file.read_exact_at(&mut bytes, from as u64)
                .with_context(damaged)?;
            anyhow::Ok(bytes)
        };
        ensure!(length >= TAIL, damaged());
        let tail = part(length - TAIL, length)?;
        let [directory, json] =
            [32, 40].map(|at| u64::from_le_bytes(*tail[at..].first_chunk().expect("a tail")));
        let [directory, json] = [directory, json].map(|length| length as usize);
        let whole = tail[48..] == *MAGIC && directory <= length - TAIL && json <= directory;
        ensure!(whole, damaged());
        let pixels = length - TAIL - directory;
        let directory = part(pixels, length - TAIL)?;
        ensure!(sha256(&directory)[..] == tail[..32], damaged());
        let (records, json) = directory.split_at(directory.len() - json);
        let trailer: Trailer = serde_json::from_slice(json).map_err(|_| anyhow!(damaged()))?;
        let record = record_length(self.channels);
        let whole = trailer.files.saturating_mul(record) == records.len()
            && trailer.images.saturating_mul(self.numbers) == pixels;
        ensure!(whole, damaged());
        let mut checksums = Vec::with_capacity(trailer.images);
        let mut entries = Vec::with_capacity(trailer.files);
        for (number, record) in records.chunks_exact(record).enumerate() {
            entries.push(match trailer.unreadable.get(&number) {
                Some(why) => Err(why.clone()),
                None => {
                    let (scan, checksum) = scan_of(record);
                    checksums.push(checksum);
                    Ok(scan)
                }
            });
        }
        ensure!(checksums.len() == trailer.images, damaged());
        let pack = Pack {
            path: path.to_owned(),
            file,
            numbers: self.numbers,
            checked: checksums.iter().map(|_| AtomicBool::new(false)).collect(),
            checksums,
        };
        Ok((pack, entries))
    }

    /// All images of other packs that were prepared alike, by the content of their files. Damaged packs have none.
    pub fn by_content(&self) -> ByContent {
        let mut found = ByContent::default();
        for name in self.folder.names().unwrap_or_default() {
            let name = name.to_string_lossy().into_owned();
            if !name.starts_with(&self.preparation) || !name.ends_with(SUFFIX) {
                continue;
            }
            if let Ok((pack, entries)) = self.read(&self.folder.file(&name)) {
                let scans = entries.into_iter().flatten().enumerate();
                let number = found.packs.len();
                found
                    .places
                    .extend(scans.map(|(image, scan)| (scan.content, (number, image, scan))));
                found.packs.push(pack);
            }
        }
        found
    }

    /// A pack of `files` to be written.
    ///
    /// # Errors
    /// A folder that cannot be written, a disk that has no room for it.
    pub fn begin(&self, files: &[ImageFile]) -> Result<PackWriter> {
        self.clear();
        let needed = (files.len() as u64).saturating_mul(self.numbers as u64);
        let free = self.folder.free_bytes()?;
        ensure!(
            needed < free,
            "{} has {} KiB left, and the images take {}",
            self.folder.path().display(),
            free >> 10,
            needed >> 10
        );
        let unfinished = self.folder.unfinished()?;
        let file = unfinished.folder().create("pack")?;
        Ok(PackWriter {
            name: self.name_of(files),
            pixels: BufWriter::with_capacity(1 << 20, file),
            unfinished,
            above: self.folder.clone(),
            records: Vec::new(),
            trailer: Trailer::default(),
            channels: self.channels,
        })
    }

    /// Removes packs that nobody has used for long.
    fn clear(&self) {
        for name in self.folder.names().unwrap_or_default() {
            let is_pack = is_name(&name.to_string_lossy());
            let used =
                std::fs::metadata(self.folder.file(&name)).and_then(|found| found.modified());
            let unused = used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > UNUSED));
            if is_pack && unused {
                let _ = self.folder.remove(&name); // it is in nobody's way
            }
        }
    }
}

/// Whether a pack could be called so.
fn is_name(name: &str) -> bool {
    let parts = name
        .strip_suffix(SUFFIX)
        .and_then(|name| name.split_once('-'));
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.is_some_and(|(preparation, files)| digits(preparation, 16) && digits(files, 32))
}

/// Images of packs, by the content of their files.
#[derive(Default)]
pub struct ByContent {
    packs: Vec<Pack>,
    places: HashMap<[u8; 32], (usize, usize, Scan)>,
}

impl ByContent {
    /// The prepared bytes of a file with that content, and what is known of it.
    pub fn get(&self, content: &[u8; 32]) -> Option<(Vec<u8>, Scan)> {
        let (pack, image, scan) = self.places.get(content)?;
        let bytes = self.packs[*pack].read(*image).ok()?;
        Some((bytes, scan.clone()))
    }
}

/// What the JSON of a pack says.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Trailer {
    /// That were listed.
    files: usize,
    /// That could be read.
    images: usize,
    /// Why the others could not, by their number.
    unreadable: BTreeMap<usize, String>,
}

/// Bytes of a record of an image with so many channels: what it is, width, height, checksum, two digests, and two sums a
/// channel.
fn record_length(channels: usize) -> usize {
    1 + 3 * 4 + 2 * 32 + channels * 16
}

fn record_of(scan: &Scan, checksum: u32) -> Vec<u8> {
    let flags = u8::from(scan.transparent) | u8::from(scan.has_profile) << 1;
    let mut record = vec![flags];
    for number in [scan.size.0, scan.size.1, checksum] {
        record.extend(number.to_le_bytes());
    }
    record.extend(scan.known.digest);
    record.extend(scan.content);
    let sums = scan.known.sums.as_flattened().iter();
    record.extend(sums.flat_map(|sum| sum.to_le_bytes()));
    record
}

/// What a record says, and the checksum in it.
fn scan_of(record: &[u8]) -> (Scan, u32) {
    let (numbers, _) = record[1..13].as_chunks::<4>();
    let [width, height, checksum] = [0, 1, 2].map(|at| u32::from_le_bytes(numbers[at]));
    let (sums, _) = record[77..].as_chunks::<8>();
    let sums: Vec<u64> = sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect();
    let scan = Scan {
        known: Known {
            digest: *record[13..].first_chunk().expect("a record has its length"),
            sums: sums.as_chunks::<2>().0.to_vec(),
        },
        content: *record[45..].first_chunk().expect("a record has its length"),
        size: (width, height),
        transparent: record[0] & 1 != 0,
        has_profile: record[0] & 2 != 0,
    };
    (scan, checksum)
}

/// A pack under way.
pub struct PackWriter {
    name: String,
    above: Folder,
    unfinished: Unfinished,
    pixels: BufWriter<File>,
    records: Vec<u8>,
    trailer: Trailer,
    channels: usize,
}

impl PackWriter {
    /// Adds the next of the files that were listed.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn add(&mut self, read: Result<(&[u8], &Scan), String>) -> Result<()> {
        match read {
            Ok((bytes, scan)) => {
                self.pixels.write_all(bytes)?;
                self.records
                    .extend(record_of(scan, CHECKSUM.checksum(bytes)));
                self.trailer.images += 1;
            }
            Err(why) => {
                self.records.extend(vec![0; record_length(self.channels)]);
                self.trailer.unreadable.insert(self.trailer.files, why);
            }
        }
        self.trailer.files += 1;
        Ok(())
    }

    /// Gives it its name, once it is on the disk.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn finish(mut self) -> Result<()> {
        let json = serde_json::to_vec(&self.trailer)?;
        let directory = [self.records, json.clone()].concat();
        self.pixels.write_all(&directory)?;
        self.pixels.write_all(&sha256(&directory))?;
        for length in [directory.len(), json.len()] {
            self.pixels.write_all(&(length as u64).to_le_bytes())?;
        }
        self.pixels.write_all(MAGIC)?;
        self.pixels.flush()?;
        self.pixels.get_ref().sync_all()?;
        self.unfinished
            .folder()
            .rename("pack", &self.above, &self.name)?;
        self.above.sync()
    }
}

/// Prepared images in a file.
#[derive(Debug)]
pub struct Pack {
    path: PathBuf,
    file: File,
    /// Bytes of an image.
    numbers: usize,
    checksums: Vec<u32>,
    /// Whether the checksum of an image was found to be right.
    checked: Vec<AtomicBool>,
}

impl Pack {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The prepared bytes of an image, counted through those that could be read.
    ///
    /// # Errors
    /// A pack that is damaged there.
    pub fn read(&self, image: usize) -> Result<Vec<u8>> {
        let damaged = || format!("{} is damaged", self.path.display());
        let mut bytes = vec![0; self.numbers];
        let place = image as u64 * self.numbers as u64;
        self.file
            .read_exact_at(&mut bytes, place)
            .with_context(damaged)?;
        if !self.checked[image].load(Ordering::Relaxed) {
            ensure!(
                CHECKSUM.checksum(&bytes) == self.checksums[image],
                damaged()
            );
            self.checked[image].store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}
