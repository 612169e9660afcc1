//! Running trials in processes of their own, some at a time, and telling one display how they go.
//!
//! A trial is `signet train --run TRIAL` (or `signet resume TRIAL`, if it has begun) followed by `signet eval`;
//! a trial that has its figures is not run again. So a study can be stopped anywhere, as its runs can.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use super::summary;
use super::trials::Trial;
use crate::run::checkpoint::write_whole;
use crate::run::display::Style;
use crate::run::interrupt::Interrupt;
use crate::run::lock::Lock;

/// The figures of a trial, in its folder.
const FIGURES: &str = "test.json";

/// How long running trials may take to stop by themselves; what is killed then goes on later all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything about how trials are run.
pub struct Runner<'a> {
    /// Of the study.
    pub folder: &'a Path,
    /// The experiment of the study.
    pub experiment: &'a Path,
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
#[derive(Debug, Default)]
pub struct Outcome {
    /// Figures of the trials that are done.
    pub results: Vec<summary::Result>,
    /// Trials that failed, each with the reason.
    pub failed: Vec<(String, String)>,
    /// Whether trials were left because somebody asked to stop.
    pub stopped: bool,
}

impl Runner<'_> {
    /// Runs all of `trials`.
    pub fn run(&self, trials: &[Trial]) -> Outcome {
        let queue: Mutex<VecDeque<&Trial>> = Mutex::new(trials.iter().collect());
        let outcome = Mutex::new(Outcome::default());
        let given_up = AtomicBool::new(false);
        let work = || {
            loop {
                if given_up.load(Ordering::SeqCst) || self.interrupt.signal().is_some() {
                    return;
                }
                let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                let Some(trial) = next else { return };
                let found = self.trial(trial);
                let Ok(mut outcome) = outcome.lock() else {
                    return;
                };
                match found {
                    Ok(Some(result)) => {
                        outcome.results.push(result);
                        self.display.done(&outcome.results);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        self.display.failed(&trial.name);
                        outcome
                            .failed
                            .push((trial.name.clone(), format!("{error:#}")));
                        given_up.store(!self.go_on, Ordering::SeqCst);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.at_once.min(trials.len()) {
                scope.spawn(work);
            }
        });
        self.display.finish();
        let mut outcome = outcome.into_inner().unwrap_or_default();
        let place = |name: &str| trials.iter().position(|trial| trial.name == name);
        outcome.results.sort_by_key(|result| place(&result.trial));
        outcome.stopped = self.interrupt.signal().is_some();
        outcome
    }

    /// Runs one trial, or reads what it gave; nothing if it was stopped.
    fn trial(&self, trial: &Trial) -> Result<Option<summary::Result>> {
        let folder = self.folder.join(&trial.name);
        let figures = folder.join(FIGURES);
        if let Ok(text) = std::fs::read_to_string(&figures)
            && let Ok(result) = serde_json::from_str(&text)
        {
            return Ok(Some(result));
        }
        let log = self.folder.join(format!("{}.log", trial.name));
        if !self.train(trial, &folder, &log)? {
            return Ok(None);
        }
        let output = signet()?
            .arg("eval")
            .arg(&folder)
            .args(["--json", "-"])
            .output()?;
        let evaluation: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|_| {
                let said = String::from_utf8_lossy(&output.stderr);
                anyhow!("it cannot be evaluated: {}", said.trim())
            })?;
        let wrong = evaluation["wrong"].as_array().into_iter().flatten();
        let result = summary::Result {
            trial: trial.name.clone(),
            accuracy: evaluation["accuracy"].as_f64().context("no accuracy")?,
            loss: evaluation["loss"].as_f64().context("no loss")?,
            pictures: evaluation["pictures"].as_u64().context("no pictures")? as usize,
            wrong: wrong
                .filter_map(|made| made["name"].as_str().map(str::to_owned))
                .collect(),
        };
        let text = serde_json::to_string_pretty(&result)? + "\n";
        write_whole(&figures, text.as_bytes())?;
        Ok(Some(result))
    }

    /// Whether the trial was trained to its end.
    fn train(&self, trial: &Trial, folder: &Path, log: &Path) -> Result<bool> {
        let mut command = signet()?;
        if folder.exists() {
            // Its process may have outlived a study that was killed.
            while Lock::take(folder).is_err() {
                if self.interrupt.signal().is_some() {
                    return Ok(false);
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
            for key in &trial.overrides {
                command.args(["-s", key]);
            }
        }
        let mut child = command
            .args(["--progress", "json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = self.listen(&mut child, trial, log)?;
        match self.wait(&mut child)? {
            Some(0) => Ok(true),
            _ if self.interrupt.signal().is_some() => Ok(false),
            code => {
                let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                let log = log.display();
                bail!(
                    "ended with {code}: {said}; its log is {log}, and the same command tries it again"
                )
            }
        }
    }

    /// Follows what a trial says: epochs go to the display, everything to its log. Answers with its last words.
    fn listen(&self, child: &mut Child, trial: &Trial, log: &Path) -> Result<String> {
        let mut log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        let mut last = String::new();
        let stderr = child.stderr.take().context("a pipe was asked for")?;
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            writeln!(log, "{line}")?;
            match serde_json::from_str::<serde_json::Value>(&line) {
                Ok(record) if record["epoch"].is_u64() => self.display.epoch(&trial.name, &record),
                _ => last = line,
            }
        }
        Ok(last.trim_start_matches("signet: ").to_owned())
    }

    /// The exit code of a trial; one that does not stop when the study should is killed.
    fn wait(&self, child: &mut Child) -> Result<Option<i32>> {
        let mut asked = None;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code());
            }
            if self.interrupt.signal().is_some() {
                let asked = asked.get_or_insert_with(Instant::now);
                if asked.elapsed() > PATIENCE {
                    child.kill()?;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn signet() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

/// One display for all trials of a study.
pub struct Display {
    style: Style,
    bars: Option<(MultiProgress, ProgressBar)>,
    running: Mutex<Vec<(String, ProgressBar)>>,
    trials: usize,
}

impl Display {
    /// Of a study of so many `trials`.
    pub fn new(style: Style, trials: usize) -> Display {
        let bars = style.draws_bars().then(|| {
            let all = MultiProgress::new();
            let style =
                ProgressStyle::with_template("trials {pos:>4}/{len:<4} {bar:30} {msg}  {eta} left")
                    .expect("the template is fixed and valid");
            let top = all.add(ProgressBar::new(trials as u64).with_style(style));
            (all, top)
        });
        Display {
            style,
            bars,
            running: Mutex::default(),
            trials,
        }
    }

    fn epoch(&self, trial: &str, record: &serde_json::Value) {
        let (Some((all, _)), Ok(mut running)) = (&self.bars, self.running.lock()) else {
            return;
        };
        let known = running.iter().position(|(name, _)| name == trial);
        let index = known.unwrap_or_else(|| {
            let style = ProgressStyle::with_template("  {msg}").expect("the template is fixed");
            running.push((
                trial.to_owned(),
                all.add(ProgressBar::new_spinner().with_style(style)),
            ));
            running.len() - 1
        });
        let part = if record["val"].is_object() {
            "val"
        } else {
            "train"
        };
        let accuracy = 100.0 * record[part]["accuracy"].as_f64().unwrap_or(0.0);
        running[index].1.set_message(format!(
            "{trial}  epoch {}  {part} accuracy {accuracy:6.2} %",
            record["epoch"]
        ));
    }

    fn done(&self, results: &[summary::Result]) {
        let Some(last) = results.last() else { return };
        self.drop_line(&last.trial);
        let so_far = summary::Summary::of(results.to_vec());
        if let Some((_, top)) = &self.bars {
            top.set_position(results.len() as u64);
            top.set_message(format!("mean accuracy {:6.2} %", 100.0 * so_far.mean));
            return;
        }
        match self.style {
            Style::None => {}
            Style::Json => crate::note!("{}", json!(last)),
            _ => crate::note!(
                "{}  test accuracy {:6.2} %  ({} of {} trials, mean {:.2} %)",
                last.trial,
                100.0 * last.accuracy,
                results.len(),
                self.trials,
                100.0 * so_far.mean
            ),
        }
    }

    fn failed(&self, trial: &str) {
        self.drop_line(trial);
    }

    fn drop_line(&self, trial: &str) {
        if let Ok(mut running) = self.running.lock() {
            running.retain(|(name, bar)| {
                let stays = name != trial;
                if !stays {
                    bar.finish_and_clear();
                }
                stays
            });
        }
    }

    fn finish(&self) {
        if let Some((all, top)) = &self.bars {
            top.finish_and_clear();
            let _ = all.clear();
        }
    }
}

/// A folder for `name` that a study of the same kind may already be in.
pub fn folder_of(root: &Path, name: &str, exact: Option<&Path>) -> PathBuf {
    exact.map_or_else(|| root.join(format!("{name}-cv")), Path::to_owned)
}
