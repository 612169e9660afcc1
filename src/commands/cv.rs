//! `signet cv`.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use crate::cli::{Cv, OnFail};
use crate::config::{Experiment, Threads};
use crate::fault::{Blame, Fault};
use crate::report::summary;
use crate::run::checkpoint::write_whole;
use crate::run::display::Style;
use crate::run::interrupt::Interrupt;
use crate::run::lock::Lock;
use crate::study::runner::{Display, Runner, folder_of};
use crate::study::summary::Summary;
use crate::study::trials::{Deal, Trial, plan};

/// The document `study.json`: what a study is, so that another one does not go on in its folder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Study {
    deal: Deal,
    /// Threads of each trial, settled by the first sitting, since figures depend on them.
    threads: usize,
    trials: Vec<Trial>,
}

/// The experiment of a study, resolved, in its folder.
const EXPERIMENT: &str = "experiment.yaml";

pub(super) fn run(command: Cv, style: Style) -> Result<()> {
    let experiment = super::load(&command.config, &command.overrides)?;
    let deal = match (command.folds, command.holdout) {
        (Some(folds), _) => Deal::Folds {
            folds: folds as usize,
            repeats: command.repeats,
        },
        (None, Some(splits)) => Deal::Holdout { splits },
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let trials = plan(&experiment, deal)
        .map_err(|message| anyhow!(message))
        .blame(Fault::Config)?;
    check_all(&experiment, &trials)?;
    let folder = folder_of(
        &experiment.run.root,
        &experiment.name,
        command.run.as_deref(),
    );
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))
        .blame(Fault::Run)?;
    let _lock = Lock::take(&folder).blame(Fault::Run)?;
    let cores = Threads::Auto.count();
    if command.jobs > cores {
        crate::note!(
            "signet: {} trials at a time share {cores} core(s)",
            command.jobs
        );
    }
    let fresh = Study {
        deal,
        threads: (experiment.threads.count() / command.jobs).max(1),
        trials,
    };
    let study = begin_or_go_on(&folder, &experiment, fresh).blame(Fault::Run)?;
    let interrupt = Interrupt::listen()?;
    let display = Display::new(style, study.trials.len());
    let outcome = Runner {
        folder: &folder,
        experiment: &folder.join(EXPERIMENT),
        at_once: command.jobs,
        threads: study.threads,
        go_on: command.on_fail == OnFail::Continue,
        interrupt: &interrupt,
        display: &display,
    }
    .run(&study.trials);
    if let Some(signal) = interrupt.signal() {
        let done = outcome.results.len();
        let error = anyhow!(
            "stopped with {done} of {} trials done; the same command goes on",
            study.trials.len()
        );
        return Err(error).blame(Fault::stopped_by(signal));
    }
    if !outcome.results.is_empty() {
        let found = Summary::of(outcome.results);
        let json = serde_json::to_string_pretty(&found)? + "\n";
        write_whole(&folder.join("summary.json"), json.as_bytes()).blame(Fault::Run)?;
        write_whole(&folder.join("summary.csv"), found.to_csv().as_bytes()).blame(Fault::Run)?;
        crate::answer!("{}", summary::study(&found, &folder));
    }
    match outcome.failed.as_slice() {
        [] => Ok(()),
        failed => {
            let each: Vec<String> = failed
                .iter()
                .map(|(trial, why)| format!("{trial} {why}"))
                .collect();
            Err(anyhow!(
                "{} trial(s) failed: {}",
                failed.len(),
                each.join("; ")
            ))
            .blame(Fault::Run)
        }
    }
}

/// Every trial's experiment is checked, and its pictures are dealt, before the first one starts.
fn check_all(experiment: &Experiment, trials: &[Trial]) -> Result<()> {
    let data = crate::data::Dataset::load(&experiment.data).blame(Fault::Data)?;
    let yaml = experiment.to_yaml();
    for trial in trials {
        let document = crate::config::document::Document::parse(
            trial.name.clone(),
            yaml.clone(),
            &trial.overrides,
        )
        .blame(Fault::Config)?;
        let own =
            Experiment::from_document(&document, Path::new("trial"), &[crate::model::plan::check])
                .blame(Fault::Config)?;
        crate::data::split::Split::deal(&data, &own.data.split, own.seed).blame(Fault::Data)?;
    }
    Ok(())
}

/// Writes down what the study is, or makes sure that the folder holds this very one.
fn begin_or_go_on(folder: &Path, experiment: &Experiment, fresh: Study) -> Result<Study> {
    let (file, own) = (folder.join("study.json"), folder.join(EXPERIMENT));
    if !file.exists() {
        write_whole(&own, experiment.to_yaml().as_bytes())?;
        let text = serde_json::to_string_pretty(&fresh)? + "\n";
        write_whole(&file, text.as_bytes())?;
        return Ok(fresh);
    }
    let place = || format!("{} is damaged", file.display());
    let known: Study =
        serde_json::from_str(&std::fs::read_to_string(&file)?).with_context(place)?;
    let then = Experiment::load(&own, &[], &[])?;
    let changes = crate::run::policy::changes(&then, experiment);
    if let Some(change) = changes.first() {
        return Err(anyhow!(
            "{} is a study of another experiment: {} is {} there, but {} here; name another folder with --run",
            folder.display(),
            change.key,
            change.old,
            change.new
        ));
    }
    ensure!(
        known.trials == fresh.trials,
        "{} is a study of other trials ({} of them); name another folder with --run",
        folder.display(),
        known.trials.len()
    );
    Ok(known)
}
