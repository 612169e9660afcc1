//! Looking for images in a folder: one rule for training, `data info`, `eval --data` and `predict`.
//!
//! Folders within are read too. Names that begin with a dot and `__MACOSX`, which archives made on a Mac hold, are
//! passed over. Links are followed, and a folder that a link leads to a second time is named and not read again. A
//! file is an image if its name says JPEG or PNG, or its content does; one that is an image of another kind is
//! named.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disk;

/// What was found below a folder. Paths are relative to it.
#[derive(Debug, Default, PartialEq)]
pub struct FolderListing {
    /// Images, by their paths.
    pub images: Vec<PathBuf>,
    /// What looks like an image and is not read, with the reason.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Extensions of image files that are read.
const READ: [&str; 3] = ["jpg", "jpeg", "png"];

/// Extensions of image files that are not.
const NOT_READ: [&str; 21] = [
    "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "jxl", "jp2", "ico", "svg", "psd",
    "tga", "ppm", "pgm", "pbm", "qoi", "dng", "cr2", "nef",
];

/// The first bytes of a file, by which its kind is known.
const BEGINNING: u64 = 64;

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

/// Names in `folder` that are not passed over, sorted.
///
/// # Errors
/// A folder that cannot be listed.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let place = || format!("cannot list {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let name = entry.with_context(place)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && name != "__MACOSX" {
            names.push(PathBuf::from(name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Why the file at `path` is not an image that is read, if it is one of another kind.
pub fn other_kind(path: &Path) -> Option<String> {
    let extension = extension(path);
    let kind = first_bytes(path).and_then(|bytes| name_of_kind(&bytes));
    match kind {
        Some(kind) => Some(format!("is a {kind}; JPEG and PNG are read")),
        None if NOT_READ.contains(&extension.as_str()) => {
            Some(format!("is no JPEG and no PNG, but a .{extension}"))
        }
        None => None,
    }
}

/// What an image file is called whose content begins with `bytes`, such as `WebP image`.
pub fn name_of_kind(bytes: &[u8]) -> Option<String> {
    let kind = infer::get(bytes)?;
    let name = match kind.extension() {
        "webp" => "WebP".to_owned(),
        other => other.to_uppercase(),
    };
    (kind.matcher_type() == infer::MatcherType::Image).then(|| format!("{name} image"))
}

/// Whether the file at `path` is a JPEG or a PNG by its name or its content.
pub fn is_image(path: &Path) -> bool {
    READ.contains(&extension(path).as_str())
        || first_bytes(path)
            .is_some_and(|bytes| infer::image::is_jpeg(&bytes) || infer::image::is_png(&bytes))
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
    for name in entries(&folder)? {
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
            // A link whose file is gone is an image that cannot be read, and not no image; and so is a pipe.
            _ if is_image(&full) => found.images.push(path),
            Err(error) => return Err(error),
            Ok(_) => found
                .left_out
                .extend(other_kind(&full).map(|why| (path, why))),
        }
    }
    Ok(())
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

/// How the regular file at `path` begins.
fn first_bytes(path: &Path) -> Option<Vec<u8>> {
    // Opening a pipe would wait for somebody to write to it.
    path.metadata().ok().filter(Metadata::is_file)?;
    let mut bytes = Vec::new();
    let opened = File::open(path).ok()?;
    opened.take(BEGINNING).read_to_end(&mut bytes).ok()?;
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
        write("hidden-kind", webp);
        write("empty.gif", b"");
        write("notes.txt", b"nothing to see");
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
        let images = ["a/deep/c.png", "b.JPG", "gone.png", "link.jpg", "no-name"];
        assert_eq!(found.images, images.map(PathBuf::from));
        let left_out = found.left_out.iter();
        let left_out: Vec<String> = left_out
            .map(|(path, why)| format!("{} {why}", path.display()))
            .collect();
        let round = format!("a/round leads to {}/ again", folder.path().display());
        let expected = [
            round.as_str(),
            "empty.gif is no JPEG and no PNG, but a .gif",
            "hidden-kind is a WebP image; JPEG and PNG are read",
            "x.webp is a WebP image; JPEG and PNG are read",
        ];
        assert_eq!(left_out, expected);
    }
}
