//! Image files that are to be read, each with its class and its part, and reading them once, in their order: into memory,
//! or for what has to be known of them where they are streamed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rayon::prelude::*;

use super::folder::PassedOver;
use super::groups::{GroupRule, Groups};
use super::pixels::{Levels, Pixels};
use super::split::Part;
use super::stream::pack::{ByContent, Pack, PackEntry, Packs, Scan};
use super::stream::{ImageStream, Known, sha256};
use super::{Dataset, images, residency};
use crate::config::data::{DataConfig, Group, OnBadImage};

/// Why a file or folder cannot be an image or a class: names go into JSON and YAML.
pub const NOT_UTF8: &str = "has a name that is not UTF-8; rename it";

/// Name and reason of what looks like an image and is not read.
pub type LeftOut = (String, String);

/// Image files, and what was met beside them.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order in which they will be.
    pub files: Vec<ImageFile>,
    /// What looks like an image and is not read.
    pub left_out: Vec<LeftOut>,
    /// What is no image.
    pub passed_over: PassedOver,
    /// What one should know of how they were found, one sentence each.
    pub notes: Vec<String>,
}

/// An image file.
#[derive(Debug, PartialEq)]
pub struct ImageFile {
    /// Its path from where the source lies.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Index of its class.
    pub label: i64,
    /// The part it was given in, if it was given in one.
    pub part: Option<Part>,
    /// The value of the column that says what it belongs to, if there is one.
    pub group: Option<String>,
}

/// Files that are read together, at most, so that their pixels and the wait for the slowest of them stay small.
const TOGETHER: usize = 512;

/// Bytes of prepared images that are, at most.
const TOGETHER_BYTES: usize = 16 << 20;

/// After so many files that cannot be read, it is no use to try the others where each of them is an error.
const ENOUGH: usize = 1000;

/// Reading that takes longer says how far it is, and again after as long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A file that was read: its prepared bytes, where they are wanted, and what is known of it.
type Read = Result<(Vec<u8>, Scan)>;

impl Listing {
    /// Reads the images of `classes`, or finds them prepared.
    ///
    /// # Errors
    /// An image that cannot be read, unless such are skipped.
    pub fn read(mut self, classes: Vec<String>, config: &DataConfig) -> Result<Dataset> {
        let (streams, note) = residency::streams(config, self.files.len());
        self.notes.extend(note);
        let files = std::mem::take(&mut self.files);
        let mut images = Images::new(config, streams, files.len());
        let packs = self.packs(config, streams);
        let prepared = packs
            .as_ref()
            .and_then(|packs| self.prepared(packs, &files));
        let pack = match prepared {
            Some((pack, entries)) => {
                let mut place = 0; // in the pack
                for (file, entry) in files.iter().zip(entries) {
                    let bytes = match &entry {
                        Ok(_) if !streams => pack.read(place).map(Some),
                        _ => Ok(None),
                    };
                    place += usize::from(entry.is_ok());
                    images.add(match (bytes, entry) {
                        (Ok(bytes), Ok(scan)) => Ok((bytes.unwrap_or_default(), scan)),
                        (_, Err(why)) => Err(anyhow!(why)),
                        (Err(damaged), Ok(_)) => {
                            self.or_note::<()>(Err(damaged.context("data.cache")));
                            read(file, config, &ByContent::default())
                        }
                    });
                }
                Some(pack)
            }
            None => self.read_files(config, packs.as_ref(), &files, &mut images),
        };
        images.finish(self, files, classes, config, pack.filter(|_| streams))
    }

    /// Where prepared images are kept, if they are.
    fn packs(&mut self, config: &DataConfig, streams: bool) -> Option<Packs> {
        let folder = residency::cache(config, streams)?;
        let opened = Packs::open(&folder, &config.image);
        self.or_note(opened.with_context(|| format!("data.cache: {}", folder.display())))
    }

