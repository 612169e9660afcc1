//! Brings the public Sign Language Digits images onto this disk: a URL goes in, a folder
//! with `Dataset/<digit>/*.JPG` comes out, whole and checked, or nothing at all.
//!
//! GitHub packs its archives anew now and then, so an archive is known by the images in it and
//! not by its own bytes. Until the last step, a rename, the target does not exist.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::disk::Folder;

const SIGN_LANGUAGE_DIGITS_URL: &str =
    "https://github.com/ardamavi/Sign-Language-Digits-Dataset/archive/refs/heads/master.zip";
const SIGN_LANGUAGE_DIGITS_FILES: usize = 2062;
const SIGN_LANGUAGE_DIGITS_DIGEST: &str =
    "ffca1ee1016e6fa7b5f9fcb8fc969d6895fe1f19ebd083f12da14e274f783749";

const BY_HAND: &str = "try again later, or download it by hand, unpack it and set SIGNET_DATA to \
                       the folder that holds Dataset/";

/// Where an archive comes from and what must be in it.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Address of a zip file with one top folder, which holds `Dataset/<digit>/*.JPG`.
    pub url: String,
    /// Number of images.
    pub files: usize,
    /// SHA-256, in lower-case hexadecimal, over the lines
    /// `<digit>/<file name> <SHA-256 of the file>\n`, sorted by name.
    pub digest: String,
    /// What is refused before the content can be checked.
    pub limits: Limits,
}

/// How much a server or an archive may ask of this machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest archive, in bytes.
    pub archive: u64,
    /// Most entries in the archive, including those that are left out.
    pub entries: usize,
    /// Largest unpacked file, in bytes.
    pub file: u64,
    /// Largest sum of all unpacked files, in bytes.
    pub unpacked: u64,
    /// Longest silence of the server.
    pub stall: Duration,
}

/// A data set that lies whole on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder that holds `Dataset/`.
    pub root: PathBuf,
    /// Number of images.
    pub files: usize,
    /// Size of all images together, in bytes.
    pub bytes: u64,
    /// Whether it was there before, so that nothing was downloaded.
    pub already_there: bool,
}

impl Archive {
    /// The Sign Language Digits of Ankara Ayrancı Anadolu High School (Apache-2.0).
    pub fn sign_language_digits() -> Self {
        Self {
            url: SIGN_LANGUAGE_DIGITS_URL.to_owned(),
            files: SIGN_LANGUAGE_DIGITS_FILES,
            digest: SIGN_LANGUAGE_DIGITS_DIGEST.to_owned(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive: 100_000_000,
            entries: 10_000,
            file: 10_000_000,
            unpacked: 300_000_000,
            stall: Duration::from_secs(30),
        }
    }
}

/// Downloads, checks and unpacks `archive` into `target`, which must not exist yet or be already
/// complete. Missing parent folders are made; `shown` follows the download.
///
/// The environment's proxy (`https_proxy` and its kin) is used.
///
/// # Errors
/// When `target` holds something else, the download fails or stalls, a limit is passed, an entry
/// points outside, or the content differs. `target` is untouched then and nothing stays behind.
pub fn fetch(archive: &Archive, target: &Path, shown: &ProgressBar) -> Result<Fetched> {
    let fetched = |bytes, already_there| Fetched {
        root: target.to_owned(),
        files: archive.files,
        bytes,
        already_there,
    };
    // Not `exists`, which takes a dangling link for nothing.
    if target.symlink_metadata().is_ok() {
        let bytes = check(archive, target).map_err(|found| {
            anyhow!(
                "{} exists but is not the whole data set: {found:#}; move it away, or name \
                 another folder with --out",
                target.display()
            )
        })?;
        return Ok(fetched(bytes, true));
    }

    // Everything is prepared in the nearest folder that exists: on the target's own file system,
    // so that a rename can finish it, and without parents that a failure would leave behind.
    let absolute = std::path::absolute(target)?;
    let beside = (absolute.ancestors().find(|folder| folder.exists()))
        .with_context(|| format!("no folder above {} exists", target.display()))?;
    let place = || format!("cannot write in {}; try another --out", beside.display());
    let beside = Folder::open(beside).with_context(place)?;
    let staging = beside.unfinished().with_context(place)?;

    let url = &archive.url;
    let packed = download(archive, staging.folder(), shown)
        .map_err(|cause| anyhow!("could not download {url}: {cause:#}; {BY_HAND}"))?;
    // A folder within, because the lock is none of the data.
    let root = staging.folder().make_folder("whole")?;
    let bytes = unpack(archive, packed, &root)
        .and_then(|()| check(archive, root.path()))
        .map_err(|cause| anyhow!("could not use the archive from {url}: {cause:#}; {BY_HAND}"))?;

    let (above, name) = Folder::above(&absolute).context("try another --out")?;
    let target = target.display();
    ensure!(
        above.kind(&name).is_none(),
        "cannot put the data set at {target}; empty that place or try another --out"
    );
    staging.folder().rename("whole", &above, &name)?;
    Ok(fetched(bytes, false))
}

/// The archive as a file in `folder`.
fn download(archive: &Archive, folder: &Folder, shown: &ProgressBar) -> Result<File> {
    let Limits {
        archive: limit,
        stall,
        ..
    } = archive.limits;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(15)))
        .timeout_connect(Some(Duration::from_secs(15)))
        // Per read and not in all: a slow line is no reason to give up.
        .timeout_per_read(Some(stall))
        .build()
        .into();
    let body = agent.get(&archive.url).call()?.into_body();

    // GitHub names no length; the bar then counts bytes without an end.
    let template = match body.content_length() {
        Some(length) => {
            ensure!(
                length <= limit,
                "it has {length} bytes, more than the {limit} allowed"
            );
            shown.set_length(length);
            "downloading [{bar:15}] {decimal_bytes}/{decimal_total_bytes} ({eta})"
        }
        None => "downloading {decimal_bytes} ({elapsed})",
    };
    shown.set_style(ProgressStyle::with_template(template)?);

    let mut file = folder.create("archive.zip")?;
    let mut reader = shown.wrap_read(body.into_reader().take(limit + 1));
    let read = io::copy(&mut reader, &mut file);
    shown.finish_and_clear();
    ensure!(read? <= limit, "it has more bytes than the {limit} allowed");
    Ok(file)
}

