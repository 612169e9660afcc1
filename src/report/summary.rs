//! What is printed before and after a training.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::config::Experiment;
use crate::config::document::Document;
use crate::config::train::Reduction;
use crate::config::train::{Metric, Mode};
use crate::export::artefacts::Exported;
use crate::export::gate::Report;
use crate::messages::{escaped, shell_quote};
use crate::model::transfer::Transfer;
use crate::report::table::Table;
use crate::run::changes::Change;
use crate::run::prove::Proof;
use crate::run::resume::Ready;
use crate::run::session::Session;
use crate::train::metrics::EpochRecord;
use crate::train::progress::Progress;

/// One line: what is trained on what, where, into which folder.
pub fn heading(session: &Session, folder: &Path) -> String {
    let [train, val, test] = session.split.parts().map(|(_, part)| part.len());
    let device = format!("{:?}", session.device).to_lowercase();
    let processes = match session.ranks.world() {
        1 => String::new(),
        world => format!(" {world} processes of"),
    };
    format!(
        "{}: {train} train, {val} val, {test} test images of {} classes on {device},{processes} {}; into {}",
        session.experiment.name,
        session.data.index.classes.len(),
        session.threads,
        folder.display()
    )
}

/// Layers, steps and memory of a training that has not begun.
pub fn before(session: &Session, steps_per_epoch: usize) -> String {
    let mut layers = Table::new(3, &["name", "layer", "output", "parameters"]);
    let mut total = 0;
    for leaf in session.network.plan().root.leaves() {
        let layer = &leaf.layer;
        let trained = layer
            .parameters()
            .into_iter()
            .filter(|parameter| parameter.role.trained());
        let count: usize = trained.map(|parameter| parameter.numbers()).sum();
        total += count;
        layers.add_row([
            leaf.name.clone(),
            layer.title(),
            layer.output().to_string(),
            count.to_string(),
        ]);
    }
    let weights: usize = session
        .network
        .weights()
        .iter()
        .map(|weight| weight.tensor.numel() * 4)
        .sum();
    let epochs = session.experiment.train.epochs;
    format!(
        "{layers}\n\nparameters  {total}\nsteps       {steps_per_epoch} an epoch, {} in {epochs} epochs\n\
         memory      {} weights, {} images\n",
        steps_per_epoch * epochs,
        mebibytes(weights),
        mebibytes(session.data.pixels.bytes())
    )
}

/// The closing table, and what one would do next.
pub fn after(session: &Session, progress: &Progress, folder: &Path, took: Duration) -> String {
    let (best, last) = (progress.ranking.first(), progress.last.as_ref());
    let table = best_and_last(best, last, session.experiment.checkpoint.metric);
    let part = match (&*session.split.test, &*session.split.val) {
        ([], []) => " --part train",
        ([], _) => " --part val",
        _ => "",
    };
    format!(
        "{table}\n\n{} in {:.1} s; results are in {}\nnext: signet eval {}{part}",
        how_it_ended(&session.experiment, progress),
        took.as_secs_f64(),
        escaped(&folder.display().to_string()),
        shell_quote(folder)
    )
}

/// Loss (mean per image) and accuracy (per cent) of the best and the last epoch, on the train and val parts, and what the
/// best was chosen by, if it is another `metric`.
pub fn best_and_last(
    best: Option<&EpochRecord>,
    last: Option<&EpochRecord>,
    metric: Metric,
) -> Table {
    let columns = metric_columns(metric);
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut table = Table::new(1, &[&["", "epoch"], &names[..]].concat());
    for (name, record) in [("best", best), ("last", last)] {
        let Some(record) = record else { continue };
        let cell = |(_, metric): &(&str, Metric)| metric_cell(record, *metric);
        let start = [name.to_owned(), record.epoch.to_string()].into_iter();
        table.add_row(start.chain(columns.iter().map(cell)));
    }
    table
}

/// The metrics that are shown of an epoch: loss and accuracy, and what the best is chosen by, if it is another `metric`.
pub(super) fn metric_columns(metric: Metric) -> Vec<(&'static str, Metric)> {
    let mut columns = vec![
        ("train loss", Metric::TrainLoss),
        ("train acc. %", Metric::TrainAccuracy),
        ("val loss", Metric::ValLoss),
        ("val acc. %", Metric::ValAccuracy),
    ];
    match metric {
        Metric::ValMacroF1 => columns.push(("val macro F1 %", metric)),
        Metric::ValBalancedAccuracy => columns.push(("val bal. acc. %", metric)),
        Metric::TrainLoss | Metric::TrainAccuracy | Metric::ValLoss | Metric::ValAccuracy => {}
    }
    columns
}

/// The value of `metric` of an epoch: a loss, or a share in per cent.
pub(super) fn metric_cell(record: &EpochRecord, metric: Metric) -> String {
    match (record.get(metric), metric.mode()) {
        (None, _) => "-".to_owned(),
        (Some(loss), Mode::Min) => format!("{loss:.4}"),
        (Some(share), Mode::Max) => format!("{:.2}", 100.0 * share),
    }
}

/// One line on a run that has nothing left to do.
pub fn complete(experiment: &Experiment, progress: &Progress, folder: &Path) -> String {
    let longer = if progress.stopped_early(experiment) {
        "a greater -s train.early_stopping.patience=N trains on"
    } else {
        "--epochs N trains on"
    };
    format!(
        "{} is complete: {}; {longer}",
        folder.display(),
        how_it_ended(experiment, progress)
    )
}

