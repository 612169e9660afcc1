//! The figures that one asks for first, and the tables of epochs.

use crate::report::page::{FactList, PageTable, fact};
use crate::report::run_report::RunReport;
use crate::report::studies::percent;
use crate::report::summary::{metric_cell, metric_columns};
use crate::train::metrics::EpochRecord;

/// The figures that one asks for first, with their intervals.
pub(super) fn closing(report: &RunReport) -> FactList {
    let mut facts = FactList::new();
    if let Some(verdicts) = &report.verdicts {
        let (accuracy, [low, high]) = verdicts.accuracy();
        let counts = verdicts.counts();
        let of = |what: &str| format!("{what}, {} part, epoch {}", verdicts.part, verdicts.epoch);
        facts.push(fact(&of("accuracy"), format!("{} %", percent(accuracy))));
        facts.push(fact(
            "95 % Wilson interval",
            format!("{} to {} %", percent(low), percent(high)),
        ));
        facts.push(fact(
            "right",
            format!("{} of {}", verdicts.right(), verdicts.images.len()),
        ));
        facts.push(fact("loss", format!("{:.4}", verdicts.loss())));
        facts.push(fact(
            "balanced accuracy",
            format!("{} %", percent(counts.balanced_accuracy())),
        ));
        facts.push(fact(
            "macro F1",
            format!("{} %", percent(counts.macro_f1())),
        ));
        if let Some(thresholds) = verdicts.thresholds() {
            facts.push(fact(
                "area under ROC",
                format!("{:.4}", thresholds.roc_auc()),
            ));
            facts.push(fact(
                "average precision",
                format!("{:.4}", thresholds.average_precision()),
            ));
        }
        if let Some(calibration) = verdicts.calibration() {
            facts.push(fact(
                "expected calibration error",
                format!("{:.4}", calibration.error),
            ));
        }
    }
    if let Some(split) = &report.split {
        let counts =
            [split.train.len(), split.val.len(), split.test.len()].map(|count| count.to_string());
        facts.push(fact("images: train, val, test", counts.join(", ")));
    }
    facts.push(fact(
        "seconds of training",
        format!("{:.1}", report.seconds),
    ));
    facts
}

/// The metrics of an epoch, as they stand in a table.
fn cells(report: &RunReport, record: &EpochRecord) -> Vec<String> {
    let columns = metric_columns(report.experiment.checkpoint.metric).into_iter();
    columns
        .map(|(_, metric)| metric_cell(record, metric))
        .collect()
}

/// The columns of a table of epochs, behind those that are `first`.
fn header<'a>(report: &RunReport, first: &[&'a str]) -> Vec<&'a str> {
    let columns = metric_columns(report.experiment.checkpoint.metric).into_iter();
    first
        .iter()
        .copied()
        .chain(columns.map(|(name, _)| name))
        .collect()
}

pub(super) fn best_and_last(report: &RunReport) -> PageTable {
    let header = header(report, &["", "epoch"]);
    let records = [
        ("best", &report.best),
        ("last", &report.records.last().cloned()),
    ];
    let rows = records.into_iter().filter_map(|(name, record)| {
        let record = record.as_ref()?;
        Some(
            [
                vec![name.to_owned(), record.epoch.to_string()],
                cells(report, record),
            ]
            .concat(),
        )
    });
    let metric = report.experiment.checkpoint.metric.word();
    PageTable::new(
        &format!("Best epoch by {metric}, and last epoch"),
        &header,
        rows.collect(),
    )
}

pub(super) fn epochs(report: &RunReport) -> PageTable {
    let header = header(report, &["epoch", "step", "lr"]);
    let row = |record: &EpochRecord| {
        let start = [
            record.epoch.to_string(),
            record.step.to_string(),
            format!("{:.3e}", record.lr),
        ];
        [start.to_vec(), cells(report, record)].concat()
    };
    PageTable::new("Epochs", &header, report.records.iter().map(row).collect())
}
