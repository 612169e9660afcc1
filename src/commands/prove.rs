//! `signet resume --prove`.

use anyhow::{Result, anyhow};

use crate::cli::ResumeArguments;
use crate::disk::Lock;
use crate::fault::{Blame, Fault};
use crate::report::summary;
use crate::run::directory::RunDir;
use crate::run::display::{self, Style};
use crate::run::{prove, resume};

pub(super) fn run(command: &ResumeArguments, style: Style) -> Result<()> {
    let folder = RunDir::open(&command.run).blame(Fault::Run)?;
    let _lock = Lock::take(folder.folder()).blame(Fault::Run)?;
    let pair = prove::choose(&folder, command.from.as_ref()).blame(Fault::Run)?;
    let experiment = resume::experiment(&pair.later.document, &[]).blame(Fault::Config)?;
    let (done, epochs) = (
        pair.earlier.document.progress.epoch - 1,
        pair.later.document.progress.epoch - 1,
    );
    let mut shown = display::listener(style, done, epochs.max(done + 1), 1);
    let proof = prove::prove(&folder, pair, experiment, shown.as_mut())?;
    crate::show!("{}", summary::proof(&proof))?;
    if proof.differences.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("training the same steps again gave different bits")).blame(Fault::Run)
    }
}
