//! The process that artefacts are checked by: it knows only what is on the disk.

use std::io::{BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::gate::Report;
use crate::bridge::process;
use crate::config::data::Source;
use crate::fault::{Blame, Fault};
use crate::run::directory::RunDir;
use crate::run::interrupt::Interrupt;

/// An error if a signal came.
pub(super) fn go_on(interrupt: &Interrupt) -> Result<()> {
    interrupt.go_on(|signal| format!("stopped by {signal}; nothing was left behind"))
}

/// What every artefact has to pass: `signet verify` in another process, which knows only what is on the disk. It starts and
/// reads the images while the first artefact is written.
pub(super) struct Verifier<'a> {
    verify: Child,
    /// Takes the path of an artefact, with a NUL behind it.
    names: ChildStdin,
    /// Gives a report for each of those, until the process ends or says something else.
    reports: Receiver<serde_json::Result<Report>>,
    /// What the process says on standard error.
    said: Option<JoinHandle<String>>,
    interrupt: &'a Interrupt,
}

impl<'a> Verifier<'a> {
    /// For artefacts of the checkpoint in the file `live` of the run in `folder`, tried on the data in `source`.
    ///
    /// # Errors
    /// A process that cannot be started.
    pub(super) fn open(
        live: &Path,
        folder: &RunDir,
        source: &Source,
        interrupt: &'a Interrupt,
    ) -> Result<Verifier<'a>> {
        let mut verify = process::own_program()?
            .args(["verify", "-", "--json", "-", "--against"])
            .arg(folder.path())
            .arg("--checkpoint")
            .arg(live)
            .args(["-s", &source.as_override()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the process that checks the artefacts")?;
        let pipes = (
            verify.stdin.take(),
            verify.stdout.take(),
            verify.stderr.take(),
        );
        let (Some(names), Some(found), Some(said)) = pipes else {
            unreachable!("all three are pipes");
        };
        let (sender, reports) = channel();
        let found = serde_json::Deserializer::from_reader(BufReader::new(found)).into_iter();
        std::thread::spawn(move || found.into_iter().try_for_each(|found| sender.send(found)));
        Ok(Verifier {
            verify,
            names,
            reports,
            said: Some(std::thread::spawn(|| read(said))),
            interrupt,
        })
    }

    /// What was found of `artefact`, which is to become `file`.
    ///
    /// # Errors
    /// An artefact that is not the model, or cannot be checked; a signal.
    pub(super) fn pass(&mut self, artefact: &Path, file: &Path) -> Result<Report> {
        let found = self.verify(artefact).and_then(|report| {
            if report.passed() {
                return Ok(report);
            }
            bail!(
                "{} would not be the model of the run: {}; nothing was left behind",
                file.display(),
                report.failure()
            )
        });
        found.blame(Fault::Export)
    }

    fn verify(&mut self, artefact: &Path) -> Result<Report> {
        let name = [artefact.as_os_str().as_bytes(), b"\0"].concat();
        // A process that has ended reads nothing, and gives no report.
        let _ = self.names.write_all(&name);
        loop {
            go_on(self.interrupt)?;
            match self.reports.recv_timeout(Duration::from_millis(2)) {
                Ok(Ok(report)) => return Ok(report),
                Ok(Err(error)) => {
                    bail!(
                        "the artefact cannot be checked: the process that does so printed something else ({error})"
                    )
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let ended = self.verify.wait()?;
        let said = self.said.take().and_then(|said| said.join().ok());
        let said = said.unwrap_or_default();
        match said.trim().trim_start_matches("signet: ") {
            "" => bail!("the artefact cannot be checked: the process that does so ended ({ended})"),
            said => bail!("the artefact cannot be checked: {said}"),
        }
    }
}

impl Drop for Verifier<'_> {
    fn drop(&mut self) {
        // It only reads. One that has ended already is waited for alone.
        let _ = self.verify.kill();
        let _ = self.verify.wait();
    }
}

/// All that comes out of a pipe.
fn read(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes); // what came before an error is all there is
    String::from_utf8_lossy(&bytes).into_owned()
}
