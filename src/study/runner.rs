//! Running trials in processes of their own, some at a time, and telling one display how they go.
//!
//! A trial is `signet train --run TRIAL`, or `signet resume TRIAL` if it has begun; one that has its result is
//! not run again. So a study can be stopped anywhere, as its runs can, and its trials can be shared out among calls that know
//! nothing of each other.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::display::Display;
use super::results::{self, TrialResult};
use super::share::Share;
use super::trials::Trial;
use crate::bridge::process;
use crate::disk::{Folder, Lock};
use crate::distributed::launcher;
use crate::fault::Fault;
use crate::run::checkpoints;
use crate::run::interrupt::Interrupt;
use crate::train::metrics::EpochRecord;

/// A line that a trial writes with `--progress json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    /// The end of an epoch.
    Epoch(EpochRecord),
    /// Anything else that it has to say.
    Note { note: String },
}

/// How long running trials may take to stop by themselves; what is killed then goes on later all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything about how trials are run.
pub struct Runner<'a> {
    /// Of the study.
    pub folder: &'a Path,
    /// The override that says where the data of the study lies.
    pub source: &'a str,
    /// The experiment of the study.
    pub experiment: &'a Path,
    /// What is trained of the trials, if not all of them.
    pub share: Option<Share>,
    /// Trials at a time.
    pub at_once: usize,
    /// Threads of each.
    pub threads: usize,
    /// Whether the others go on when one fails.
    pub go_on: bool,
    /// Whether somebody asked to stop.
    pub interrupt: &'a Interrupt,
    /// Who is told.
    pub display: &'a Display,
}

/// How a study went.
#[derive(Debug)]
pub struct Outcome<F> {
    /// Results of the trials that are done, in the order of the trials.
    pub results: Vec<F>,
    /// Trials that failed.
    pub failed: Vec<Failure>,
}

/// A trial that failed.
#[derive(Debug)]
pub struct Failure {
    /// Name of the trial.
    pub trial: String,
    /// What it said last, and where to read more.
    pub why: String,
}

/// Asks a trial's folder for its result; none while it has not been trained far enough.
pub type Ask<'a, F> = &'a (dyn Fn(&Path) -> Result<Option<F>> + Sync);

