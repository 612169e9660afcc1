//! `signet sweep`.

use anyhow::Result;

use super::study::{self, Launch};
use crate::cli::{Overrides, SweepArguments as Command};
use crate::messages;
use crate::report::studies;
use crate::run::display::Style;
use crate::study::folder::{SUMMARY, StudyKind};
use crate::study::halving::{Ended, Finish, halve};
use crate::study::ranking::{Ranking, Tested};
use crate::study::sweep::Sweep;
use crate::study::trials;

pub(super) fn run(command: Command, style: Style) -> Result<()> {
    let (sweep, document) = Sweep::load(&command.sweep)?;
    let own = Overrides {
        set: sweep.overrides(),
    };
    let base = super::load(&sweep.base, &own)?;
    let points = sweep.points();
    let plans = sweep.plan(&base, &points, &document)?;
    let all = plans.concat();
    trials::check(&base, &all)?;
    let folder = base.run.root.join(format!("{}-sweep", sweep.name));
    let launch = Launch::open(
        &command.study,
        &folder,
        &base,
        StudyKind::Sweep(sweep.clone()),
        all,
        style,
    )?;
    let Finish {
        standings,
        failed,
        ended,
    } = halve(&launch.runner(), &sweep, &base, &points, &plans)?;
    let done = standings.iter().map(|standing| standing.trials.len()).sum();
    launch.stopped(done)?;
    let waiting = match ended {
        Ended::Complete => None,
        Ended::Stopped => return study::verdict(&failed),
        Ended::Waiting(rung) => Some(rung),
    };
    if let Some(share) = launch.share {
        launch.share_ended(share, &failed, waiting)?;
        return study::verdict(&failed);
    }
    let best = standings.first().filter(|best| best.value.is_some());
    let names = best
        .into_iter()
        .flat_map(|best| &best.trials)
        .map(|reached| reached.trial.clone());
    let test = Tested::of(names.map(|trial| launch.dir.path().join(trial)))?;
    let found = Ranking {
        metric: base.checkpoint.metric.word().to_owned(),
        points: standings,
        test,
    };
    launch.dir.write(SUMMARY, &found)?;
    launch
        .dir
        .write_text("summary.csv", &studies::sweep_csv(&found)?)?;
    messages::show_text(&studies::sweep(&found, &sweep.base, launch.dir.path()))?;
    launch.report();
    study::verdict(&failed)
}
