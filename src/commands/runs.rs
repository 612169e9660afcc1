//! `signet runs list`, `show`, `compare` and `gc`.

use std::path::PathBuf;

use anyhow::Result;

use super::tell;
use crate::cli::RunsCommand;
use crate::disk::{Folder, Lock};
use crate::report::catalog as tables;
use crate::report::summary::mebibytes;
use crate::study::catalog::{self, CatalogEntry, Garbage};
use crate::study::compare::Comparison;
use crate::terminal::{self, Charset};

pub(super) fn run(command: RunsCommand) -> Result<()> {
    match command {
        RunsCommand::List {
            folders,
            trials,
            files,
        } => {
            let found = find(&folders)?;
            let entries: Vec<&CatalogEntry> = found.iter().collect();
            let shown = if entries.is_empty() {
                "there are no runs yet; `signet train CONFIG` creates one".to_owned()
            } else {
                tables::list(&entries, trials).to_string()
            };
            let csv = || tables::list_csv(&entries, trials);
            tell(&files, &shown, &found, csv)
        }
        RunsCommand::Show { run, files } => {
            let entry = CatalogEntry::open(&run)?;
            let csv = || tables::list_csv(&[&entry], true);
            let shown = tables::show(&entry, terminal::columns(), Charset::of_locale())?;
            tell(&files, &shown, &entry, csv)
        }
        RunsCommand::Compare { runs, files } => {
            let entries: Vec<CatalogEntry> = runs
                .iter()
                .map(|run| CatalogEntry::open(run))
                .collect::<Result<_>>()?;
            let found = Comparison::of(&entries);
            let csv = || tables::compare_csv(&found);
            tell(&files, &tables::compare(&found), &found, csv)
        }
        RunsCommand::Gc {
            folders,
            keep_last,
            keep_best,
            yes,
        } => {
            let found = find(&folders)?;
            gc(&found, keep_last, keep_best, yes)
        }
    }
}

fn find(folders: &[PathBuf]) -> Result<Vec<CatalogEntry>> {
    let mut report = |error| crate::status!("signet: left out: {error:#}");
    let mut found = Vec::new();
    for folder in folders {
        found.extend(catalog::find(folder, &mut report)?);
    }
    Ok(found)
}

/// Lists what the retention rules no longer keep and, with `yes`, deletes it; runs in use are not touched.
fn gc(
    found: &[CatalogEntry],
    keep_last: Option<usize>,
    keep_best: Option<usize>,
    yes: bool,
) -> Result<()> {
    let mut locks = Vec::new();
    let mut garbage: Vec<Garbage> = Vec::new();
    for run in found.iter().flat_map(CatalogEntry::runs) {
        let mut look = || {
            let folder = Folder::open(&run.path)?;
            locks.push(Lock::take(&folder)?);
            catalog::garbage(&folder, &run.experiment.checkpoint, keep_last, keep_best)
        };
        match look() {
            Ok(found) => garbage.extend(found),
            Err(error) => crate::status!("signet: not touched: {error:#}"),
        }
    }
    if garbage.is_empty() {
        return crate::out!("nothing to delete");
    }
    crate::out!("{}\n", tables::garbage(&garbage))?;
    let bytes: u64 = garbage.iter().map(|garbage| garbage.bytes).sum();
    let size = mebibytes(bytes as usize);
    if !yes {
        return crate::out!(
            "{} file(s), {size}; add --yes to delete them",
            garbage.len()
        );
    }
    for Garbage { folder, name, .. } in &garbage {
        folder.remove_all(name)?;
    }
    crate::out!("deleted {} file(s), {size}", garbage.len())
}
