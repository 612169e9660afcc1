//! Loss and accuracy of a training as curves in text, which are told apart without colour.

use crate::config::train::Metric;
use crate::run::bars::best_in_words;
use crate::terminal::Charset;
use crate::train::metrics::{EpochRecord, Metrics};

/// Rows of a chart.
const ROWS: usize = 8;
/// Columns between two charts that stand side by side.
const GAP: usize = 3;

/// One chart: the train part and the val part over the epochs.
struct Chart {
    title: String,
    /// Of each epoch, if there is a value that is finite.
    train: Vec<Option<f64>>,
    val: Vec<Option<f64>>,
    /// The lowest and the highest value.
    ends: [f64; 2],
    logarithmic: bool,
    /// Decimals of the numbers beside the axis.
    decimals: usize,
}

/// The curves of `records` in `columns`; the epoch `best`, chosen by `metric`, is marked. Nothing if no epoch has ended.
pub fn text_curves(
    records: &[EpochRecord],
    best: Option<&EpochRecord>,
    metric: Metric,
    columns: usize,
    charset: Charset,
) -> String {
    if records.is_empty() {
        return String::new();
    }
    let charts = [
        Chart::of(records, "loss", 4, |metrics| metrics.loss),
        Chart::of(records, "accuracy %", 2, |metrics| 100.0 * metrics.accuracy),
    ];
    let epochs: Vec<usize> = records.iter().map(|record| record.epoch).collect();
    let marked = best.map(|best| best.epoch);
    let best = best.map(|best| best_in_words(best, metric));
    let half = columns.saturating_sub(GAP) / 2;
    let side_by_side = half >= 35;
    let width = if side_by_side { half } else { columns }.clamp(20, 80);
    let [loss, accuracy] = charts
        .each_ref()
        .map(|chart| chart.lines(&epochs, marked, width, charset));
    let mut lines: Vec<String> = if side_by_side {
        let pairs = loss.iter().zip(&accuracy);
        pairs
            .map(|(left, right)| format!("{left:<width$}{:GAP$}{right}", ""))
            .collect()
    } else {
        [loss, vec![String::new()], accuracy].concat()
    };
    lines.push(String::new());
    lines.push(legend(records, best, charset));
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

/// What the lines mean, and what is missing from them.
fn legend(records: &[EpochRecord], best: Option<[String; 2]>, charset: Charset) -> String {
    let [train, val] = match charset {
        Charset::Unicode => ["⠂ ⠂ train", "⠒⠒⠒ val"],
        Charset::Ascii => ["... train", "### val"],
    };
    let mut pieces = vec![train.to_owned()];
    if records.iter().any(|record| record.val.is_some()) {
        pieces.push(val.to_owned());
    }
    pieces.extend(best.map(|[_, long]| format!("^ {long}")));
    let finite = |metrics: &Metrics| metrics.loss.is_finite() && metrics.accuracy.is_finite();
    let odd = |record: &&EpochRecord| {
        !finite(&record.train) || record.val.is_some_and(|val| !finite(&val))
    };
    let odd = records.iter().filter(odd).count();
    if odd > 0 {
        pieces.push(format!("{odd} epoch(s) with values that are not finite"));
    }
    pieces.join("   ")
}

impl Chart {
    fn of(
        records: &[EpochRecord],
        title: &str,
        decimals: usize,
        value: fn(&Metrics) -> f64,
    ) -> Chart {
        let finite = |metrics: &Metrics| Some(value(metrics)).filter(|value| value.is_finite());
        let train: Vec<_> = records.iter().map(|record| finite(&record.train)).collect();
        let val: Vec<_> = records
            .iter()
            .map(|record| finite(record.val.as_ref()?))
            .collect();
        let all = || train.iter().chain(&val).flatten().copied();
        let low = all().fold(f64::INFINITY, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        // What shrinks by orders of magnitude would lie on the axis for most of the time.
        let logarithmic = low > 0.0 && high / low > 100.0;
        let scale = if logarithmic { ", logarithmic" } else { "" };
        Chart {
            title: format!("{title}{scale}"),
            train,
            val,
            ends: [low, high],
            logarithmic,
            decimals,
        }
    }

    /// The chart with its axes, `width` columns wide; the last two lines belong to the axis of `epochs`.
    fn lines(
        &self,
        epochs: &[usize],
        marked: Option<usize>,
        width: usize,
        charset: Charset,
    ) -> Vec<String> {
        let [low, high] = self.ends.map(|end| {
            if end.is_finite() {
                format!("{end:.*}", self.decimals)
            } else {
                "-".to_owned()
            }
        });
        let label = low.len().max(high.len());
        let cells = width.saturating_sub(label + 2);
        let rows = self.canvas(cells, charset);
        let [upright, corner, level] = match charset {
            Charset::Unicode => ['│', '└', '─'],
            Charset::Ascii => ['|', '+', '-'],
        };
        let mut lines = vec![format!("{:label$}  {}", "", self.title)];
        for (row, drawn) in rows.into_iter().enumerate() {
            let number = match row {
                0 => &*high,
                _ if row == ROWS - 1 => &*low,
                _ => "",
            };
            lines.push(format!("{number:>label$} {upright}{drawn}"));
        }
        let axis: String = std::iter::repeat_n(level, cells).collect();
        lines.push(format!("{:label$} {corner}{axis}", ""));
        lines.push(format!("{:label$}  {}", "", numbers(epochs, marked, cells)));
        lines
    }

    /// The curves as [`ROWS`] rows of `cells` characters.
    fn canvas(&self, cells: usize, charset: Charset) -> Vec<String> {
        let (across, down) = match charset {
            Charset::Unicode => (2, 4), // the dots of a braille character
            Charset::Ascii => (1, 1),
        };
        let (wide, high) = (cells * across, ROWS * down);
        let mut dots = vec![vec![Dot::None; wide]; high];
        let (mut passed, mut before) = (0, None);
        self.draw(&self.train, [wide, high], &mut |x, y| {
            passed += usize::from(before != Some([x, y]));
            before = Some([x, y]);
            // Every third place of the way, so that it is told from a closed line.
            if charset == Charset::Ascii || passed % 3 == 1 {
                dots[y][x] = Dot::Train;
            }
        });
        self.draw(&self.val, [wide, high], &mut |x, y| dots[y][x] = Dot::Val);
        let cell = |row: usize, column: usize| match charset {
            Charset::Ascii => match dots[row][column] {
                Dot::None => ' ',
                Dot::Train => '.',
                Dot::Val => '#',
            },
            Charset::Unicode => braille(|x, y| dots[4 * row + y][2 * column + x] != Dot::None),
        };
        (0..ROWS)
            .map(|row| (0..cells).map(|column| cell(row, column)).collect())
            .collect()
    }

    /// Hands `dot` the places, from the left and from the top, that the line through `values` passes in a field of
    /// `size`. It has a gap where there is no value.
    fn draw(&self, values: &[Option<f64>], size: [usize; 2], dot: &mut dyn FnMut(usize, usize)) {
        let [right, bottom] = size.map(|side| side.saturating_sub(1) as f64);
        if size.contains(&0) {
            return;
        }
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let [low, high] = self.ends.map(scale);
        let height = |value: f64| match (scale(value) - low) / (high - low) {
            share if share.is_finite() => (1.0 - share) * bottom,
            _ => bottom, // all values are alike
        };
        let steps = values.len().saturating_sub(1).max(1) as f64;
        // One epoch alone is a line across.
        let ends = match values {
            [only] => vec![*only, *only],
            _ => values.to_vec(),
        };
        for (index, pair) in ends.windows(2).enumerate() {
            let places = [index, index + 1].map(|index| index as f64 / steps * right);
            match (pair[0], pair[1]) {
                (Some(from), Some(to)) => {
                    segment([places[0], height(from)], [places[1], height(to)], dot)
                }
                (Some(alone), None) => {
                    dot(places[0].round() as usize, height(alone).round() as usize)
                }
                (None, Some(alone)) => {
                    dot(places[1].round() as usize, height(alone).round() as usize)
                }
                (None, None) => {}
            }
        }
    }
}

/// Hands `dot` each place of the straight line between two points, both included.
fn segment(from: [f64; 2], to: [f64; 2], dot: &mut dyn FnMut(usize, usize)) {
    let [wide, high] = [0, 1].map(|axis| (to[axis].round() - from[axis].round()).abs());
    let steps = wide.max(high).max(1.0);
    for step in 0..=steps as usize {
        let share = step as f64 / steps;
        let [x, y] = [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]));
        dot(x.round() as usize, y.round() as usize);
    }
}

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dot {
    None,
    Train,
    Val,
}