/// One line on a run paused by `--until`.
pub fn paused(progress: &Progress, folder: &Path) -> String {
    format!(
        "paused after epoch {} (step {}); continue with `signet resume {}`",
        progress.epoch - 1,
        progress.step,
        shell_quote(folder)
    )
}

/// Where `signal` stopped a run, and how to go on.
pub fn stopped(signal: &str, progress: &Progress, folder: &Path) -> String {
    format!(
        "stopped by {signal} after step {} (epoch {}); go on with `signet resume {}`",
        progress.step,
        progress.epoch,
        shell_quote(folder)
    )
}

fn how_it_ended(experiment: &Experiment, progress: &Progress) -> String {
    let why = if progress.stopped_early(experiment) {
        "stopped early"
    } else {
        "finished"
    };
    let (done, epochs) = (progress.epoch - 1, experiment.train.epochs);
    format!("{why} after {done} of {epochs} epochs")
}

/// What has changed for a run that goes on, and what that means; none if nothing has.
pub fn resumed(ready: &Ready) -> Option<Table> {
    let (before, now) = (ready.processes, ready.session.ranks.world());
    if ready.changes.is_empty() && before == now {
        return None;
    }
    let mut table = changes(&ready.changes);
    if before != now {
        let meaning = match ready.session.experiment.train.reduction {
            Reduction::Tree => "free: keeps the bits",
            Reduction::Flat => "free: gives other bits",
        };
        table.add_row([
            "processes".to_owned(),
            before.to_string(),
            now.to_string(),
            meaning.to_owned(),
        ]);
    }
    Some(table)
}

/// In which keys two experiments differ.
pub fn changes(changes: &[Change]) -> Table {
    let mut table = Table::new(4, &["key", "old", "new", "policy"]);
    for change in changes {
        let or_dash = |value: &str| if value.is_empty() { "-" } else { value }.to_owned();
        let policy = change.policy.word().to_owned();
        table.add_row([
            change.key.clone(),
            or_dash(&change.old),
            or_dash(&change.new),
            policy,
        ]);
    }
    table
}

/// Every setting of an experiment, and where its value was written.
pub fn origins(settings: &BTreeMap<String, String>, document: &Document) -> Table {
    let mut table = Table::new(3, &["key", "from", "value"]);
    for (key, value) in settings {
        let origin = document.origin(key).unwrap_or_else(|| "default".to_owned());
        table.add_row([key.clone(), origin, value.clone()]);
    }
    table
}

/// What `train.init_from` found: tensors taken, initialised at random, and not used, a line each.
pub fn transferred(transfer: &Transfer) -> String {
    let mut text = format!(
        "initialised {} tensor(s) from another model",
        transfer.taken.len()
    );
    text += &format!(": {}\n", escaped(&transfer.taken.join(", ")));
    for (name, why) in &transfer.missing {
        text += &escaped(&format!("initialised at random: {name}, which {why}"));
        text += "\n";
    }
    if !transfer.left.is_empty() {
        text += &format!(
            "not used, since this model has no such tensors: {}\n",
            escaped(&transfer.left.join(", "))
        );
    }
    text
}

/// The verdict on a run that was trained again.
pub fn proof(proof: &Proof) -> String {
    let Proof {
        from,
        to,
        tensors,
        metrics_bytes,
        ..
    } = proof;
    let scope = format!("steps {from} to {to}, trained again");
    let (Some(first), causes) = (proof.differences.first(), &proof.causes) else {
        return format!(
            "proved: {scope}, gave the same bits in {tensors} tensors (weights, moments), in the best epochs and counters, and \
             in {metrics_bytes} bytes of metrics.jsonl"
        );
    };
    let causes = match causes.as_slice() {
        [] => "no recorded setting of the machine has changed, so please report this".to_owned(),
        causes => format!("the likely cause: {}", causes.join("; ")),
    };
    let count = proof.differences.len();
    format!("not proved: {scope}, gave {count} difference(s), the first in {first}; {causes}")
}

/// Artefacts, each with its size, its largest difference of logits from the live model, and its accuracy.
pub fn exported(artefacts: &[Exported]) -> Table {
    let header = [
        "artefact",
        "bytes",
        "largest difference",
        "accuracy %",
        "seconds",
    ];
    let mut table = Table::new(1, &header);
    for artefact in artefacts {
        let report = &artefact.report;
        table.add_row([
            artefact.path.display().to_string(),
            artefact.file.bytes.to_string(),
            format!(
                "{:.1e} of {:.1e}",
                report.largest_difference(),
                report.tolerance
            ),
            report
                .accuracy
                .map_or("-".to_owned(), |[_, own]| format!("{:.2}", 100.0 * own)),
            format!("{:.1}", artefact.seconds),
        ]);
    }
    table
}

/// What the gate found, a line per size of batches.
pub fn gate(report: &Report) -> String {
    let mut checks = Table::new(0, &["batch", "images", "largest difference"]);
    for check in &report.checks {
        checks.add_row([
            check.batch.to_string(),
            check.images.to_string(),
            format!("{:.1e}", check.largest_difference),
        ]);
    }
    let verdict = if report.passed() {
        format!(
            "passed: no logit differs by more than {:.1e}",
            report.tolerance
        )
    } else {
        format!("failed: {}", report.failure())
    };
    let accuracy = report.accuracy.map_or(String::new(), |[live, own]| {
        format!(
            "; accuracy {:.2} % (live {:.2} %)",
            100.0 * own,
            100.0 * live
        )
    });
    format!("{checks}\n\n{verdict}{accuracy}")
}

/// Bytes in mebibytes.
pub fn mebibytes(bytes: usize) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