/// Unpacks into the new folder `root` what belongs to the data set.
fn unpack(archive: &Archive, packed: File, root: &Folder) -> Result<()> {
    let limits = &archive.limits;
    let mut zip = ZipArchive::new(packed).context("it cannot be read as a zip archive")?;
    let (entries, most) = (zip.len(), limits.entries);
    ensure!(
        entries <= most,
        "it has {entries} entries, more than the {most} allowed"
    );

    let mut room = limits.unpacked;
    for index in 0..entries {
        let name = zip.name_for_index(index).unwrap_or_default().to_owned();
        let Some(place) = place(&name)? else {
            continue;
        };
        let unpacking = || format!("cannot unpack {name:?}");
        let mut entry = zip.by_index(index).with_context(unpacking)?;
        ensure!(!entry.is_symlink(), "entry {name:?} is a symbolic link");

        let (file, above) = place.split_last().context("an entry has a name")?;
        let folder = above
            .iter()
            .try_fold(root.clone(), |folder, name| folder.make_folder(name))
            .with_context(unpacking)?;
        // What the archive claims as a size is not believed: the bytes are counted.
        let allowed = room.min(limits.file);
        let mut file = folder.create(file).with_context(unpacking)?;
        let written =
            io::copy(&mut entry.by_ref().take(allowed + 1), &mut file).with_context(unpacking)?;
        ensure!(
            written <= allowed,
            "entry {name:?} unpacks to more than the {allowed} bytes allowed"
        );
        room -= written;
    }
    Ok(())
}

/// Where an entry belongs below the target; none for what is left out.
///
/// A name that leads elsewhere condemns the archive even where it would be left out: no honest
/// archive has one.
fn place(name: &str) -> Result<Option<Vec<&str>>> {
    let parts: Vec<&str> = name.split('/').collect();
    // A colon makes a drive name on Windows and a backslash a folder.
    let strays = name.starts_with('/') || name.contains(['\\', ':']) || parts.contains(&"..");
    ensure!(!strays, "entry {name:?} leads out of the archive's folder");
    Ok(match parts[1..] {
        ["Dataset", digit, file] if is_digit(digit) && file.ends_with(".JPG") => {
            Some(vec!["Dataset", digit, file])
        }
        [file @ ("LICENSE" | "README.md")] => Some(vec![file]),
        _ => None,
    })
}

fn is_digit(name: &str) -> bool {
    matches!(name.as_bytes(), [b'0'..=b'9'])
}

/// The size in bytes of all images below `root`, which must be those of `archive`, all of them
/// and nothing beside them.
fn check(archive: &Archive, root: &Path) -> Result<u64> {
    let mut images = Vec::new();
    for digit in fs::read_dir(root.join("Dataset")).context("cannot list its folder Dataset")? {
        let digit = digit?;
        let folder = digit.file_name().to_string_lossy().into_owned();
        let listed = fs::read_dir(digit.path());
        for file in listed.with_context(|| format!("found Dataset/{folder}"))? {
            let file = file?;
            let name = format!("{folder}/{}", file.file_name().to_string_lossy());
            images.push((name, file.path()));
        }
    }
    // Counted first: a folder full of something else need not be read.
    let (found, expected) = (images.len(), archive.files);
    ensure!(
        found == expected,
        "found {found} images, expected {expected}"
    );

    images.sort();
    let mut bytes = 0;
    let mut whole = Sha256::new();
    for (name, path) in images {
        let mut hash = Sha256::new();
        bytes += File::open(path)
            .and_then(|mut file| io::copy(&mut file, &mut hash))
            .with_context(|| format!("cannot read Dataset/{name}"))?;
        whole.update(format!("{name} {:x}\n", hash.finalize()));
    }
    let (found, expected) = (format!("{:x}", whole.finalize()), &archive.digest);
    ensure!(
        found == *expected,
        "found images with digest {found}, expected {expected}"
    );
    Ok(bytes)
}
