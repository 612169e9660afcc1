//! `signet cv`.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::study;
use crate::cli::CvArguments;
use crate::fault::{Blame, Fault};
use crate::messages;
use crate::report::studies;
use crate::run::display::Style;
use crate::study::folder::{SUMMARY, StudyKind};
use crate::study::results;
use crate::study::summary::Summary;
use crate::study::trials::{self, Resampling, plan};

pub(super) fn run(command: CvArguments, style: Style) -> Result<()> {
    let experiment = super::load(&command.config, &command.overrides)?;
    let resampling = resampling(&command);
    let trials = plan(&experiment, &resampling)
        .map_err(|message| anyhow!(message))
        .blame(Fault::Config)?;
    trials::check(&experiment, &trials)?;
    let part = resampling.part();
    let folder = experiment.run.root.join(format!("{}-cv", experiment.name));
    let launch = study::Launch::open(
        &command.study,
        &folder,
        &experiment,
        StudyKind::Resampling(resampling),
        trials,
        style,
    )?;
    let ask = |folder: &Path| results::evaluate(folder, part);
    let outcome = launch.runner().run(&launch.study.trials, None, &ask);
    launch.stopped(outcome.results.len())?;
    if !outcome.results.is_empty() {
        let found = Summary::of(part, outcome.results);
        launch.dir.write(SUMMARY, &found)?;
        launch
            .dir
            .write_text("summary.csv", &studies::study_csv(&found)?)?;
        messages::show_text(&studies::study(&found, launch.dir.path()))?;
    }
    launch.report();
    study::verdict(&outcome.failed)
}

fn resampling(command: &CvArguments) -> Resampling {
    let repeats = command.repeats;
    match (command.folds, command.holdout) {
        (Some(folds), _) if command.inner => Resampling::InnerFolds {
            folds: folds as usize,
            repeats,
        },
        (Some(folds), _) => Resampling::Folds {
            folds: folds as usize,
            repeats,
        },
        (None, Some(splits)) => Resampling::Holdout { splits },
        (None, None) => unreachable!("clap asks for one of them"),
    }
}
