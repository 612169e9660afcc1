//! One launch of a study: what `signet cv` and `signet sweep` do alike.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{live, report};
use crate::bridge::process;
use crate::cli::{OnFail, StudyArguments};
use crate::config::Experiment;
use crate::model::plan::Plan;
use crate::report::live::Live;
use crate::run::display::Style;
use crate::run::interrupt::Interrupt;
use crate::study::display::Display;
use crate::study::folder::{Study, StudyDir, StudyKind};
use crate::study::runner::{Failure, Runner};
use crate::study::trials::Trial;

/// A study in its folder, about to be run.
pub(super) struct Launch {
    pub dir: StudyDir,
    pub study: Study,
    experiment: PathBuf,
    source: String,
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
        let fresh = Study {
            kind,
            threads: (threads.count / jobs).max(1),
            trials,
        };
        let folder = request.run.as_deref().unwrap_or(usual);
        let (dir, study) = StudyDir::open(folder, experiment, fresh)?;
        let live = live
            .map(|port| live::of_study(port, dir.path()))
            .transpose()?;
        Ok(Launch {
            live,
            experiment: dir.experiment(),
            source: experiment.data.source.as_override(),
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
        self.interrupt.go_on(|signal| {
            format!("stopped by {signal} with {done} of {trials} trials done; run the same command again to continue")
        })
    }
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
