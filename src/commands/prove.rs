//! `signet resume --prove`.

use anyhow::{Result, bail};

use crate::cli::ResumeArguments;
use crate::disk::Lock;
use crate::distributed::launcher::Launcher;
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::{prove, resume};

pub(super) fn run(command: &ResumeArguments, style: Style) -> Result<()> {
    if Launcher::here()?.is_some_and(|launcher| launcher.world > 1) {
        bail!(
            "--prove trains in one process, also what several have trained: start it without a launcher"
        );
    }
    let folder = RunDir::open(&command.run)?;
    let _lock = Lock::take(folder.folder())?;
    let pair = prove::choose(&folder, command.from.as_ref())?;
    let experiment = resume::experiment(&pair.later.document, &[])?;
    let [begin, end] = [&pair.earlier, &pair.later].map(|found| &found.document.progress);
    let outlook = display::Outlook {
        progress: begin,
        history: Vec::new(),
        epochs: begin.epoch.max(end.epoch - 1),
        steps_per_epoch: 1,
        metric: experiment.checkpoint.metric,
    };
    let mut shown = display::listener(style, outlook);
    let proof = prove::prove(&folder, pair, experiment, shown.as_mut())?;
    crate::show!("{}", summary::proof(&proof))?;
    if proof.differences.is_empty() {
        Ok(())
    } else {
        bail!("training the same steps again gave different bits")
    }
}
