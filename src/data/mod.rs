//! Images: where they come from (`source`, with `class_folders`, `table`, `arrays`, `generated` and
//! `fetch`), which files they are (`listing`, `folder`, `formats`), how a file becomes bytes (`images`, with `decode`,
//! `orientation`, `resize` and `memory`), what is known of them (`index`, and `groups` that belong together) apart from what they look like (`pixels`, and
//! `stream` where they stay on the disk, as `residency` says), their
//! order, how they are split (`split`), and in which order an epoch meets them (`sampler`). `ahead` reads them while libtorch starts. What is
//! doubtful about them stands in `doubts`, in short, and in `findings`, image by image.

pub mod ahead;
pub mod arrays;
pub mod augment;
pub mod class_folders;
mod decode;
pub mod doubts;
pub mod fetch;
pub mod findings;
pub mod folder;
mod formats;
pub mod generated;
pub mod groups;
pub mod images;
pub mod index;
mod listing;
mod memory;
mod order;
mod orientation;
pub mod pixels;
pub mod residency;
mod resize;
pub mod sampler;
pub mod source;
pub mod split;
mod stream;
mod table;
mod tiff;

use folder::PassedOver;
use index::Index;
use pixels::Pixels;

/// The images of an experiment, and what came up when they were read.
#[derive(Debug)]
pub struct Dataset {
    /// What is known of them.
    pub index: Index,
    /// What they look like.
    pub pixels: Pixels,
    /// Width and height of each image's file in pixels, as stored; none where images do not lie in files of their own.
    pub sizes: Vec<(u32, u32)>,
    /// What looks like an image and was left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// What lies among them and is no image.
    pub passed_over: PassedOver,
    /// What one should know of how the data was read, one sentence each.
    pub notes: Vec<String>,
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
