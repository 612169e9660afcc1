//! `data.residency` and `data.cache`: where images are while a model trains on them.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

use crate::config::key::{Rule, Shape};
use crate::config::setting::{Setting, describe, words};

words! {
    /// Where images are while a model trains on them. The bits of a run do not depend on it.
    Residency {
        /// On the device, or in memory, where they fit there, else on the disk.
        Auto = "auto",
        /// All of them on the device; on the CPU that is memory.
        Device = "device",
        /// All of them in memory.
        Memory = "memory",
        /// On the disk, from where they are read when they are needed: image files only.
        Stream = "stream",
    }
}

/// Where prepared images are kept for the next epoch, and for the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cache {
    /// In the user's cache folder, if images are read when they are needed.
    Auto,
    /// Nowhere.
    None,
    /// In a folder.
    Folder(PathBuf),
}

impl Serialize for Cache {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cache::Auto => serializer.serialize_str("auto"),
            Cache::None => serializer.serialize_str("none"),
            Cache::Folder(folder) => folder.serialize(serializer),
        }
    }
}

impl Setting for Cache {
    fn shape(_: Rule) -> Shape {
        Shape::Form("auto, none or a folder", &["auto", "none"])
    }

    fn read(value: &Value) -> Result<Cache, String> {
        match value.as_str() {
            Some("auto") => Ok(Cache::Auto),
            Some("none") => Ok(Cache::None),
            Some(folder) if !folder.is_empty() => Ok(Cache::Folder(PathBuf::from(folder))),
            _ => Err(format!(
                "expected auto, none or a folder, found {}",
                describe(value)
            )),
        }
    }
}