    /// The pack of `files`, if there is one; a damaged one is made anew.
    fn prepared(&mut self, packs: &Packs, files: &[ImageFile]) -> Option<(Pack, Vec<PackEntry>)> {
        match packs.find(files) {
            Ok(Some(found)) => {
                let place = found.0.path().display();
                self.notes
                    .push(format!("prepared images are taken from {place}"));
                Some(found)
            }
            Ok(None) => None,
            Err(error) => {
                self.notes
                    .push(format!("data.cache: {error:#}, and is made anew"));
                None
            }
        }
    }

    /// What was done, or a note of why not.
    fn or_note<T>(&mut self, done: Result<T>) -> Option<T> {
        done.map_err(|error| {
            let note = format!("images are not kept prepared: {error:#}");
            self.notes.push(note);
        })
        .ok()
    }

    /// Reads `files` into `images`, some in parallel, and into a new one of `packs`, which is the answer if it came to be.
    fn read_files(
        &mut self,
        config: &DataConfig,
        packs: Option<&Packs>,
        files: &[ImageFile],
        images: &mut Images,
    ) -> Option<Pack> {
        let known = packs.map(Packs::by_content).unwrap_or_default();
        let mut writer =
            packs.and_then(|packs| self.or_note(packs.begin(files).context("data.cache")));
        let together = (TOGETHER_BYTES / config.image.bytes()).clamp(16, TOGETHER);
        let (mut said, mut done) = (Instant::now(), 0);
        for some in files.chunks(together) {
            let read: Vec<Read> = some
                .par_iter()
                .map(|file| read(file, config, &known))
                .collect();
            for read in read {
                // What a file holds stays so; that it could not be read may be over in a moment.
                let transient = read
                    .as_ref()
                    .err()
                    .filter(|error| error.is::<std::io::Error>());
                if let (Some(error), Some(_)) = (transient, &writer) {
                    let why = anyhow!("data.cache: a file {error:#}");
                    self.or_note::<()>(Err(why));
                    writer = None;
                }
                let entry = read.as_ref().map(|(bytes, scan)| (&bytes[..], scan));
                let added = writer
                    .as_mut()
                    .map(|writer| writer.add(entry.map_err(|error| format!("{error:#}"))));
                if let Some(Err(error)) = added {
                    writer = None;
                    self.or_note::<()>(Err(error.context("data.cache")));
                }
                images.add(read);
            }
            if images.bad.len() >= ENOUGH && config.on_bad_image == OnBadImage::Error {
                break;
            }
            done += some.len();
            if said.elapsed() >= PATIENCE {
                crate::status!("signet: {done} of {} images are read", files.len());
                said = Instant::now();
            }
        }
        let whole = images.bad.is_empty() || config.on_bad_image == OnBadImage::Skip;
        let (writer, packs) = writer.filter(|_| whole).zip(packs)?;
        let written = writer.finish().and_then(|()| packs.find(files));
        let (pack, entries) = self.or_note(written.context("data.cache")).flatten()?;
        // Somebody else's of the same name, who could not read the same files.
        if !entries
            .iter()
            .flatten()
            .map(|scan| &scan.known)
            .eq(&images.known)
        {
            return None;
        }
        let place = pack.path().display();
        self.notes
            .push(format!("prepared images are kept in {place}"));
        Some(pack)
    }
}

/// Reads an image file, or copies what is `known` of one with its content.
fn read(file: &ImageFile, config: &DataConfig, known: &ByContent) -> Read {
    ensure!(file.path.to_str().is_some(), "{NOT_UTF8}");
    let loaded = images::load(&file.path)?;
    let content = sha256(loaded.bytes());
    if let Some(found) = known.get(&content) {
        return Ok(found);
    }
    let image = loaded.prepare(&config.image)?;
    let scan = Scan {
        known: Known::of(&image.bytes, config.image.depth()),
        content,
        size: image.size,
        transparent: image.transparent,
        has_profile: image.has_profile,
    };
    Ok((image.bytes, scan))
}

