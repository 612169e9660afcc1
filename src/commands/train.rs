//! `signet train`.

use std::rc::Rc;

use anyhow::{Result, bail};

use super::launch::{follow, go};
use super::{live, resume};
use crate::cli::TrainArguments;
use crate::config::Experiment;
use crate::config::run::IfExists;
use crate::data::doubts::doubts;
use crate::distributed::Ranks;
use crate::export::artefacts;
use crate::messages::{self, Level};
use crate::report::summary;
use crate::run::create;
use crate::run::directory::{RunDir, Start};
use crate::run::display::Style;
use crate::run::orders::Orders;
use crate::run::resume::ResumeRequest;
use crate::run::session::Session;

pub(super) fn run(command: TrainArguments, style: Style) -> Result<()> {
    let (experiment, document) = super::open(&command.config, &command.overrides())?;
    if command.dry_run {
        return dry_run(experiment);
    }
    let ranks = super::meet(experiment.run.timeout)?;
    let trained = train(command, experiment, document.written(), &ranks, style);
    ranks.told(trained)
}

fn train(
    command: TrainArguments,
    experiment: Experiment,
    written: &str,
    ranks: &Rc<Ranks>,
    style: Style,
) -> Result<()> {
    if !ranks.is_first() {
        return follow(Rc::clone(ranks), Some(&experiment), command.until);
    }
    if let Some(run) = ranks.run_of_earlier_attempt()? {
        return resume::again(&run, command.until, command.live, ranks, style);
    }
    let if_exists = if command.resume {
        IfExists::Resume
    } else {
        experiment.run.if_exists
    };
    let named = experiment.run.root.join(&experiment.name);
    let folder = command.run.clone().unwrap_or(named);
    let start = Start::of(if_exists, folder.exists(), command.run.is_some());
    if ranks.restarted() && folder.exists() && start != Start::Continue {
        bail!(
            "the launcher has started the processes anew, and keeps no store that knows their run; {} may be it: add --resume to \
             go on with it",
            folder.display()
        );
    }
    match start {
        Start::Continue => {
            let request = ResumeRequest::under(experiment, command.extend);
            return resume::go_on(&folder, request, command.until, command.live, ranks, style);
        }
        Start::Refuse => {
            let folder = folder.display();
            bail!(
                "{folder} already exists; choose another directory with --run, or continue the run with --resume"
            );
        }
        Start::Exactly | Start::Numbered => {}
    }
    if if_exists == IfExists::Resume && style.is_for_people() {
        crate::status!(
            "{} does not exist yet; starting a new run",
            folder.display()
        );
    }
    artefacts::can_end(&experiment)?;
    let live = live::bind(&command.live)?;
    Orders::train(ranks, &experiment, None)?;
    let session = Session::open(experiment, Rc::clone(ranks))?;
    report_findings(&session);
    let state = session.trainer().begin();
    let first = state.snapshot()?;
    let exact = (start == Start::Exactly).then_some(folder.as_path());
    let fill = |folder: &RunDir| create::fill(folder, &session, written, first);
    let (folder, _lock) = RunDir::create(&session.experiment, exact, fill)?;
    ranks.remember_run(folder.path())?;
    go(&session, &folder, state, command.until, live, style)
}

fn dry_run(experiment: Experiment) -> Result<()> {
    let session = Session::open(experiment, Rc::new(Ranks::alone()))?;
    report_findings(&session);
    let shown = summary::before(&session, session.trainer().steps_per_epoch());
    messages::show_text(&shown)
}

/// Says what was left out, what is doubtful, and what became of the weights to begin with.
fn report_findings(session: &Session) {
    super::report_reading(&session.data);
    let split = &session.experiment.data.split;
    for doubt in doubts(&session.data.index, &session.split, split) {
        crate::status!("signet: {doubt}");
    }
    if let Some(transfer) = &session.transfer {
        messages::note_text(Level::Usual, &summary::transferred(transfer));
    }
}
