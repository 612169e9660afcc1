//! `signet cv`.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::study;
use crate::cli::Cv;
use crate::fault::{Blame, Fault};
use crate::report::studies;
use crate::run::display::Style;
use crate::say;
use crate::study::figures;
use crate::study::folder::{Kind, SUMMARY};
use crate::study::summary::Summary;
use crate::study::trials::{self, Deal, plan};

pub(super) fn run(command: Cv, style: Style) -> Result<()> {
    let experiment = super::load(&command.config, &command.overrides)?;
    let deal = deal(&command);
    let trials = plan(&experiment, &deal)
        .map_err(|message| anyhow!(message))
        .blame(Fault::Config)?;
    trials::check(&experiment, &trials)?;
    let part = deal.part();
    let folder = experiment.run.root.join(format!("{}-cv", experiment.name));
    let sitting = study::Sitting::open(
        &command.study,
        &folder,
        &experiment,
        Kind::Deal(deal),
        trials,
        style,
    )?;
    let ask = |folder: &Path| figures::judge(folder, part);
    let outcome = sitting.runner().run(&sitting.study.trials, None, &ask);
    sitting.stopped(outcome.results.len())?;
    if !outcome.results.is_empty() {
        let found = Summary::of(part, outcome.results);
        sitting.dir.write(SUMMARY, &found).blame(Fault::Run)?;
        sitting
            .dir
            .write_text("summary.csv", &found.to_csv())
            .blame(Fault::Run)?;
        say::show_text(&studies::study(&found, sitting.dir.path()));
    }
    study::verdict(&outcome.failed)
}

fn deal(command: &Cv) -> Deal {
    let repeats = command.repeats;
    match (command.folds, command.holdout) {
        (Some(folds), _) if command.inner => Deal::InnerFolds {
            folds: folds as usize,
            repeats,
        },
        (Some(folds), _) => Deal::Folds {
            folds: folds as usize,
            repeats,
        },
        (None, Some(splits)) => Deal::Holdout { splits },
        (None, None) => unreachable!("clap asks for one of them"),
    }
}