/// Images that were read.
struct Images {
    streams: bool,
    /// Of all that are not streamed.
    bytes: Vec<u8>,
    /// Of each image.
    known: Vec<Known>,
    sizes: Vec<(u32, u32)>,
    transparent: usize,
    profiles: usize,
    /// The numbers of the files that cannot be read, and why.
    bad: Vec<(usize, String)>,
    files: usize,
}

impl Images {
    fn new(config: &DataConfig, streams: bool, files: usize) -> Images {
        let room = if streams {
            0
        } else {
            files * config.image.bytes()
        };
        Images {
            streams,
            bytes: Vec::with_capacity(room),
            known: Vec::with_capacity(files),
            sizes: Vec::with_capacity(files),
            transparent: 0,
            profiles: 0,
            bad: Vec::new(),
            files: 0,
        }
    }

    /// Takes in what came of the next file.
    fn add(&mut self, read: Read) {
        match read {
            Ok((bytes, scan)) => {
                if !self.streams {
                    self.bytes.extend(bytes);
                }
                self.known.push(scan.known);
                self.sizes.push(scan.size);
                self.transparent += usize::from(scan.transparent);
                self.profiles += usize::from(scan.has_profile);
            }
            Err(error) => self.bad.push((self.files, format!("{error:#}"))),
        }
        self.files += 1;
    }

    /// The data set of the `files` of `listing` that are images of `classes`.
    fn finish(
        self,
        mut listing: Listing,
        files: Vec<ImageFile>,
        classes: Vec<String>,
        config: &DataConfig,
        pack: Option<Pack>,
    ) -> Result<Dataset> {
        if let (Some((number, why)), OnBadImage::Error) = (self.bad.first(), config.on_bad_image) {
            let more = match self.bad.len() - 1 {
                0 => String::new(),
                more if self.files < files.len() => {
                    format!(" (nor can {more} others and maybe more)")
                }
                more => format!(" (and {more} more cannot be read)"),
            };
            let advice = "repair or remove it, or set data.on_bad_image: skip";
            let file = files[*number].path.display();
            return Err(anyhow!("{file} {why}{more}; {advice}"));
        }
        let mut bad = self.bad.into_iter().peekable();
        let rule = GroupRule::new(&config.group);
        let (mut names, mut labels, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        let (mut parts, mut groups) = (Vec::new(), Vec::new());
        for (number, file) in files.into_iter().enumerate() {
            if let Some((_, why)) = bad.next_if(|(known, _)| *known == number) {
                listing.left_out.push((file.name, why));
                continue;
            }
            groups.extend(rule.of(&file)?);
            names.push(file.name);
            labels.push(file.label);
            parts.push(file.part);
            paths.push(file.path);
        }
        if self.transparent > 0 {
            let background = config.image.background;
            listing.notes.push(format!(
                "{} image(s) are transparent in places, where {background} is seen (data.image.background)",
                self.transparent
            ));
        }
        if self.profiles > 0 {
            listing.notes.push(format!(
                "{} image(s) have a profile of colours, which is left alone",
                self.profiles
            ));
        }
        let digests = self.known.iter().map(|known| known.digest).collect();
        let levels = if self.streams {
            Levels::Streamed(Arc::new(ImageStream::new(
                paths,
                self.known,
                config.image,
                pack,
            )))
        } else {
            Levels::Bytes(self.bytes)
        };
        let pixels = Pixels::new(levels, config.image.shape());
        let mut data = Dataset::new(names, labels, classes, digests, pixels);
        data.index.parts = parts;
        if config.group != Group::NONE {
            let groups = Groups::new(groups);
            listing.notes.push(format!(
                "the images of each of {} groups (data.group) stay in one part",
                groups.count()
            ));
            data.index.groups = Some(groups);
        }
        Ok(Dataset {
            sizes: self.sizes,
            left_out: listing.left_out,
            passed_over: listing.passed_over,
            notes: listing.notes,
            ..data
        })
    }
}
