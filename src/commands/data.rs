//! `signet data info`, `npy`, `fetch` and `generate`, and the way to `check`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use console::{Alignment, measure_text_width, pad_str};
use image::ImageFormat;
use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::cli::DataCommand;
use crate::config::data::SplitConfig;
use crate::data::doubts::doubts;
use crate::data::fetch::{Archive, fetch};
use crate::data::generated;
use crate::data::split::Split;
use crate::data::{Dataset, arrays};
use crate::disk::Folder;
use crate::messages::{self, escaped};
use crate::report::summary::mebibytes;
use crate::run::display::Style;
use crate::run::screen;

use super::{check, load};

pub(super) fn run(command: DataCommand, style: Style) -> Result<()> {
    match command {
        DataCommand::Info { config, overrides } => {
            let experiment = load(&config, &overrides)?;
            let data = Dataset::load(&experiment.data)?;
            let split = Split::new(&data.index, &experiment.data.split, experiment.seed)?;
            messages::show_text(&describe(&data, &split, &experiment.data.split))
        }
        DataCommand::Check {
            config,
            overrides,
            cv,
            strict,
            files,
        } => check::run(&config, &overrides, cv.as_deref(), strict, &files),
        DataCommand::Npy {
            config,
            out,
            overrides,
        } => {
            let experiment = load(&config, &overrides)?;
            let data = Dataset::load(&experiment.data)?;
            super::report_reading(&data);
            let index = &data.index;
            let write = |folder: &Folder| arrays::write(folder, &data.pixels, &index.labels);
            write_folder(&out, write)?;
            crate::show!(
                "{} images in {}; Y numbers the classes {}{}",
                index.len(),
                out.display(),
                index.classes.join(", "),
                names_again(&index.classes)
            )
        }
        DataCommand::Fetch { out, url } => {
            let mut archive = Archive::sign_language_digits();
            archive.url = url.unwrap_or(archive.url);
            let shown = if style.draws_bars() {
                ProgressBar::with_draw_target(None, screen::target())
            } else {
                ProgressBar::hidden()
            };
            let fetched = fetch(&archive, &out, &shown)?;
            let root = fetched.root.display();
            if fetched.already_there {
                crate::show!("{root} already holds all {} images", fetched.files)
            } else {
                crate::show!("{} images in {root}, checked", fetched.files)
            }
        }
        DataCommand::Generate {
            dir,
            mut digits,
            images,
            seed,
            side,
        } => {
            digits.sort_unstable();
            digits.dedup();
            generate(&dir, &digits, images, seed, side)?;
            crate::show!(
                "{} images of {} digits in {}",
                images * digits.len() as u64,
                digits.len(),
                dir.display()
            )
        }
    }
}

/// How to read the classes from their numbers again, unless they are called by those.
fn names_again(classes: &[String]) -> String {
    let mut numbered = classes.iter().enumerate();
    if numbered.all(|(number, class)| *class == number.to_string()) {
        return String::new();
    }
    let map = classes.iter().enumerate();
    let map: Vec<String> = map
        .map(|(number, class)| format!("{class:?}: {number}"))
        .collect();
    format!(
        "; read them again with data.source.label_map: {{{}}}",
        map.join(", ")
    )
}

/// Draws images into `dir/<digit>/`.
fn generate(dir: &Path, digits: &[u8], images: u64, seed: u64, side: u32) -> Result<()> {
    let jobs: Vec<(u8, u64)> = digits
        .iter()
        .flat_map(|&digit| (0..images).map(move |index| (digit, index)))
        .collect();
    write_folder(dir, |folder| {
        let made = digits
            .iter()
            .map(|digit| Ok((*digit, folder.make_folder(digit.to_string())?)));
        let folders: BTreeMap<u8, Folder> = made.collect::<Result<_>>()?;
        jobs.par_iter().try_for_each(|&(digit, index)| {
            let mut file = BufWriter::new(folders[&digit].create(format!("{index:04}.png"))?);
            let drawn = generated::draw(digit, index, seed, side);
            drawn.write_to(&mut file, ImageFormat::Png)?;
            Ok(file.flush()?)
        })
    })
}

