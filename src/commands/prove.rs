//! `signet resume --prove`.

use anyhow::{Result, bail};

use crate::cli::ResumeArguments;
use crate::disk::Lock;
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::{prove, resume};

pub(super) fn run(command: &ResumeArguments, style: Style) -> Result<()> {
    let folder = RunDir::open(&command.run)?;
    let _lock = Lock::take(folder.folder())?;
    let pair = prove::choose(&folder, command.from.as_ref())?;
    let experiment = resume::experiment(&pair.later.document, &[])?;
    let (done, epochs) = (
        pair.earlier.document.progress.epoch - 1,
        pair.later.document.progress.epoch - 1,
    );
    let metric = experiment.checkpoint.metric;
    let mut shown = display::listener(style, done, epochs.max(done + 1), 1, metric);
    let proof = prove::prove(&folder, pair, experiment, shown.as_mut())?;
    crate::show!("{}", summary::proof(&proof))?;
    if proof.differences.is_empty() {
        Ok(())
    } else {
        bail!("training the same steps again gave different bits")
    }
}
