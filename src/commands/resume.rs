//! `signet resume`, and the part of `signet train --resume` that is the same.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

use super::export;
use super::launch::{go, trainer};
use crate::cli::ResumeArguments;
use crate::config::{Device, Experiment, Threads};
use crate::disk::{Folder, Lock};
use crate::fault::{Blame, Fault};
use crate::messages::{self, Level};
use crate::report::summary;
use crate::run::checkpointer;
use crate::run::checkpoints;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::prove;
use crate::run::resume::{self, CheckpointRef};
use crate::run::session::Session;
use crate::train::progress::ExtendMode;

/// How a run is to go on.
pub(super) struct Wish {
    from: CheckpointRef,
    experiment: Asked,
    extend: Option<ExtendMode>,
    branch: Option<PathBuf>,
    until: Option<usize>,
}

/// Under which experiment.
enum Asked {
    /// The run's own, with keys laid over it.
    Own(Vec<String>),
    /// Another file's.
    Given(Box<Experiment>),
}

impl Wish {
    /// To go on from the newest checkpoint under `experiment`.
    pub(super) fn under(
        experiment: Experiment,
        extend: Option<ExtendMode>,
        until: Option<usize>,
    ) -> Wish {
        Wish {
            from: CheckpointRef::Last,
            experiment: Asked::Given(Box::new(experiment)),
            extend,
            branch: None,
            until,
        }
    }
}

pub(super) fn run(command: ResumeArguments, style: Style) -> Result<()> {
    let folder = RunDir::open(&command.run).blame(Fault::Run)?;
    if command.prove {
        return prove(&folder, command.from.as_ref(), style);
    }
    let mut overrides = command.overrides.set;
    if let Some(epochs) = command.epochs {
        overrides.push(format!("train.epochs={epochs}"));
    }
    let wish = Wish {
        from: command.from.unwrap_or(CheckpointRef::Last),
        experiment: Asked::Own(overrides),
        extend: command.extend,
        branch: command.branch,
        until: command.until,
    };
    go_on(&folder, wish, style)
}

/// Goes on with the run in `folder`.
pub(super) fn go_on(folder: &RunDir, wish: Wish, style: Style) -> Result<()> {
    // A run that only lends its checkpoint may be training meanwhile.
    let lock = match wish.branch {
        None => Some(Lock::take(folder.folder()).blame(Fault::Run)?),
        Some(_) => None,
    };
    let found = resume::find(folder, &wish.from).blame(Fault::Run)?;
    found.report();
    resume::belongs(folder, &found).blame(Fault::Run)?;
    let document = &found.checkpoint.document;
    // Settings are those of the last launch, whichever checkpoint it goes on from.
    let newest = checkpoints::newest(folder.path()).blame(Fault::Run)?;
    resume::belongs(folder, &newest).blame(Fault::Run)?;
    let latest = &newest.checkpoint.document;
    let old = resume::experiment(latest, &[]).blame(Fault::Config)?;
    let new = match wish.experiment {
        Asked::Own(overrides) => resume::experiment(latest, &overrides).blame(Fault::Config)?,
        Asked::Given(experiment) => settled_as(&old, *experiment),
    };
    let mut progress = document.progress.clone();
    progress.extensions = latest.progress.extensions.clone();
    let branches = wish.branch.is_some();
    let changes =
        resume::settle(&old, &new, branches, wish.extend, &mut progress).blame(Fault::Config)?;
    if !branches {
        resume::keeps_settings(folder, &old, &new).blame(Fault::Run)?;
    }
    if style.is_for_people() && !changes.is_empty() {
        messages::note_text(Level::Usual, &summary::changes(&changes).to_string());
    }
    if progress.stopped_early(&new) && !changes.is_empty() {
        crate::status!("{}", summary::complete(&new, &progress, folder.path()));
    }
    if progress.complete(&new) && changes.is_empty() && !branches {
        let rules = &new.checkpoint;
        checkpointer::settle(folder.folder(), &newest.checkpoint, rules).blame(Fault::Run)?;
        export::unless_done(&new, folder)?;
        crate::show!("{}", summary::complete(&new, &progress, folder.path()));
        return Ok(());
    }
    let session = Session::reopen(new, document, folder)?;
    let snapshot = resume::snapshot(&found, progress);
    let state = trainer(&session).restore(&snapshot).blame(Fault::Run)?;
    for difference in document.environment.differences(&session.environment) {
        crate::status!(
            "signet: {difference}: from here on the bits may differ from those of a run that never stopped"
        );
    }
    let (folder, _lock) = match (wish.branch, lock) {
        (Some(wanted), _) => resume::branch(folder, &found, &session, snapshot, changes, &wanted)
            .blame(Fault::Run)?,
        (None, lock) => {
            for remark in resume::rewind(folder, &found, &session).blame(Fault::Run)? {
                crate::status!("signet: {remark}");
            }
            // Settings that changed are part of the run from now on, whatever happens next; an older checkpoint
            // than the newest may not know them yet.
            let knows = document.config == latest.config
                && document.progress.extensions == latest.progress.extensions;
            if !changes.is_empty() || !knows {
                checkpointer::save(&session, folder.folder(), snapshot).blame(Fault::Run)?;
            }
            (
                folder.clone(),
                lock.expect("taken above for a run that goes on in place"),
            )
        }
    };
    if style.is_for_people() {
        crate::status!(
            "goes on from {} (epoch {}, step {})",
            found.file.display(),
            state.progress.epoch,
            state.progress.step
        );
    }
    go(&session, &folder, state, wish.until, style)
}

/// `new`, with what it leaves to the machine settled as it was in `old`.
fn settled_as(old: &Experiment, mut new: Experiment) -> Experiment {
    if new.threads == Threads::Auto {
        new.threads = old.threads;
    }
    if new.device == Device::Auto {
        new.device = old.device;
    }
    new
}

fn prove(folder: &RunDir, from: Option<&CheckpointRef>, style: Style) -> Result<()> {
    let _lock = Lock::take(folder.folder()).blame(Fault::Run)?;
    let pair = prove::choose(folder, from).blame(Fault::Run)?;
    let experiment = resume::experiment(&pair.later.document, &[]).blame(Fault::Config)?;
    let (done, epochs) = (
        pair.earlier.document.progress.epoch - 1,
        pair.later.document.progress.epoch - 1,
    );
    let place = || {
        format!(
            "cannot work in {}; TMPDIR names another",
            std::env::temp_dir().display()
        )
    };
    let temporary = Folder::open(&std::env::temp_dir()).with_context(place);
    let scratch = temporary
        .and_then(|folder| folder.unfinished())
        .with_context(place)
        .blame(Fault::Run)?;
    let mut shown = display::listener(style, done, epochs.max(done + 1), 1);
    let proof = prove::prove(folder, pair, experiment, scratch.folder(), shown.as_mut())?;
    crate::show!("{}", summary::proof(&proof));
    if proof.differences.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("this run does not repeat bit for bit")).blame(Fault::Run)
    }
}
