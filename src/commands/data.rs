//! `signet data fetch` and `signet data generate`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;

use crate::cli::DataCommand;
use crate::data::fetch::{Archive, fetch};
use crate::data::generated;
use crate::fault::{Blame, Fault};

pub(super) fn run(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Fetch { out, url } => {
            let mut archive = Archive::sign_language_digits();
            archive.url = url.unwrap_or(archive.url);
            let fetched = fetch(&archive, &out).blame(Fault::Data)?;
            let root = fetched.root.display();
            match fetched.already_there {
                true => println!("{} pictures lie in {root} already, whole", fetched.files),
                false => println!("{} pictures in {root}, checked", fetched.files),
            }
            Ok(())
        }
        DataCommand::Generate {
            dir,
            mut digits,
            pictures,
            seed,
            side,
        } => {
            digits.sort_unstable();
            digits.dedup();
            generate(&dir, &digits, pictures, seed, side).blame(Fault::Data)?;
            println!(
                "{} pictures of {} digits in {}",
                pictures * digits.len() as u64,
                digits.len(),
                dir.display()
            );
            Ok(())
        }
    }
}

/// Draws into a folder beside `dir` and renames it, so that `dir` is whole or absent.
fn generate(dir: &Path, digits: &[u8], pictures: u64, seed: u64, side: u32) -> Result<()> {
    if dir.exists() {
        bail!(
            "{} exists already; name a folder that does not",
            dir.display()
        );
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let place = || format!("cannot write pictures beside {}", dir.display());
    std::fs::create_dir_all(parent).with_context(place)?;
    let unfinished = tempfile::Builder::new()
        .prefix(".generate-")
        .tempdir_in(parent)
        .with_context(place)?;
    let jobs: Vec<(u8, u64)> = digits
        .iter()
        .flat_map(|&digit| (0..pictures).map(move |index| (digit, index)))
        .collect();
    for digit in digits {
        std::fs::create_dir(unfinished.path().join(digit.to_string())).with_context(place)?;
    }
    jobs.par_iter().try_for_each(|&(digit, index)| {
        let file = unfinished.path().join(format!("{digit}/{index:04}.png"));
        generated::draw(digit, index, seed, side)
            .save(&file)
            .with_context(place)
    })?;
    std::fs::rename(unfinished.path(), dir).with_context(place)
}
