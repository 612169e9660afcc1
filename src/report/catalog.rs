//! Tables of the runs and studies that lie in folders, for people and as CSV.

use anyhow::Result;

use super::studies::percent;
use super::summary::{best_and_last, mebibytes};
use super::table::{Table, csv_text};
use super::text_curves::text_curves;
use crate::config::train::Metric;
use crate::data::split::Manifest;
use crate::disk;
use crate::messages::escaped;
use crate::run::bars::losses;
use crate::run::checkpoints;
use crate::run::environment::LaunchRecord;
use crate::run::logs;
use crate::run::resume::Parent;
use crate::run::sparkline::sparkline;
use crate::study::catalog::{CatalogEntry, Findings, Garbage, RunEntry, StudyEntry};
use crate::study::compare::{Column, Comparison};
use crate::study::statistics::Spread;
use crate::study::summary::Summary;
use crate::terminal::Charset;
use crate::train::metrics::EpochRecord;

const HEADER: [&str; 8] = [
    "run",
    "model",
    "state",
    "epochs",
    "best epoch",
    "val acc. %",
    "test acc. %",
    "MiB",
];

/// One line per run or study.
pub fn list(entries: &[&CatalogEntry], trials: bool) -> Table {
    let mut table = Table::new(3, &HEADER);
    for row in rows(entries, trials) {
        table.add_row(row);
    }
    table
}

/// The same as CSV.
///
/// # Errors
/// None that is known.
pub fn list_csv(entries: &[&CatalogEntry], trials: bool) -> Result<String> {
    let header = [
        "run",
        "model",
        "state",
        "epochs",
        "best_epoch",
        "val_accuracy_percent",
        "test_accuracy_percent",
        "mebibytes",
    ];
    let rows = rows(entries, trials).into_iter().map(empty_for_dash);
    csv_text(std::iter::once(header.map(str::to_owned).to_vec()).chain(rows))
}

/// `row` with nothing where people are shown a dash.
fn empty_for_dash(row: Vec<String>) -> Vec<String> {
    row.into_iter()
        .map(|cell| if cell == "-" { String::new() } else { cell })
        .collect()
}

fn rows(entries: &[&CatalogEntry], trials: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for entry in entries {
        match entry {
            CatalogEntry::Run(run) => rows.push(run_row(run)),
            CatalogEntry::Study(study) => {
                rows.push(study_row(study));
                if trials {
                    rows.extend(study.begun.iter().map(run_row));
                }
            }
        }
    }
    rows
}

fn run_row(run: &RunEntry) -> Vec<String> {
    let best = run.best.as_ref();
    vec![
        run.path.display().to_string(),
        run.experiment.model.kind.word().to_owned(),
        run.state.word().to_owned(),
        format!("{} of {}", run.epochs_done, run.experiment.train.epochs),
        or_dash(best.map(|best| best.epoch.to_string())),
        or_dash(
            best.and_then(|best| best.get(Metric::ValAccuracy))
                .map(percent),
        ),
        or_dash(run.test.as_ref().map(|test| percent(test.accuracy))),
        size(run.bytes),
    ]
}

fn study_row(study: &StudyEntry) -> Vec<String> {
    let state = match (study.running, &study.summary) {
        (true, _) => "running",
        (false, Some(_)) => "complete",
        (false, None) => "unfinished",
    };
    let metrics = |metric: &dyn Fn(&RunEntry) -> Option<f64>| {
        let found: Vec<f64> = study.begun.iter().filter_map(metric).collect();
        or_dash((!found.is_empty()).then(|| mean_and_sd(&Spread::of(&found))))
    };
    vec![
        study.path.display().to_string(),
        study.experiment.model.kind.word().to_owned(),
        format!("{state}, {} of {} trials", study.done(), study.trials.len()),
        study
            .begun
            .iter()
            .map(|run| run.epochs_done)
            .sum::<usize>()
            .to_string(),
        "-".to_owned(),
        metrics(&|run| run.best.as_ref()?.get(Metric::ValAccuracy)),
        metrics(&|run| run.test.as_ref().map(|test| test.accuracy)),
        size(study.bytes),
    ]
}

/// Everything about one run or study, with its curves, which are `columns` wide.
///
/// # Errors
/// A folder of a run that cannot be listed.
pub fn show(entry: &CatalogEntry, columns: usize, charset: Charset) -> Result<String> {
    match entry {
        CatalogEntry::Run(run) => show_run(run, columns, charset),
        CatalogEntry::Study(study) => Ok(show_study(study, charset)),
    }
}