impl Runner<'_> {
    /// Has `trials` trained, or its share of them, to their ends or up to epoch `until`, and asks for their results. Those of
    /// other shares are only asked to `show` what is there, since another call may be at work on them.
    pub fn run<F: TrialResult + Send>(
        &self,
        trials: &[Trial],
        until: Option<usize>,
        ask: Ask<F>,
        show: Ask<F>,
    ) -> Outcome<F> {
        let (own, others) = self.shared_out(trials);
        let queue = Mutex::new(VecDeque::from(own.clone()));
        let results = Mutex::new(Vec::new());
        let failed = Mutex::new(Vec::new());
        let given_up = AtomicBool::new(false);
        self.display.begin(own.len());
        let work = || {
            loop {
                if given_up.load(Ordering::SeqCst) || self.interrupt.signal().is_some() {
                    return;
                }
                let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                let Some(trial) = next else { return };
                match self.trial(trial, until, ask) {
                    Ok(Some(result)) => {
                        let Ok(mut results) = results.lock() else {
                            return;
                        };
                        results.push(result);
                        self.display.done(&trial.name, &results, own.len());
                    }
                    Ok(None) => self.display.left(&trial.name),
                    Err(failure) => {
                        self.display.left(&trial.name);
                        if let Ok(mut failed) = failed.lock() {
                            failed.push(failure);
                        }
                        given_up.store(!self.go_on, Ordering::SeqCst);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.at_once.min(own.len()) {
                scope.spawn(work);
            }
        });
        self.display.clear();
        let place = |name: &str| trials.iter().position(|trial| trial.name == name);
        let mut results = results.into_inner().unwrap_or_default();
        if self.interrupt.signal().is_none() {
            // What cannot be read may be in the making; whose share it is will say.
            let found = |trial: &Trial| show(&self.folder.join(&trial.name)).ok().flatten();
            results.extend(others.into_iter().filter_map(found));
        }
        results.sort_by_key(|result: &F| place(result.trial()));
        let mut failed: Vec<Failure> = failed.into_inner().unwrap_or_default();
        failed.sort_by_key(|failure| place(&failure.trial));
        Outcome { results, failed }
    }

    /// Those of `trials` that are trained here, and those that are only asked for their results.
    fn shared_out<'t>(&self, trials: &'t [Trial]) -> (Vec<&'t Trial>, Vec<&'t Trial>) {
        let own = |place| self.share.is_none_or(|share| share.holds(place));
        let (own, others): (Vec<_>, Vec<_>) = trials
            .iter()
            .enumerate()
            .partition(|(place, _)| own(*place));
        let trial = |(_, trial)| trial;
        (
            own.into_iter().map(trial).collect(),
            others.into_iter().map(trial).collect(),
        )
    }

    /// The result of one trial, which is trained first if there is none yet; none if it was stopped.
    fn trial<F>(
        &self,
        trial: &Trial,
        until: Option<usize>,
        ask: Ask<F>,
    ) -> Result<Option<F>, Failure> {
        let folder = self.folder.join(&trial.name);
        let log = self.folder.join(format!("{}.log", trial.name));
        let failure = |why: String| Failure {
            trial: trial.name.clone(),
            why: format!(
                "{why}; its log is {}; run the same command to try again",
                log.display()
            ),
        };
        let broken = |error: anyhow::Error| failure(format!("{error:#}"));
        let begun = folder.exists();
        if begun {
            checkpoints::mend(&folder).map_err(broken)?;
        }
        if begun && let Some(known) = ask(&folder).map_err(broken)? {
            return Ok(Some(known));
        }
        let mut trained = self.train(trial, &folder, until, &log).map_err(broken)?;
        let taken = |code: &Option<i32>| *code == Some(Fault::Run as i32);
        if matches!(&trained, Trained::Failed { code, .. } if taken(code))
            && !begun
            && folder.exists()
        {
            // The trial of a study that was killed a moment ago was quicker.
            trained = self.train(trial, &folder, until, &log).map_err(broken)?;
        }
        match trained {
            Trained::Enough => {}
            Trained::Stopped => return Ok(None),
            Trained::Failed { code, said } => {
                if code == Some(Fault::Diverged as i32) {
                    results::keep_divergence(&folder, &said).map_err(broken)?;
                    if let Some(known) = ask(&folder).map_err(broken)? {
                        return Ok(Some(known));
                    }
                }
                let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                return Err(failure(format!("ended with {code}: {said}")));
            }
        }
        let result = ask(&folder).and_then(|known| known.context("it has no result"));
        result.map(Some).map_err(broken)
    }

    /// Trains one trial in a process of its own.
    fn train(
        &self,
        trial: &Trial,
        folder: &Path,
        until: Option<usize>,
        log: &Path,
    ) -> Result<Trained> {
        let mut command = process::own_program()?;
        command.env_remove(launcher::WORLD); // a trial is trained by one process
        if folder.exists() {
            // Its process may have outlived a study that was killed.
            while Lock::is_held(folder) {
                if self.interrupt.signal().is_some() {
                    return Ok(Trained::Stopped);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            command.arg("resume").arg(folder);
        } else {
            command
                .arg("train")
                .arg(self.experiment)
                .arg("--run")
                .arg(folder);
            command.args(["-s", &format!("threads={}", self.threads)]);
            command.args(["-s", "log.report=false"]); // the study has one; `signet report` makes that of a trial
            for key in &trial.overrides {
                command.args(["-s", key]);
            }
        }
        let own = |set: &String| set.starts_with("data.source");
        if !trial.overrides.iter().any(own) {
            command.args(["-s", self.source]); // where it lies now, and for this call
        }
        if let Some(until) = until {
            command.args(["--until", &until.to_string()]);
        }
        let mut child = command
            .args(["--progress", "json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("a pipe was asked for")?;
        let (code, said) = std::thread::scope(|scope| {
            let said = scope.spawn(|| self.listen(stderr, folder, log));
            let code = self.wait(&mut child);
            (code, said.join())
        });
        let said = said.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(match code? {
            Some(0) => Trained::Enough,
            _ if self.interrupt.signal().is_some() => Trained::Stopped,
            code => Trained::Failed { code, said },
        })
    }

    /// Follows what a trial says: epochs go to the display, everything to its log. Answers with its last words.
    fn listen(&self, stderr: ChildStderr, trial: &Path, log: &Path) -> Result<String> {
        let (study, name) = Folder::above(log)?;
        let mut log = study.append(name)?;
        let mut last = String::new();
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            writeln!(log, "{line}")?;
            match serde_json::from_str(&line) {
                Ok(Line::Epoch(record)) => self.display.epoch(trial, &record),
                Ok(Line::Note { note }) => last = note,
                Err(_) => last = line,
            }
        }
        Ok(last.trim_start_matches("signet: ").to_owned())
    }

    /// The exit code of a trial, which is asked to stop when the study is, and killed if it does not.
    fn wait(&self, child: &mut Child) -> Result<Option<i32>> {
        let mut asked = None;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code());
            }
            match asked {
                None if self.interrupt.signal().is_some() => {
                    process::ask_to_stop(child)?;
                    asked = Some(Instant::now());
                }
                Some(since) if since.elapsed() > PATIENCE => child.kill()?,
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// How the training of a trial ended.
enum Trained {
    /// It came as far as it should.
    Enough,
    /// Somebody asked the study to stop.
    Stopped,
    /// Its process ended with an error.
    Failed {
        /// None if a signal ended it.
        code: Option<i32>,
        /// Last line it wrote to standard error.
        said: String,
    },
}
