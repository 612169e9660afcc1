//! One launch of a run: what `signet train` and `signet resume` do once they know where to begin.

use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;

use super::{export, live, report};
use crate::config::Experiment;
use crate::distributed::Ranks;
use crate::messages::{self, Level};
use crate::report::files;
use crate::report::live::LivePort;
use crate::report::summary;
use crate::report::tensorboard::TensorBoard;
use crate::run::arithmetic;
use crate::run::checkpointer::Checkpointer;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::interrupt::Interrupt;
use crate::run::logs::{self, Logs};
use crate::run::orders::Orders;
use crate::run::session::Session;
use crate::train::event::Observer;
use crate::train::replay;
use crate::train::snapshot::TrainState;
use crate::train::trainer::{Ended, Pause};

/// Trains from `state` on, watched, recorded and kept, until the end, a signal, or the end of epoch `until`.
pub(super) fn go(
    session: &Session,
    folder: &RunDir,
    state: TrainState,
    until: Option<usize>,
    live: Option<LivePort>,
    style: Style,
) -> Result<()> {
    for remark in session.threads.remarks() {
        crate::status!("signet: {remark}");
    }
    if let Some(remark) = arithmetic::remark(session.experiment.train.precision, session.device) {
        crate::status!("signet: {remark}");
    }
    let train = &session.experiment.train;
    let pieces = train.pieces(session.ranks.world());
    let replays = replay::available(train, pieces, session.device);
    if let (true, Err(reason)) = (train.cuda_graphs, replays) {
        crate::status!("signet: train.cuda_graphs: true has no effect: {reason:#}");
    }
    if style.is_for_people() {
        crate::status!("{}", summary::heading(session, folder.path()));
    }
    let interrupt = Interrupt::listen()?;
    let trainer = session.trainer();
    let mut state = trainer.as_rank_0(state)?;
    let before = summary::before(session, trainer.steps_per_epoch());
    messages::note_text(Level::Verbose, &before);
    let began = Instant::now();
    let live = live
        .map(|port| live::of_run(port, session, folder))
        .transpose()?;
    folder.folder().remove(files::PAGE)?; // what an earlier launch came to
    let mut logs = Logs::open(session, folder)?;
    let mut tensorboard = TensorBoard::open(session, folder, &state.progress)?;
    let mut checkpointer = Checkpointer::new(session, folder);
    let outlook = display::Outlook {
        progress: &state.progress,
        // It is only looked at, so what cannot be read of it is no reason to stop.
        history: logs::read(folder.path()).unwrap_or_default(),
        epochs: train.epochs,
        steps_per_epoch: trainer.steps_per_epoch(),
        metric: session.experiment.checkpoint.metric,
    };
    let mut shown = display::listener(style, outlook);
    let mut listeners: Vec<&mut dyn Observer> = vec![&mut logs];
    listeners.extend(tensorboard.as_mut().map(|listener| listener as _));
    listeners.push(&mut checkpointer); // a checkpoint counts what the others have written
    listeners.push(shown.as_mut());
    let ended = train_together(session, &mut state, &mut listeners, until, &interrupt)?;
    if let Ended::Paused(_) = ended {
        interrupt.go_on(|signal| summary::stopped(signal, &state.progress, folder.path()))?;
        return crate::show!("{}", summary::paused(&state.progress, folder.path()));
    }
    let after = summary::after(session, &state.progress, folder.path(), began.elapsed());
    messages::show_text(&after)?;
    let exported = export::on_finish(&session.experiment, folder, Some(session), &interrupt);
    if interrupt.signal().is_none() {
        let page = report::on_finish(session, folder, &state.progress);
        if let Some((live, page)) = live.zip(page) {
            live.end(page);
        }
    }
    exported
}

/// What the other processes do while the first one does all this: they compute their shares.
pub(super) fn follow(
    ranks: Rc<Ranks>,
    own: Option<&Experiment>,
    until: Option<usize>,
) -> Result<()> {
    let Some(orders) = Orders::take(&ranks)? else {
        return Ok(());
    };
    let session = orders.session(own, ranks)?;
    let interrupt = Interrupt::listen()?;
    let trainer = session.trainer();
    let mut state = trainer.as_rank_0(trainer.begin())?;
    train_together(&session, &mut state, &mut [], until, &interrupt)?;
    interrupt.go_on(|signal| format!("stopped by {signal} as all processes of the run"))
}

/// Trains in every process, and parts when all are done.
fn train_together(
    session: &Session,
    state: &mut TrainState,
    listeners: &mut [&mut dyn Observer],
    until: Option<usize>,
    interrupt: &Interrupt,
) -> Result<Ended> {
    let pause = Pause {
        signal: &|| interrupt.signal(),
        reached: &|progress| until.is_some_and(|until| progress.epoch > until),
    };
    let ended = session.trainer().run(state, listeners, &pause);
    // Whoever looked first has told the others that it goes on no longer; all of them know why.
    let ended = ended.or_else(|error| state.ensure_finite().and(Err(error)))?;
    session.ranks.barrier()?;
    if let Ended::Paused(signal) = ended {
        interrupt.hear(signal);
    }
    Ok(ended)
}
