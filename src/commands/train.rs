//! `signet train`.

use anyhow::{Result, anyhow};

use super::launch::{go, trainer};
use super::resume::{self, Wish};
use crate::cli::TrainArguments;
use crate::config::Experiment;
use crate::config::run::IfExists;
use crate::data::doubts::doubts;
use crate::fault::{Blame, Fault};
use crate::messages::{self, Level};
use crate::report::summary;
use crate::run::create;
use crate::run::directory::RunDir;
use crate::run::display::Style;
use crate::run::session::Session;
use crate::train::snapshot::Moment;

pub(super) fn run(command: TrainArguments, style: Style) -> Result<()> {
    let experiment = super::load(&command.config, &command.overrides())?;
    let goes_on = command.resume || experiment.run.if_exists == IfExists::Resume;
    let named = experiment.run.root.join(&experiment.name);
    let folder = command.run.clone().unwrap_or(named);
    if command.dry_run {
        return dry_run(experiment);
    }
    match (goes_on, folder.exists()) {
        (true, true) => {
            let folder = RunDir::open(&folder).blame(Fault::Run)?;
            return resume::go_on(
                &folder,
                Wish::under(experiment, command.extend, command.until),
                style,
            );
        }
        (true, false) if style.is_for_people() => {
            crate::status!("{} is not there yet, so it begins now", folder.display());
        }
        (false, true) if command.run.is_some() || experiment.run.if_exists == IfExists::Error => {
            let folder = folder.display();
            let error = anyhow!(
                "{folder} exists already; name another with --run, or go on with it by --resume"
            );
            return Err(error).blame(Fault::Run);
        }
        _ => {}
    }
    let session = Session::open(experiment)?;
    report_findings(&session);
    let written = std::fs::read_to_string(&command.config).blame(Fault::Config)?;
    let state = trainer(&session).begin();
    let first = Moment::new(&session.network, &state).snapshot()?;
    // One to go on with later has the name it will be looked for under, or none.
    let exact = if goes_on {
        Some(folder.as_path())
    } else {
        command.run.as_deref()
    };
    let fill = |folder: &RunDir| create::fill(folder, &session, &written, first);
    let (folder, _lock) = RunDir::create(&session.experiment, exact, fill).blame(Fault::Run)?;
    go(&session, &folder, state, command.until, style)
}

fn dry_run(experiment: Experiment) -> Result<()> {
    let session = Session::open(experiment)?;
    report_findings(&session);
    let shown = summary::before(&session, trainer(&session).steps_per_epoch());
    messages::show_text(&shown);
    Ok(())
}

/// Says what was left out, what is doubtful, and what became of the weights to begin with.
fn report_findings(session: &Session) {
    super::report_reading(&session.data);
    for doubt in doubts(&session.data.index, &session.split) {
        crate::status!("signet: {doubt}");
    }
    if let Some(transfer) = &session.transfer {
        messages::note_text(Level::Usual, &summary::transferred(transfer));
    }
}
