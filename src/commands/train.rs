//! `signet train`.

use std::time::Instant;

use anyhow::Result;

use crate::cli::Train;
use crate::fault::{Blame, Fault};
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::progress::{self, Style};
use crate::run::records::Records;
use crate::run::session::Session;
use crate::train::trainer::Trainer;

pub(super) fn run(command: Train, style: Style) -> Result<()> {
    let experiment = super::load(&command.config, &command.overrides)?;
    let session = Session::open(experiment)?;
    for (name, why) in &session.data.skipped {
        eprintln!("signet: left out {name}, which {why}");
    }
    let Session {
        experiment,
        network,
        pictures,
        split,
        ..
    } = &session;
    let trainer = Trainer {
        experiment,
        network,
        pictures,
        split,
    };
    if command.dry_run {
        print!("{}", summary::before(&session, trainer.steps_per_epoch()));
        return Ok(());
    }
    let written = std::fs::read_to_string(&command.config).blame(Fault::Config)?;
    let folder = RunDir::create(&experiment.run, &experiment.name, command.run.as_deref())
        .blame(Fault::Run)?;
    folder
        .write_beginning(&session, &written)
        .blame(Fault::Run)?;
    if style != Style::None {
        eprintln!("{}", summary::heading(&session, folder.path()));
    }
    let began = Instant::now();
    let mut records = Records::open(&session, &folder).blame(Fault::Run)?;
    let mut shown = progress::listener(style, experiment.train.epochs, trainer.steps_per_epoch());
    let outcome = trainer.run(&mut [&mut records, shown.as_mut()])?;
    println!(
        "{}",
        summary::after(&session, &outcome, folder.path(), began.elapsed())
    );
    Ok(())
}