fn show_run(run: &RunEntry, columns: usize, charset: Charset) -> Result<String> {
    let launch = LaunchRecord::read(&run.path);
    let word = |of: &dyn Fn(&LaunchRecord) -> String| or_dash(launch.as_ref().map(of));
    let split = Manifest::read(&run.path.join("split.json")).ok();
    let count = |part: &dyn Fn(&Manifest) -> usize| {
        or_dash(split.as_ref().map(|split| part(split).to_string()))
    };
    let mut lines = vec![
        format!("run          {}", escaped(&run.path.display().to_string())),
        format!(
            "experiment   {}, a {}, seed {}",
            run.experiment.name,
            run.experiment.model.kind.word(),
            run.experiment.seed
        ),
        format!(
            "state        {}, {} of {} epochs",
            run.state.word(),
            run.epochs_done,
            run.experiment.train.epochs
        ),
        format!(
            "images       {} train, {} val, {} test",
            count(&|split| split.train.len()),
            count(&|split| split.val.len()),
            count(&|split| split.test.len())
        ),
        format!(
            "on           {}, {} thread(s), libtorch {}, {}",
            word(&|launch| launch.environment.device.clone()),
            word(&|launch| launch.environment.threads.to_string()),
            word(&|launch| launch.environment.libtorch.clone()),
            word(&|launch| launch.environment.cpu.clone())
        ),
        format!(
            "computed in  {}",
            or_dash(launch.as_ref().and_then(|launch| launch.arithmetic.clone()))
        ),
        format!(
            "repeats      {}",
            word(&|launch| launch.repeatability.clone())
        ),
        format!("launched     {}", word(&|launch| launch.started.clone())),
    ];
    if let Some(parent) = Parent::read(&run.path) {
        lines.push(format!(
            "branched off {}, step {}",
            escaped(&parent.run.display().to_string()),
            parent.step
        ));
    }
    let metric = run.experiment.checkpoint.metric;
    let metrics = best_and_last(run.best.as_ref(), run.last.as_ref(), metric);
    let mut text = format!("{}\n\n{metrics}\n\n{}", lines.join("\n"), files_of(run)?);
    let epochs = history(run);
    if !epochs.is_empty() {
        let best = run.best.as_ref();
        text += &format!(
            "\n\n{}",
            text_curves(&epochs, best, metric, columns, charset)
        );
    }
    Ok(text)
}

/// The epochs of a run; if they cannot be read, that is said, and there are none.
fn history(run: &RunEntry) -> Vec<EpochRecord> {
    logs::read(&run.path).unwrap_or_else(|error| {
        crate::status!("signet: no curve: {error:#}");
        Vec::new()
    })
}

/// Checkpoints and exports, with their sizes.
fn files_of(run: &RunEntry) -> Result<Table> {
    let mut files = Table::new(1, &["file", "MiB"]);
    let kept = checkpoints::list(&run.path)?
        .into_iter()
        .map(|(_, file)| file);
    let exported = disk::entries(&run.path.join("export"))?;
    let mut exported: Vec<_> = exported.iter().map(|entry| entry.path()).collect();
    exported.sort();
    for file in kept.chain(exported) {
        let bytes = std::fs::metadata(&file).map_or(0, |found| found.len());
        let name = file
            .strip_prefix(&run.path)
            .unwrap_or(&file)
            .display()
            .to_string();
        files.add_row([name, size(bytes)]);
    }
    files.add_row(["in all".to_owned(), size(run.bytes)]);
    Ok(files)
}

fn show_study(study: &StudyEntry, charset: Charset) -> String {
    const CELLS: usize = 20;
    let (words, numbers) = HEADER.split_at(3);
    let mut last = study.begun.iter().filter_map(|run| run.last.as_ref());
    let part = if last.any(|record| record.val.is_some()) {
        "val loss"
    } else {
        "train loss"
    };
    let mut trials = Table::new(4, &[words, &[part], numbers].concat());
    for run in &study.begun {
        let mut row = run_row(run);
        row.insert(3, sparkline(&losses(&history(run)), CELLS, charset));
        trials.add_row(row);
    }
    let waiting = study.trials.len() - study.begun.len();
    let mut text = format!("{trials}\n\n{}", escaped(&study_row(study)[..3].join("  ")));
    if waiting > 0 {
        text += &format!("; {waiting} not started");
    }
    if let Some(Findings::Resampling(Summary { part, accuracy, .. })) = &study.summary {
        text += &format!(
            "\n{part} accuracy {} +- {} % (mean, sd)",
            percent(accuracy.mean),
            percent(accuracy.sd)
        );
    }
    text
}

