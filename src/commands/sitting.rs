//! One sitting of a run: what `signet train` and `signet resume` do once they know where to begin.

use std::time::Instant;

use anyhow::Result;

use super::export;
use crate::fault::{Blame, Fault};
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::interrupt::Interrupt;
use crate::run::keeper::Keeper;
use crate::run::records::Records;
use crate::run::resume::stopped;
use crate::run::session::Session;
use crate::say::{self, Level};
use crate::train::snapshot::State;
use crate::train::trainer::{Ended, Trainer};

/// Trains from `state` on, watched, recorded and kept, until the end, a signal, or the end of epoch `until`.
pub(super) fn go(
    session: &Session,
    folder: &RunDir,
    mut state: State,
    until: Option<usize>,
    style: Style,
) -> Result<()> {
    for remark in session.threads.remarks() {
        crate::note!("signet: {remark}");
    }
    if style.is_for_people() {
        crate::note!("{}", summary::heading(session, folder.path()));
    }
    let interrupt = Interrupt::listen()?;
    let trainer = trainer(session);
    let before = summary::before(session, trainer.steps_per_epoch());
    say::note_text(Level::Verbose, &before);
    let done = state.progress.epoch - 1;
    let began = Instant::now();
    let mut records = Records::open(session, folder).blame(Fault::Run)?;
    let mut keeper = Keeper::new(session, folder);
    let epochs = session.experiment.train.epochs;
    let mut shown = display::listener(style, done, epochs, trainer.steps_per_epoch());
    let ended = trainer.run(
        &mut state,
        &mut [&mut records, &mut keeper, shown.as_mut()],
        &|progress| {
            interrupt.signal().is_some() || until.is_some_and(|until| progress.epoch > until)
        },
    )?;
    if ended == Ended::Paused {
        if let Some(signal) = interrupt.signal() {
            return Err(stopped(signal, &state.progress, folder)).blame(Fault::stopped_by(signal));
        }
        crate::show!("{}", summary::paused(&state.progress, folder.path()));
        return Ok(());
    }
    let after = summary::after(session, &state.progress, folder.path(), began.elapsed());
    say::show_text(&after);
    export::on_finish(&session.experiment, folder, &interrupt)
}

/// The trainer of a session.
pub(super) fn trainer(session: &Session) -> Trainer<'_> {
    Trainer {
        experiment: &session.experiment,
        network: &session.network,
        pictures: &session.pictures,
        split: &session.split,
    }
}