/// Lets `write` fill a folder beside `dir` and renames it, so that `dir` is whole or absent.
fn write_folder(dir: &Path, write: impl Fn(&Folder) -> Result<()>) -> Result<()> {
    let place = || format!("cannot write {}", dir.display());
    let (above, name) = Folder::above(dir).with_context(place)?;
    if above.kind(&name).is_some() {
        bail!(
            "{} already exists; choose a folder that does not",
            dir.display()
        );
    }
    let unfinished = above.unfinished().with_context(place)?;
    // A folder within, because the lock is not part of the result.
    let whole = unfinished
        .folder()
        .make_folder("whole")
        .with_context(place)?;
    write(&whole).with_context(place)?;
    unfinished.folder().rename("whole", &above, &name)
}

/// Sizes of image files, the most frequent first, such as `100 x 100 (410)`.
fn counted(sizes: &[(u32, u32)]) -> String {
    let mut counts: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for size in sizes {
        *counts.entry(*size).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words = counts
        .into_iter()
        .map(|((width, height), count)| format!("{width} x {height} ({count})"));
    words.collect::<Vec<_>>().join(", ")
}

/// What a person wants to know of a data set before training on it.
fn describe(data: &Dataset, split: &Split, config: &SplitConfig) -> String {
    let index = &data.index;
    let [channels, height, width] = index.shape;
    let mut lines = vec![format!(
        "images       {} of {channels} x {height} x {width}",
        index.len()
    )];
    if !data.sizes.is_empty() {
        lines.push(format!("sizes        {}", counted(&data.sizes)));
    }
    lines.push(match data.pixels.bytes() {
        0 => "residency    on the disk, read when they are needed".to_owned(),
        bytes => format!("residency    in memory, {}", mebibytes(bytes)),
    });
    let names: Vec<_> = index.classes.iter().map(|class| escaped(class)).collect();
    let widths = names.iter().map(|name| measure_text_width(name));
    let widest = widths.max().unwrap_or(0).max(6);
    for (label, class) in names.iter().enumerate() {
        let count = |part: &[usize]| {
            part.iter()
                .filter(|&&image| index.labels[image] == label as i64)
                .count()
        };
        let total = index
            .labels
            .iter()
            .filter(|&&found| found == label as i64)
            .count();
        let parts = split
            .parts()
            .map(|(name, part)| format!("{name} {}", count(part)));
        let class = pad_str(class, widest, Alignment::Left, None);
        lines.push(format!("class {class} {total} ({})", parts.join(", ")));
    }
    for (channel, (mean, sd)) in data.pixels.statistics(&split.train).into_iter().enumerate() {
        lines.push(format!(
            "channel {channel}    mean {mean:.4}, sd {sd:.4} on the training part"
        ));
    }
    let duplicates = index.duplicates();
    lines.push(format!("duplicates   {} groups", duplicates.len()));
    lines.extend(
        duplicates
            .iter()
            .map(|group| group.iter().map(|&image| index.names[image].as_str()))
            .map(|group| group.collect::<Vec<_>>().join(", "))
            .map(|names| format!("  equal      {}", escaped(&names))),
    );
    let doubts = doubts(index, split, config).into_iter();
    lines.extend(doubts.map(|doubt| escaped(&format!("doubtful     {doubt}")).into_owned()));
    let notes = data.notes.iter();
    lines.extend(notes.map(|note| escaped(&format!("note         {note}")).into_owned()));
    lines.push(format!("left out     {}", data.left_out.len()));
    lines.extend(
        data.left_out
            .iter()
            .map(|(name, why)| escaped(&format!("  {name} {why}")).into_owned()),
    );
    if data.passed_over.total() > 0 {
        let kinds = data.passed_over.to_string();
        let line = format!(
            "passed over  {} that are no images: {kinds}",
            data.passed_over.total()
        );
        lines.push(escaped(&line).into_owned());
    }
    lines.push(format!("fingerprint  {}", index.fingerprint()));
    lines.join("\n") + "\n"
}