/// The braille character whose dots, two across and four down, `is_set`; a blank without any.
fn braille(is_set: impl Fn(usize, usize) -> bool) -> char {
    /// The bit of each dot, by row (Unicode 16, section 21.1).
    const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    let dots = (0..4).flat_map(|y| (0..2).map(move |x| (x, y)));
    let bits: u32 = dots
        .filter(|(x, y)| is_set(*x, *y))
        .map(|(x, y)| BITS[y][x])
        .sum();
    match bits {
        0 => ' ',
        bits => char::from_u32(0x2800 + bits).unwrap_or(' '),
    }
}

/// The first and the last of `epochs` and a mark, below an axis of `cells`; a number goes where there is room for it.
fn numbers(epochs: &[usize], marked: Option<usize>, cells: usize) -> String {
    let (Some(first), Some(last)) = (epochs.first(), epochs.last()) else {
        return String::new();
    };
    let mut line = vec![' '; cells];
    let mut write = |at: usize, text: &str| {
        let place = at..at + text.len();
        let around = at.saturating_sub(1)..(place.end + 1).min(cells);
        if place.end <= cells && line[around].iter().all(|cell| *cell == ' ') {
            line.splice(place, text.chars());
        }
    };
    let position = marked.and_then(|marked| epochs.iter().position(|epoch| *epoch == marked));
    if let (Some(marked), Some(position)) = (marked, position) {
        let share = position as f64 / (epochs.len() - 1).max(1) as f64;
        let at = (share * cells.saturating_sub(1) as f64).round() as usize;
        let (behind, before) = (format!("^{marked}"), format!("{marked}^"));
        if at + behind.len() <= cells {
            write(at, &behind);
        } else {
            write((at + 1).saturating_sub(before.len()), &before);
        }
    }
    write(0, &first.to_string());
    let last = last.to_string();
    write(cells.saturating_sub(last.len()), &last);
    line.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize, train: f64, val: Option<f64>) -> EpochRecord {
        let metrics = |loss: f64| Metrics {
            loss,
            accuracy: 1.0 - loss / 2.0,
            ..Metrics::default()
        };
        EpochRecord {
            epoch,
            step: epoch,
            lr: 0.1,
            train: metrics(train),
            val: val.map(metrics),
        }
    }

    /// Epochs from 1 on with these losses of the train and the val part.
    fn records(losses: &[(f64, Option<f64>)]) -> Vec<EpochRecord> {
        let numbered = losses.iter().enumerate();
        numbered
            .map(|(index, (train, val))| record(index + 1, *train, *val))
            .collect()
    }

    fn shown(records: &[EpochRecord], columns: usize, charset: Charset) -> String {
        let best = records.get(2).or(records.first());
        text_curves(records, best, Metric::ValLoss, columns, charset)
    }

    #[test]
    fn the_val_part_lies_over_the_train_part_and_the_best_epoch_is_marked() {
        let losses = [(1.0, 0.8), (0.8, 0.4), (0.6, 0.2), (0.4, 0.4), (0.2, 0.6)];
        let losses = losses.map(|(train, val)| (train, Some(val)));
        let shown = shown(&records(&losses), 22, Charset::Ascii);
        // Eight rows from 1.0 down to 0.2, and fourteen columns of epochs 1 to 5: places counted by hand.
        let expected = [
            "        loss",
            "1.0000 |.",
            "       | ..",
            "       |#  ..",
            "       | #   ..",
            "       |  #    ..   ##",
            "       |   #     .##",
            "       |    ##  ## ..",
            "0.2000 |      ##     .",
            "       +--------------",
            "        1      ^3    5",
        ];
        let loss: Vec<&str> = shown.lines().take(expected.len()).collect();
        assert_eq!(loss, expected, "{shown}");
        assert!(shown.ends_with("\n... train   ### val   ^ best 3 (val.loss 0.2000)"));
    }

    #[test]
    fn curves_keep_to_their_columns_however_many_epochs_there_are() {
        let many: Vec<_> = (1..=300)
            .map(|epoch| (1.0 / f64::from(epoch), Some(0.5)))
            .collect();
        let infinite = [(f64::INFINITY, Some(f64::NAN)), (f64::NAN, None)];
        let cases: [&[(f64, Option<f64>)]; 5] = [
            &many,
            &many[..1],
            &[(0.5, None)],
            &infinite,
            &[
                (0.5, Some(0.5)),
                (f64::NAN, Some(f64::INFINITY)),
                (0.1, Some(0.2)),
            ],
        ];
        for losses in cases {
            for columns in [20, 30, 60, 80, 200] {
                for charset in [Charset::Ascii, Charset::Unicode] {
                    let shown = shown(&records(losses), columns, charset);
                    let charts = shown
                        .lines()
                        .filter(|line| line.contains(['|', '│', '+', '└']));
                    for line in charts {
                        assert!(line.chars().count() <= columns, "{columns}: {line}");
                    }
                    assert_eq!(charset == Charset::Ascii, shown.is_ascii(), "{shown}");
                }
            }
        }
        assert_eq!(shown(&[], 80, Charset::Unicode), "");
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let losses = [
            (0.9, Some(0.8)),
            (f64::NAN, Some(f64::INFINITY)),
            (0.1, Some(0.2)),
        ];
        let told = "1 epoch(s) with values that are not finite";
        assert!(shown(&records(&losses), 80, Charset::Ascii).ends_with(told));
        let without_val = shown(&records(&[(0.9, None), (0.1, None)]), 80, Charset::Unicode);
        assert!(!without_val.contains("val"), "{without_val}");
    }

    #[test]
    fn losses_of_several_orders_of_magnitude_are_drawn_by_their_logarithm() {
        let losses = [1.0, 0.1, 0.01, 0.001].map(|loss| (loss, None));
        let shown = shown(&records(&losses), 30, Charset::Ascii);
        assert!(shown.starts_with("        loss, logarithmic\n"), "{shown}");
        // So equal factors are equal distances: a straight line, of as many places in each row.
        let rows: Vec<usize> = shown
            .lines()
            .skip(1)
            .take(ROWS)
            .map(|row| row.matches('.').count())
            .collect();
        assert_eq!(rows[1..ROWS - 1], [3; ROWS - 2], "{shown}");
    }
}
