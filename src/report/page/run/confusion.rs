//! Which class was taken for which, as a table whose cells open their images.

use crate::messages::escaped;
use crate::report::page::{PageTable, or_dash};
use crate::report::studies::percent;
use crate::report::verdicts::Verdicts;

/// Classes up to which the confusion matrix is a table of cells.
pub(super) const CELLS: usize = 40;

pub(super) struct Confusion {
    pub(super) part: &'static str,
    pub(super) classes: Vec<String>,
    pub(super) rows: Vec<ConfusionRow>,
    pub(super) pairs: Vec<ConfusedPair>,
    pub(super) binary: bool,
    pub(super) by_class: PageTable,
}

pub(super) struct ConfusionRow {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) cells: Vec<ConfusionCell>,
}

pub(super) struct ConfusionCell {
    pub(super) count: usize,
    pub(super) rate: String,
    pub(super) percent: String,
}

pub(super) struct ConfusedPair {
    pub(super) is: usize,
    pub(super) taken: usize,
    pub(super) count: usize,
}

pub(super) fn confusion(verdicts: &Verdicts) -> Confusion {
    let classes: Vec<String> = verdicts
        .classes
        .iter()
        .map(|class| escaped(class).into_owned())
        .collect();
    let counts = verdicts.confusion();
    let cell = |count: usize, all: usize| {
        let rate = count as f64 / all.max(1) as f64;
        ConfusionCell {
            count,
            rate: format!("{rate:.3}"),
            percent: format!("{:.1}", 100.0 * rate),
        }
    };
    let row = |(number, row): (usize, &Vec<usize>)| {
        let all = row.iter().sum();
        ConfusionRow {
            number,
            name: classes[number].clone(),
            cells: row.iter().map(|count| cell(*count, all)).collect(),
        }
    };
    let rows = if classes.len() <= CELLS {
        counts.iter().enumerate().map(row).collect()
    } else {
        Vec::new()
    };
    let mut pairs: Vec<ConfusedPair> = Vec::new();
    for (is, row) in counts.iter().enumerate() {
        let others = row
            .iter()
            .enumerate()
            .filter(|(taken, count)| *taken != is && **count > 0);
        pairs.extend(others.map(|(taken, &count)| ConfusedPair { is, taken, count }));
    }
    pairs.sort_by(|a, b| {
        b.count
            .cmp(&a.count)
            .then((a.is, a.taken).cmp(&(b.is, b.taken)))
    });
    pairs.truncate(50);
    let by_class = verdicts.counts();
    let metrics = (0..classes.len()).map(|class| {
        let shares = [
            by_class.precision(class),
            by_class.recall(class),
            by_class.f1(class),
        ];
        let shares = shares.map(|share| or_dash(share.map(percent)));
        [
            &[verdicts.classes[class].clone()][..],
            &shares,
            &[by_class.support[class].to_string()],
        ]
        .concat()
    });
    let header = ["class", "precision %", "recall %", "F1 %", "images"];
    Confusion {
        part: verdicts.part.word(),
        binary: classes.len() == 2,
        by_class: PageTable::new("Metrics of each class", &header, metrics.collect()),
        rows,
        pairs,
        classes,
    }
}