/// Settings that differ, metrics, and paired differences with their 95 % intervals.
pub fn compare(found: &Comparison) -> String {
    let names: Vec<String> = found
        .columns
        .iter()
        .map(|column| column.path.display().to_string())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut settings = Table::new(1 + names.len(), &[&["setting"], &names[..]].concat());
    for setting in &found.settings {
        let values = setting.values.iter().map(|value| or_dash(value.clone()));
        settings.add_row(std::iter::once(setting.key.clone()).chain(values));
    }
    let settings = if found.settings.is_empty() {
        "the settings are the same".to_owned()
    } else {
        settings.to_string()
    };
    let mut metrics = Table::new(1, &[&["metric"], &names[..]].concat());
    for (name, cells) in metric_rows(found, &shown) {
        metrics.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    let paired = paired_sentences(found).into_iter();
    let paired: String = paired.map(|sentence| format!("\n\n{sentence}")).collect();
    format!("{settings}\n\n{metrics}{paired}")
}

/// How much better each is than the first, for those that share splits with it.
pub(super) fn paired_sentences(found: &Comparison) -> Vec<String> {
    let name = |column: &Column| escaped(&column.path.display().to_string()).into_owned();
    let first = found.columns.first().map(name).unwrap_or_default();
    let sentence = |column: &Column| {
        let paired = column.paired.as_ref()?;
        let [low, high] = paired.interval.map(|end| format!("{:+.2}", 100.0 * end));
        Some(format!(
            "{} minus {first}, on {} common splits: accuracy {:+.2} points (95 % interval {low} to {high}, \
             corrected for shared images)",
            name(column),
            paired.splits,
            100.0 * paired.mean
        ))
    };
    found.columns.iter().filter_map(sentence).collect()
}

/// The same as CSV: a line per setting that differs and per metric.
///
/// # Errors
/// None that is known.
pub fn compare_csv(found: &Comparison) -> Result<String> {
    let row = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let names = found
        .columns
        .iter()
        .map(|column| column.path.display().to_string());
    let mut rows = vec![row("", names.collect())];
    for setting in &found.settings {
        let values = setting
            .values
            .iter()
            .map(|value| value.clone().unwrap_or_default());
        rows.push(row(&setting.key, values.collect()));
    }
    let full = |spread: &Spread| spread.mean.to_string();
    for (name, cells) in metric_rows(found, &full) {
        rows.push(row(name, empty_for_dash(cells)));
    }
    for (name, end) in [
        ("difference", None),
        ("difference_low", Some(0)),
        ("difference_high", Some(1)),
    ] {
        let cell = |paired: &crate::study::statistics::Paired| match end {
            None => paired.mean.to_string(),
            Some(end) => paired.interval[end].to_string(),
        };
        let cells = found
            .columns
            .iter()
            .map(|column| column.paired.as_ref().map_or(String::new(), cell));
        rows.push(row(name, cells.collect()));
    }
    csv_text(rows)
}

/// The metrics of each column, a row each.
pub(super) fn metric_rows(
    found: &Comparison,
    word: &dyn Fn(&Spread) -> String,
) -> Vec<(&'static str, Vec<String>)> {
    let row = |metric: &dyn Fn(&Column) -> Option<Spread>| {
        let cells = found
            .columns
            .iter()
            .map(|column| or_dash(metric(column).as_ref().map(word)));
        cells.collect()
    };
    vec![
        (
            "epochs",
            found
                .columns
                .iter()
                .map(|column| column.epochs.to_string())
                .collect(),
        ),
        ("train accuracy", row(&|column| column.train_accuracy)),
        ("val accuracy", row(&|column| column.val_accuracy)),
        ("val loss", row(&|column| column.val_loss)),
        ("evaluated accuracy", row(&|column| column.judged)),
    ]
}

/// A mean, with its standard deviation if there is more than one value.
pub(super) fn shown(spread: &Spread) -> String {
    match spread.sd {
        0.0 => format!("{:.4}", spread.mean),
        sd => format!("{:.4} +- {sd:.4}", spread.mean),
    }
}

/// What may go, and why.
pub fn garbage(found: &[Garbage]) -> Table {
    let mut table = Table::new(2, &["file", "reason", "MiB"]);
    for garbage in found {
        table.add_row([
            garbage.folder.file(&garbage.name).display().to_string(),
            garbage.why.clone(),
            size(garbage.bytes),
        ]);
    }
    table
}

fn mean_and_sd(spread: &Spread) -> String {
    format!("{} +- {}", percent(spread.mean), percent(spread.sd))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn size(bytes: u64) -> String {
    mebibytes(bytes as usize)
        .trim_end_matches(" MiB")
        .to_owned()
}
