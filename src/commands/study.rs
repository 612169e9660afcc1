//! One launch of a study: what `signet cv` and `signet sweep` do alike.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{live, report};
use crate::bridge::process;
use crate::cli::{OnFail, StudyArguments};
use crate::config::Experiment;
use crate::messages::shell_quote;
use crate::model::plan::Plan;
use crate::report::live::Live;
use crate::run::display::Style;
use crate::run::interrupt::Interrupt;
use crate::study::display::Display;
use crate::study::folder::{Study, StudyDir, StudyKind};
use crate::study::halving::Rung;
use crate::study::runner::{Failure, Runner};
use crate::study::share::Share;
use crate::study::trials::Trial;

/// A study in its folder, about to be run.
pub(super) struct Launch {
    pub dir: StudyDir,
    pub study: Study,
    experiment: PathBuf,
    source: String,
    /// What is trained of it, by a job of an array.
    pub share: Option<Share>,
    jobs: usize,
    go_on: bool,
    /// Whether the experiment wants a report.
    report: bool,
    interrupt: Interrupt,
    display: Display,
    live: Option<Live>,
}

impl Launch {
    /// Creates a study in the folder of `request`, or else in `usual`, or continues the one there.
    pub(super) fn open(
        request: &StudyArguments,
        usual: &Path,
        experiment: &Experiment,
        kind: StudyKind,
        trials: Vec<Trial>,
        style: Style,
    ) -> Result<Launch> {
        let live = live::bind(&request.live)?;
        let jobs = request.jobs;
        let cores = process::cpus();
        if jobs > cores {
            crate::status!("signet: {jobs} trials at a time share {cores} CPU core(s)");
        }
        let batch = experiment.train.batch_size.of(usize::MAX); // images have not been counted yet
        let work = Plan::of(experiment).map_or(f64::INFINITY, |plan| plan.work(batch));
        let threads = experiment.threads.settle(work, 1);
        for remark in threads.remarks() {
            crate::status!("signet: {remark}");
        }
        if threads.variable.is_some() {
            crate::status!("signet: the trials share {threads}");
        }
        let threads = (threads.count / jobs).max(1);
        let fresh = Study {
            kind,
            threads,
            trials,
        };
        let folder = request.run.as_deref().unwrap_or(usual);
        let (dir, study) = match request.array {
            None => StudyDir::open(folder, experiment, fresh)?,
            Some(_) => StudyDir::join(folder, experiment, fresh)?,
        };
        if study.threads != threads && study.threads * jobs > cores {
            crate::status!(
                "signet: trials have {} thread(s) each since the study began, and {jobs} at a time share {cores} CPU core(s)",
                study.threads
            );
        }
        let live = live
            .map(|port| live::of_study(port, dir.path()))
            .transpose()?;
        Ok(Launch {
            live,
            experiment: dir.experiment(),
            source: experiment.data.source.as_override(),
            share: request.array,
            dir,
            study,
            report: experiment.log.report,
            jobs,
            go_on: request.on_fail == OnFail::Continue,
            interrupt: Interrupt::listen()?,
            display: Display::new(style, &experiment.checkpoint),
        })
    }

    pub(super) fn runner(&self) -> Runner<'_> {
        Runner {
            folder: self.dir.path(),
            experiment: &self.experiment,
            share: self.share,
            source: &self.source,
            at_once: self.jobs,
            threads: self.study.threads,
            go_on: self.go_on,
            interrupt: &self.interrupt,
            display: &self.display,
        }
    }

    /// Writes the report of the study, and tells open pages that it is the last.
    pub(super) fn report(self) {
        if !self.report {
            return;
        }
        let page = report::or_said(self.dir.path(), || report::of_study(self.dir.path(), None));
        if let Some((live, page)) = self.live.zip(page) {
            live.end(page);
        }
    }

    /// An error if a signal stopped the study, with `done` trials done.
    pub(super) fn stopped(&self, done: usize) -> Result<()> {
        let trials = self.study.trials.len();
        self.interrupt.go_on(|signal| match self.share {
            None => format!("stopped by {signal} with {done} of {trials} trials done; run the same command again to continue"),
            Some(share) => format!("share {share} was stopped by {signal}; run the same command again to continue"),
        })
    }

    /// Says how `share` ended, of whose trials some may have `failed`, and how the study goes on, which may be `waiting`
    /// for other shares.
    pub(super) fn share_ended(
        &self,
        share: Share,
        failed: &[Failure],
        waiting: Option<Rung>,
    ) -> Result<()> {
        let trials = self.study.trials.len();
        if !failed.is_empty() {
            crate::show!("share {share} has trials that failed")?;
        } else if (0..trials).any(|place| share.holds(place)) {
            crate::show!("share {share} is done")?;
        } else {
            crate::show!("share {share} is empty: the study has {trials} trial(s)")?;
        }
        match waiting {
            None => crate::show!(
                "the study has all its results; collect them with `{}`",
                without_array(std::env::args_os())
            ),
            Some(rung) if rung.number < rung.of => {
                crate::show!("{rung}; when it has all, the same command goes on")
            }
            Some(rung) => crate::show!(
                "{rung}; when it has all, the same command without --array collects them"
            ),
        }
    }
}

/// The call of `words`, the program first, for the whole study instead of a share.
fn without_array(words: impl Iterator<Item = OsString>) -> String {
    let mut call = "signet".to_owned();
    let mut words = words.skip(1);
    while let Some(word) = words.next() {
        if word == "--array" {
            words.next(); // its share
        } else if !word.as_encoded_bytes().starts_with(b"--array=") {
            call.push(' ');
            call.push_str(&shell_quote(word));
        }
    }
    call
}

/// An error if trials failed, naming each.
pub(super) fn verdict(failed: &[Failure]) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = failed
        .iter()
        .map(|failure| format!("{} {}", failure.trial, failure.why))
        .collect();
    bail!("{} trial(s) failed: {}", failed.len(), each.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_collects_is_the_same_for_the_whole_study() {
        let call = |line: &str| without_array(line.split(' ').map(OsString::from));
        let whole = "signet cv own.yaml --folds 4 -s 'data.classes=[a,b]'";
        for line in [
            "bin/signet cv --array 1/4 own.yaml --folds 4 -s data.classes=[a,b]",
            "signet cv own.yaml --folds 4 -s data.classes=[a,b] --array=1/4",
        ] {
            assert_eq!(call(line), whole);
        }
    }
}
