//! What a file is, by its first bytes: an image of a kind that is read, one of another kind, or no image.

use std::ffi::OsStr;
use std::path::Path;

use image::ImageFormat;

/// What is read, for messages.
pub const ARE_READ: &str = "JPEG, PNG, WebP, BMP, GIF and TIFF are read";

/// Extensions of image files that are read.
const READ: [&str; 10] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff",
];

/// Extensions of image files that are not.
const NOT_READ: [&str; 11] = [
    "avif", "heic", "heif", "jxl", "jp2", "ico", "svg", "psd", "tga", "qoi", "xcf",
];

/// Extensions of netpbm's and of cameras' raw files. The latter begin as TIFF does, and hold a small image first.
const NOT_READ_WHATEVER_INSIDE: [&str; 13] = [
    "ppm", "pgm", "pbm", "pnm", "dng", "cr2", "cr3", "nef", "arw", "orf", "raf", "rw2", "pef",
];

/// First bytes by which a kind is known.
pub const BEGINNING: u64 = 64;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// An image that is read, or is expected to be one by its name.
    Image,
    /// An image of another kind: why it is not read.
    OtherImage(String),
    /// No image.
    Other,
}

/// What the file called `name` is, which begins with `bytes`; none where nobody could read them.
pub fn kind_of(name: &Path, bytes: Option<&[u8]>) -> FileKind {
    let extension = name.extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_lowercase();
    let extension = extension.as_str();
    let not_read = || FileKind::OtherImage(format!("is a .{extension} file; {ARE_READ}"));
    if NOT_READ_WHATEVER_INSIDE.contains(&extension) {
        return not_read();
    }
    match bytes.map(|bytes| (format(bytes), name_of(bytes))) {
        Some((Some(_), _)) => FileKind::Image,
        Some((None, Some(name))) => FileKind::OtherImage(format!("is in {name}; {ARE_READ}")),
        _ if READ.contains(&extension) => FileKind::Image,
        _ if NOT_READ.contains(&extension) => not_read(),
        _ => FileKind::Other,
    }
}

/// What is said of files that are passed over as no images: their extension, or that they have none.
pub fn label(name: &OsStr) -> String {
    match Path::new(name).extension() {
        Some(extension) => format!(".{}", extension.to_string_lossy().to_lowercase()),
        None => "without extension".to_owned(),
    }
}

/// The format of a file that begins with `bytes`, if it is one that is read.
pub fn format(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+") {
        return Some(ImageFormat::Tiff); // BigTIFF
    }
    let found = image::guess_format(bytes).ok()?;
    let certain = match found {
        ImageFormat::Bmp => is_bitmap(bytes),
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP => true,
        ImageFormat::Gif | ImageFormat::Tiff => true,
        _ => false,
    };
    certain.then_some(found)
}

/// Whether `bytes` are a header of Windows' bitmaps: a text may begin with BM, too.
fn is_bitmap(bytes: &[u8]) -> bool {
    let size = bytes
        .get(14..18)
        .map(|size| size.try_into().map(u32::from_le_bytes));
    matches!(size, Some(Ok(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)))
}

/// What the format of an image is called that is not read and begins with `bytes`, such as `HEIF`.
pub fn name_of(bytes: &[u8]) -> Option<String> {
    let kind = infer::get(bytes)?;
    let is_image = kind.matcher_type() == infer::MatcherType::Image && kind.extension() != "bmp";
    is_image.then(|| kind.extension().to_uppercase())
}
