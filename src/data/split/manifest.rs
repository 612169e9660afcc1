//! A split as a file of names, such as the `split.json` of a run.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Split;
use crate::data::index::Index;
use crate::disk;

/// A split as a file: names instead of indices, so that it holds when files come or go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the data set it was made for.
    #[serde(default)]
    pub fingerprint: String,
    /// Names of the images that train.
    pub train: Vec<String>,
    /// Names of the images that choose the best epoch; none if left out.
    #[serde(default)]
    pub val: Vec<String>,
    /// Names of the images looked at once, at the end; none if left out.
    #[serde(default)]
    pub test: Vec<String>,
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// A file that is missing or is none.
    pub fn read(file: &Path) -> Result<Manifest> {
        let place = || file.display().to_string();
        let text = disk::read_text(file).with_context(place)?;
        serde_json::from_str(&text).with_context(place)
    }
}

pub(super) fn from_manifest(index: &Index, file: &Path) -> Result<Split> {
    let manifest = Manifest::read(file).context("data.split.file")?;
    let known: HashMap<&str, usize> = index
        .names
        .iter()
        .enumerate()
        .map(|(image, name)| (name.as_str(), image))
        .collect();
    let mut seen = BTreeMap::new();
    let mut part = |part: &'static str, names: &[String]| -> Result<Vec<usize>> {
        let mut indices = Vec::new();
        for name in names {
            let Some(&found) = known.get(name.as_str()) else {
                bail!(
                    "{}: {part} names {name:?}, which is not among the {} images of data.source",
                    file.display(),
                    index.len()
                );
            };
            if let Some(other) = seen.insert(name.clone(), part) {
                bail!(
                    "{}: {name:?} stands in {other} and again in {part}",
                    file.display()
                );
            }
            indices.push(found);
        }
        Ok(indices)
    };
    Ok(Split {
        train: part("train", &manifest.train)?,
        val: part("val", &manifest.val)?,
        test: part("test", &manifest.test)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::data::SplitConfig;
    use crate::data::split::tests::index;

    #[test]
    fn a_runs_split_reads_back_as_the_same_split_and_unknown_images_are_named() {
        let index = index([20, 20]);
        let config = SplitConfig::Stratified {
            train: 0.7,
            val: 0.15,
            test: 0.15,
            repeat: 0,
        };
        let split = Split::new(&index, &config, 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("split.json");
        let mut manifest = split.manifest(&index);
        std::fs::write(&file, serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(
            Split::new(&index, &SplitConfig::Manifest { file: file.clone() }, 9).unwrap(),
            split
        );
        manifest.test.push("unknown".into());
        std::fs::write(&file, serde_json::to_string(&manifest).unwrap()).unwrap();
        let message = Split::new(&index, &SplitConfig::Manifest { file }, 9)
            .unwrap_err()
            .to_string();
        assert!(message.contains("test names \"unknown\""), "{message}");
    }
}
