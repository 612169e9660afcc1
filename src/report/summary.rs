//! What is printed before and after a training.

use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::run::session::Session;
use crate::train::metrics::Figures;
use crate::train::trainer::Outcome;

/// A table without frames: the first `words` columns hold words, the others numbers.
pub fn table(words: usize, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        if column.index >= words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One line: what is trained on what, where, into which folder.
pub fn heading(session: &Session, folder: &Path) -> String {
    let [train, val, test] = session.split.parts().map(|(_, part)| part.len());
    let device = format!("{:?}", session.device).to_lowercase();
    format!(
        "{}: {train} train, {val} val, {test} test pictures of {} classes on {device}, {} thread(s); into {}",
        session.experiment.name,
        session.data.classes.len(),
        tch::get_num_threads(),
        folder.display()
    )
}

/// Layers, steps and memory of a training that has not begun.
pub fn before(session: &Session, steps_per_epoch: usize) -> String {
    let mut layers = table(3, &["name", "layer", "output", "parameters"]);
    let mut total = 0;
    for (name, layer) in &session.network.plan().layers {
        let trained = layer
            .parameters()
            .into_iter()
            .filter(|parameter| parameter.role.trained());
        let count: usize = trained.map(|parameter| parameter.numbers()).sum();
        total += count;
        layers.add_row([
            name.clone(),
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
         memory      {} weights, {} pictures\n",
        steps_per_epoch * epochs,
        mebibytes(weights),
        mebibytes(session.pictures.bytes())
    )
}

/// The closing table.
pub fn after(session: &Session, outcome: &Outcome, folder: &Path, took: Duration) -> String {
    let mut table = table(
        1,
        &[
            "",
            "epoch",
            "train loss",
            "train acc. %",
            "val loss",
            "val acc. %",
        ],
    );
    for (name, record) in [("best", &outcome.best), ("last", &outcome.last)] {
        let [train_loss, train_accuracy] = cells(Some(record.train));
        let [val_loss, val_accuracy] = cells(record.val);
        table.add_row([
            name.to_owned(),
            record.epoch.to_string(),
            train_loss,
            train_accuracy,
            val_loss,
            val_accuracy,
        ]);
    }
    let why = if outcome.stopped_early {
        "stopped early"
    } else {
        "finished"
    };
    let epochs = session.experiment.train.epochs;
    format!(
        "{table}\n\n{why} after {} of {epochs} epochs in {:.1} s; the evidence is in {}\nnext: signet eval {}",
        outcome.last.epoch,
        took.as_secs_f64(),
        folder.display(),
        folder.display()
    )
}

fn cells(figures: Option<Figures>) -> [String; 2] {
    match figures {
        Some(Figures { loss, accuracy }) => {
            [format!("{loss:.4}"), format!("{:.2}", 100.0 * accuracy)]
        }
        None => ["-".to_owned(), "-".to_owned()],
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
