//! The page of one run.

mod confusion;
mod images;
mod metrics;
mod origins;

use anyhow::Result;
use askama::Template;

use self::confusion::{CELLS, Confusion, confusion};
use self::images::{PageImages, WrongTile, data, wrong_tiles};
use self::metrics::{best_and_last, closing, epochs};
use self::origins::{ArtefactView, artefacts, lineage};
use super::{FactList, Figure, PageFrame, PageTable, in_script};
use crate::messages::{escaped, shell_quote};
use crate::report::findings;
use crate::report::plots::Plot;
use crate::report::run_report::{RunReport, RunSetting};
use crate::train::metrics::EpochRecord;

#[derive(Template)]
#[template(path = "report/page/run.html", config = "src/askama.toml")]
struct RunPage {
    frame: PageFrame,
    lead: String,
    remarks: Vec<String>,
    figures: FactList,
    best_and_last: PageTable,
    drawn: Drawn,
    epochs: PageTable,
    confusion: Option<Confusion>,
    wrong: Vec<WrongTile>,
    wrong_more: usize,
    history: Option<HistoryView>,
    findings: String,
    settings: Vec<RunSetting>,
    lineage: FactList,
    place: String,
    artefacts: Vec<ArtefactView>,
    data: String,
}

#[derive(Default)]
struct Drawn {
    curves: Vec<Figure>,
    judged: Vec<Figure>,
    sheets: Vec<Figure>,
    findings: Vec<Figure>,
}

struct HistoryView {
    epochs: usize,
    courses: Vec<CourseCount>,
}

struct CourseCount {
    word: &'static str,
    count: usize,
}

/// The page of `report` with its `plots`; a `live` one is told of changes by who serves it.
///
/// # Errors
/// None that is known.
pub fn run(report: &RunReport, plots: &[Plot], live: bool) -> Result<String> {
    let images = PageImages::of(report)?;
    let name = escaped(&report.experiment.name).into_owned();
    let wrong = report.verdicts.as_ref().map_or(Vec::new(), |verdicts| {
        wrong_tiles(report, verdicts, &images)
    });
    let all_wrong = report
        .verdicts
        .as_ref()
        .map_or(0, |verdicts| verdicts.images.len() - verdicts.right());
    let page = RunPage {
        frame: PageFrame { title: name, live },
        lead: lead(report),
        remarks: remarks(report),
        figures: closing(report),
        best_and_last: best_and_last(report),
        epochs: epochs(report),
        confusion: report.verdicts.as_ref().map(confusion),
        wrong_more: all_wrong - wrong.len(),
        wrong,
        history: history(report),
        findings: doubts(report),
        settings: report.settings.iter().map(shown).collect(),
        lineage: lineage(report),
        place: shell_quote(&report.path),
        artefacts: artefacts(report),
        data: in_script(&data(report, &images)),
        drawn: drawn(report, plots)?,
    };
    Ok(page.render()?)
}

fn lead(report: &RunReport) -> String {
    let experiment = &report.experiment;
    let text = format!(
        "A {} with seed {}, {}: {} of {} epochs, in {}",
        experiment.model.kind.word(),
        experiment.seed,
        report.state.word(),
        report.records.len(),
        experiment.train.epochs,
        report.path.display()
    );
    escaped(&text).into_owned()
}

/// What a reader should know before looking.
fn remarks(report: &RunReport) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Err(unexamined) = &report.examined {
        remarks.push(escaped(&unexamined.why).into_owned());
    }
    if report.records.is_empty() {
        remarks.push("No epoch has ended yet.".to_owned());
    }
    let finite = |record: &EpochRecord| {
        record.train.loss.is_finite() && record.val.is_none_or(|val| val.loss.is_finite())
    };
    if let Some(odd) = report.records.iter().find(|record| !finite(record)) {
        remarks.push(format!(
            "The loss of epoch {} is not finite; curves leave such values out.",
            odd.epoch
        ));
    }
    remarks
}

/// The plots of a page, by where they stand. The confusion matrix is a table of its own where it has few classes.
fn drawn(report: &RunReport, plots: &[Plot]) -> Result<Drawn> {
    let mut drawn = Drawn::default();
    let verdicts = report.verdicts.as_ref();
    let few = verdicts.is_some_and(|verdicts| verdicts.classes.len() <= CELLS);
    for plot in plots {
        let place = match plot.name.as_str() {
            "loss" | "accuracy" | "learning-rate" => &mut drawn.curves,
            "roc" | "precision-recall" | "reliability" => &mut drawn.judged,
            "confusion" if few => continue,
            "confusion" => &mut drawn.judged,
            // They stand in the page as images of their own.
            "wrong" | "looked-at" => continue,
            "findings" => &mut drawn.findings,
            _ => &mut drawn.sheets,
        };
        place.push(Figure::of(plot)?);
    }
    Ok(drawn)
}

fn history(report: &RunReport) -> Option<HistoryView> {
    let history = &report.history;
    let courses = history.counts().into_iter();
    (!history.images.is_empty()).then(|| HistoryView {
        epochs: history.epochs.len(),
        courses: courses
            .map(|(course, count)| CourseCount {
                word: course.word(),
                count,
            })
            .collect(),
    })
}

fn doubts(report: &RunReport) -> String {
    match &report.examined {
        Err(_) => "Nobody has looked at the images; `signet data check CONFIG` does so.".to_owned(),
        Ok(examined) => match &examined.findings {
            None => {
                "Too many images to look at here; `signet data check CONFIG` does so.".to_owned()
            }
            Some(found) => {
                let images = report.split.as_ref().map_or(0, |split| {
                    split.train.len() + split.val.len() + split.test.len()
                });
                findings::findings(found, images)
            }
        },
    }
}

fn shown(setting: &RunSetting) -> RunSetting {
    let own = |text: &str| escaped(text).into_owned();
    RunSetting {
        key: own(&setting.key),
        value: own(&setting.value),
        instead_of: setting.instead_of.as_deref().map(own),
    }
}
