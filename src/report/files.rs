//! The files of a report: `plots/` and `report.html`.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;

use super::plots::{Plot, is_plot};
use crate::disk::Folder;

/// The page, in a run or study directory.
pub const PAGE: &str = "report.html";

/// The folder of plots there.
const PLOTS: &str = "plots";

/// Writes `plots` and the `page` into `folder`; plots of an earlier report that there are no more are removed.
///
/// # Errors
/// A disk that is full or cannot be written. Each file is whole or as it was.
pub fn write(folder: &Folder, plots: &[Plot], page: &str) -> Result<()> {
    let own = folder.make_folder(PLOTS)?;
    let files: Vec<(String, Vec<u8>)> = plots
        .par_iter()
        .map(|plot| {
            let svg = (format!("{}.svg", plot.name), plot.svg()?.into_bytes());
            Ok([svg, (format!("{}.png", plot.name), plot.png()?)])
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    for (name, bytes) in &files {
        own.write_unsynced(name, bytes)?;
    }
    for name in own.names()? {
        let path = Path::new(&name);
        let [stem, end] = [path.file_stem(), path.extension()]
            .map(|text| text.and_then(OsStr::to_str).unwrap_or_default());
        let drawn = is_plot(stem) && ["svg", "png"].contains(&end);
        if drawn && files.iter().all(|(own, _)| Path::new(own) != path) {
            own.remove(&name)?;
        }
    }
    folder.write_whole(PAGE, page.as_bytes())
}
