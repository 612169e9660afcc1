//! The page of a study.

use anyhow::Result;
use askama::Template;

use super::{FactList, Figure, PageFrame, PageTable, fact, or_dash};
use crate::config::train::Metric;
use crate::messages::escaped;
use crate::report::plots::Plot;
use crate::report::studies::percent;
use crate::report::study_report::StudyReport;
use crate::run::changes;
use crate::study::catalog::{Findings, RunEntry, StudyEntry};
use crate::study::folder::StudyKind;
use crate::study::statistics::Spread;

/// Also the page of several runs, which has the same parts.
#[derive(Template)]
#[template(path = "report/page/study.html", config = "src/askama.toml")]
pub(super) struct StudyPage {
    pub(super) frame: PageFrame,
    pub(super) lead: String,
    pub(super) remarks: Vec<String>,
    pub(super) figures: FactList,
    pub(super) tables: Vec<PageTable>,
    pub(super) charts: Vec<Figure>,
    pub(super) section_title: &'static str,
    pub(super) settings: PageTable,
}

/// The page of a study with its `plots`; a `live` one is told of changes by who serves it.
///
/// # Errors
/// None that is known.
pub fn study(report: &StudyReport, plots: &[Plot], live: bool) -> Result<String> {
    let study = &report.study;
    let mut remarks = Vec::new();
    if study.summary.is_none() {
        remarks.push(format!(
            "Not finished yet: {} of {} trials are done.",
            study.done(),
            study.trials.len()
        ));
    }
    let settings = changes::settings(&study.experiment)
        .into_iter()
        .map(|(key, value)| vec![key, value]);
    let page = StudyPage {
        frame: PageFrame {
            title: escaped(&title(study)).into_owned(),
            live,
        },
        lead: escaped(&format!(
            "A {} in {}",
            study.experiment.model.kind.word(),
            study.path.display()
        ))
        .into_owned(),
        remarks,
        figures: figures(report),
        tables: tables(report),
        charts: plots.iter().map(Figure::of).collect::<Result<_>>()?,
        section_title: "Settings before trials differ",
        settings: PageTable::new(
            "The experiment of the study",
            &["key", "value"],
            settings.collect(),
        ),
    };
    Ok(page.render()?)
}

fn title(study: &StudyEntry) -> String {
    let (name, trials) = (&study.experiment.name, study.trials.len());
    match &study.varies {
        StudyKind::Resampling(_) => format!("{name}: {trials} trials"),
        StudyKind::Sweep(sweep) => format!(
            "{}: {} points, {trials} trials",
            sweep.name,
            sweep.points().len()
        ),
    }
}

fn spread_facts(name: &str, spread: &Spread) -> FactList {
    let [low, high] = spread.interval.map(percent);
    vec![
        fact(
            name,
            format!("{} ± {} %", percent(spread.mean), percent(spread.sd)),
        ),
        fact("95 % interval of the mean", format!("{low} to {high} %")),
        fact(
            "median, worst",
            format!("{}, {} %", percent(spread.median), percent(spread.worst)),
        ),
    ]
}

fn figures(report: &StudyReport) -> FactList {
    match &report.study.summary {
        Some(Findings::Resampling(found)) => spread_facts(
            &format!("{} accuracy, {} trials", found.part, found.trials),
            &found.accuracy,
        ),
        Some(Findings::Sweep(found)) => {
            let mut facts = FactList::new();
            if let Some(best) = found.points.first() {
                let value = best
                    .value
                    .as_ref()
                    .map(|value| format!("{:.4} ± {:.4}", value.mean, value.sd));
                facts.push(fact(
                    &format!("best by {}", found.metric),
                    format!("{}: {}", best.point.name, or_dash(value)),
                ));
                let settings = best
                    .point
                    .settings
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"));
                facts.push(fact("its settings", settings.collect::<Vec<_>>().join(" ")));
            }
            if let Some(test) = &found.test {
                facts.extend(spread_facts("on its test part", &test.accuracy));
            }
            facts
        }
        None => FactList::new(),
    }
}

fn tables(report: &StudyReport) -> Vec<PageTable> {
    let study = &report.study;
    let trial = |run: &RunEntry| {
        let best = run.best.as_ref();
        let val = best
            .and_then(|best| best.get(Metric::ValAccuracy))
            .map(percent);
        vec![
            run.path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            run.state.word().to_owned(),
            run.epochs_done.to_string(),
            or_dash(best.map(|best| best.epoch.to_string())),
            or_dash(val),
            or_dash(run.test.as_ref().map(|test| percent(test.accuracy))),
        ]
    };
    let header = [
        "trial",
        "state",
        "epochs",
        "best epoch",
        "val accuracy %",
        "test accuracy %",
    ];
    let mut tables = vec![PageTable::new(
        "Trials",
        &header,
        study.begun.iter().map(trial).collect(),
    )];
    match &study.summary {
        Some(Findings::Resampling(found)) if !found.often_wrong.is_empty() => {
            let rows = found
                .often_wrong
                .iter()
                .map(|(name, times)| vec![name.clone(), times.to_string()]);
            tables.push(PageTable::new(
                "Wrong in several trials",
                &["image", "trials"],
                rows.collect(),
            ));
        }
        Some(Findings::Sweep(found)) => {
            let keys: Vec<&str> = found
                .points
                .iter()
                .take(1)
                .flat_map(|best| &best.point.settings)
                .map(|(key, _)| key.as_str())
                .collect();
            let row = |standing: &crate::study::ranking::Standing| {
                let values = standing
                    .point
                    .settings
                    .iter()
                    .map(|(_, value)| value.clone());
                let [mean, sd] = match &standing.value {
                    Some(value) => [value.mean, value.sd].map(|number| format!("{number:.4}")),
                    None => ["diverged".to_owned(), or_dash(None)],
                };
                let start = [standing.point.name.clone()].into_iter().chain(values);
                start
                    .chain([standing.epochs.to_string(), mean, sd])
                    .collect()
            };
            let header = [&["point"][..], &keys, &["epochs", &found.metric, "sd"]].concat();
            tables.insert(
                0,
                PageTable::new(
                    "Points, best first",
                    &header,
                    found.points.iter().map(row).collect(),
                ),
            );
        }
        _ => {}
    }
    tables
}
