//! `signet runs list`, `show`, `compare` and `gc`.

use std::path::PathBuf;

use anyhow::Result;

use super::tell;
use crate::cli::RunsCommand;
use crate::disk::{Folder, Lock};
use crate::fault::{Blame, Fault};
use crate::report::shelf as tables;
use crate::report::summary::mebibytes;
use crate::study::compare::Comparison;
use crate::study::shelf::{self, Entry, Litter};

pub(super) fn run(command: RunsCommand) -> Result<()> {
    match command {
        RunsCommand::List {
            folders,
            trials,
            files,
        } => {
            let found = find(&folders).blame(Fault::Run)?;
            let entries: Vec<&Entry> = found.iter().collect();
            let shown = if entries.is_empty() {
                "there is no run yet; `signet train CONFIG` makes one".to_owned()
            } else {
                tables::list(&entries, trials).to_string()
            };
            let csv = || tables::list_csv(&entries, trials);
            tell(&files, &shown, &found, csv)
        }
        RunsCommand::Show { run, files } => {
            let entry = Entry::open(&run).blame(Fault::Run)?;
            let csv = || tables::list_csv(&[&entry], true);
            tell(&files, &tables::show(&entry), &entry, csv)
        }
        RunsCommand::Compare { runs, files } => {
            let entries: Vec<Entry> = runs
                .iter()
                .map(|run| Entry::open(run))
                .collect::<Result<_>>()
                .blame(Fault::Run)?;
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
            let found = find(&folders).blame(Fault::Run)?;
            gc(&found, keep_last, keep_best, yes).blame(Fault::Run)
        }
    }
}

fn find(folders: &[PathBuf]) -> Result<Vec<Entry>> {
    let mut report = |error| crate::note!("signet: left out: {error:#}");
    let mut found = Vec::new();
    for folder in folders {
        found.extend(shelf::find(folder, &mut report)?);
    }
    Ok(found)
}

/// Shows what may go and, if that was asked for, removes it; runs in use are left alone.
fn gc(
    found: &[Entry],
    keep_last: Option<usize>,
    keep_best: Option<usize>,
    yes: bool,
) -> Result<()> {
    let mut locks = Vec::new();
    let mut litter: Vec<Litter> = Vec::new();
    for run in found.iter().flat_map(Entry::runs) {
        let mut look = || {
            let folder = Folder::open(&run.path)?;
            locks.push(Lock::take(&folder)?);
            shelf::litter(&folder, &run.experiment.checkpoint, keep_last, keep_best)
        };
        match look() {
            Ok(found) => litter.extend(found),
            Err(error) => crate::note!("signet: left alone: {error:#}"),
        }
    }
    if litter.is_empty() {
        crate::answer!("nothing may go");
        return Ok(());
    }
    crate::answer!("{}\n", tables::litter(&litter));
    let bytes: u64 = litter.iter().map(|litter| litter.bytes).sum();
    let size = mebibytes(bytes as usize);
    if !yes {
        crate::answer!("{} file(s), {size}; --yes removes them", litter.len());
        return Ok(());
    }
    for Litter { folder, name, .. } in &litter {
        folder.remove_all(name)?;
    }
    crate::answer!("removed {} file(s), {size}", litter.len());
    Ok(())
}
