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
use crate::study::halving::Rung;
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
    let show = |folder: &Path| Ok(results::evaluated(folder, part));
    let all = &launch.study.trials;
    let outcome = launch.runner().run(all, None, &ask, &show);
    let done = outcome.results.len();
    launch.stopped(done)?;
    if let Some(share) = launch.share {
        let waiting = (done < all.len()).then_some(Rung {
            number: 1,
            of: 1,
            epochs: experiment.train.epochs,
            trials: all.len(),
            done,
        });
        launch.share_ended(share, &outcome.failed, waiting)?;
        return study::verdict(&outcome.failed);
    }
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
