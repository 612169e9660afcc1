//! Looking for images in a folder: one rule for training, `data info`, `eval --data` and `predict`.
//!
//! Folders within are read too. Names that begin with a dot and `__MACOSX`, which archives made on a Mac hold, are
//! passed over, and so are files that are no images; both are counted. Links are followed, and a folder that a link leads
//! to a second time is named and not read again. A file is an image if its content says so, or its name; one that is an
//! image of a kind that is not read is named.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::formats::{self, FileKind};
use crate::disk;

/// What was found below a folder. Paths are relative to it.
#[derive(Debug, Default, PartialEq)]
pub struct FolderListing {
    /// Images, by their paths.
    pub images: Vec<PathBuf>,
    /// What looks like an image and is not read, with the reason.
    pub left_out: Vec<(PathBuf, String)>,
    /// What is no image.
    pub passed_over: PassedOver,
}

/// How many files and folders of each kind were passed over, since they are no images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver(BTreeMap<String, usize>);

impl PassedOver {
    /// Counts one of a `kind`.
    pub fn count(&mut self, kind: String) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Adds what was passed over elsewhere.
    pub fn add(&mut self, other: PassedOver) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    /// The number of files and folders.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}

/// Such as `3 .txt, 1 hidden`.
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let each = self.0.iter().map(|(kind, count)| format!("{count} {kind}"));
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}

/// Deepest nesting of folders that is followed.
const DEEPEST: usize = 64;

/// The images below `folder`.
///
/// # Errors
/// A folder that cannot be listed.
pub fn images_below(folder: &Path) -> Result<FolderListing> {
    let mut found = FolderListing::default();
    let mut seen = HashMap::new();
    // A link back to where the folder lies would bring in its neighbours.
    let whole = folder.canonicalize().unwrap_or_default();
    for above in whole.ancestors().skip(1) {
        if let Ok(metadata) = above.metadata() {
            seen.insert(identity(&metadata), above.to_owned());
        }
    }
    walk(folder, Path::new(""), 0, &mut seen, &mut found)?;
    Ok(found)
}

/// Names in `folder` that are not hidden, sorted; the others are counted.
///
/// # Errors
/// A folder that cannot be listed.
pub fn entries(folder: &Path, passed_over: &mut PassedOver) -> Result<Vec<PathBuf>> {
    let place = || format!("cannot list {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let name = entry.with_context(place)?.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX" {
            passed_over.count("hidden".to_owned());
        } else {
            names.push(PathBuf::from(name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What the file at `path` is.
pub fn kind_of(path: &Path) -> FileKind {
    formats::kind_of(path, first_bytes(path).as_deref())
}

fn walk(
    root: &Path,
    below: &Path,
    depth: usize,
    seen: &mut HashMap<(u64, u64), PathBuf>,
    found: &mut FolderListing,
) -> Result<()> {
    let folder = root.join(below);
    if let Ok(metadata) = folder.metadata() {
        seen.insert(identity(&metadata), below.to_owned());
    }
    for name in entries(&folder, &mut found.passed_over)? {
        let path = below.join(name);
        let full = root.join(&path);
        match disk::look(&full) {
            Ok(Some(metadata)) if metadata.is_dir() => match seen.get(&identity(&metadata)) {
                Some(same) => {
                    let same = root.join(same);
                    let why = format!("leads to {} again", same.display());
                    found.left_out.push((path, why));
                }
                None if depth == DEEPEST => {
                    let why = format!("lies more than {DEEPEST} folders deep");
                    found.left_out.push((path, why));
                }
                None => walk(root, &path, depth + 1, seen, found)?,
            },
            looked => match (kind_of(&full), looked) {
                // A link whose file is gone is an image that cannot be read, and not no image; and so is a pipe.
                (FileKind::Image, _) => found.images.push(path),
                (_, Err(error)) => return Err(error),
                (FileKind::OtherImage(why), _) => found.left_out.push((path, why)),
                (FileKind::Other, _) => found.passed_over.count(formats::label(path.as_os_str())),
            },
        }
    }
    Ok(())
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// How the regular file at `path` begins.
fn first_bytes(path: &Path) -> Option<Vec<u8>> {
    // Opening a pipe would wait for somebody to write to it.
    path.metadata().ok().filter(Metadata::is_file)?;
    let mut bytes = Vec::new();
    let opened = File::open(path).ok()?;
    opened
        .take(formats::BEGINNING)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn everything_that_looks_like_an_image_is_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        let (jpeg, png, webp) = (
            b"\xFF\xD8\xFF\xE0",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBPVP8 ",
        );
        write("b.JPG", jpeg);
        write("a/deep/c.png", png);
        write("no-name", png);
        write("x.webp", webp);
        write("of-unknown-name", webp);
        write("photo.heic", jpeg);
        write("x.avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf");
        write("empty.psd", b"");
        write("raw.NEF", b"II*\0");
        write("notes.txt", b"BMW, and nothing to see");
        write(
            "Thumbs.db",
            &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1],
        );
        write("._b.JPG", jpeg);
        write(".ipynb_checkpoints/b.jpg", jpeg);
        write("__MACOSX/b.jpg", jpeg);
        symlink("..", folder.path().join("a/round")).unwrap();
        symlink("b.JPG", folder.path().join("link.jpg")).unwrap();
        symlink("nowhere", folder.path().join("gone.png")).unwrap();
        let found = images_below(folder.path()).unwrap();
        let images = [
            "a/deep/c.png",
            "b.JPG",
            "gone.png",
            "link.jpg",
            "no-name",
            "of-unknown-name",
            "photo.heic",
            "x.webp",
        ];
        assert_eq!(found.images, images.map(PathBuf::from));
        let left_out = found.left_out.iter();
        let left_out: Vec<String> = left_out
            .map(|(path, why)| format!("{} {why}", path.display()))
            .collect();
        let round = format!("a/round leads to {}/ again", folder.path().display());
        let expected = [
            round,
            format!("empty.psd is a .psd file; {}", formats::ARE_READ),
            format!("raw.NEF is a .nef file; {}", formats::ARE_READ),
            format!("x.avif is in AVIF; {}", formats::ARE_READ),
        ];
        assert_eq!(left_out, expected);
        assert_eq!(found.passed_over.to_string(), "1 .db, 1 .txt, 3 hidden");
    }
}
