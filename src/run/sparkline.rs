//! A curve in one line of text.

use crate::terminal::Charset;

/// `values` from the first to the last in at most `cells` characters. Each shows how high the mean of its values lies
/// between the lowest and the highest of all; `!` stands for values of which one is not finite.
pub fn sparkline(values: &[f64], cells: usize, charset: Charset) -> String {
    let levels: &[char] = match charset {
        Charset::Unicode => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Charset::Ascii => &['_', '.', ':', '-', '=', '+', '*', '#'],
    };
    let count = values.len();
    let cells = cells.min(count);
    let mean = |cell: usize| {
        let share = &values[cell * count / cells..(cell + 1) * count / cells];
        share.iter().sum::<f64>() / share.len() as f64
    };
    let means: Vec<f64> = (0..cells).map(mean).collect();
    let finite = || means.iter().copied().filter(|mean| mean.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let top = (levels.len() - 1) as f64;
    let level = |mean: &f64| match (mean - low) / (high - low) {
        _ if !mean.is_finite() => '!',
        share if share > 0.0 => levels[(share * top).round() as usize],
        _ => levels[0], // of values that are all alike, too
    };
    means.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_has_a_character_for_each_value_or_for_equal_shares_of_them() {
        let (unicode, ascii) = (Charset::Unicode, Charset::Ascii);
        let many: Vec<f64> = (0..300).map(f64::from).collect();
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let cases: [(&[f64], usize, Charset, &str, &str); 9] = [
            (&[], 20, unicode, "", "no epoch"),
            (&[0.5], 20, unicode, "▁", "one"),
            (&[0.5, 0.5, 0.5], 20, unicode, "▁▁▁", "all alike"),
            (&[0.7, 0.1, 0.0], 20, unicode, "█▂▁", "a cell for each"),
            (&[7.0, 1.0, 0.0], 20, ascii, "#._", "without Unicode"),
            (&[4.0, 2.0, 1.0, 1.0, 0.0], 2, unicode, "█▁", "means"),
            (&many, 8, unicode, "▁▂▃▄▅▆▇█", "300 epochs"),
            (&[1.0, nan, infinite, 0.0], 9, ascii, "#!!_", "not finite"),
            (&[nan], 20, unicode, "!", "nothing finite"),
        ];
        for (values, cells, charset, expected, why) in cases {
            assert_eq!(sparkline(values, cells, charset), expected, "{why}");
        }
        assert_eq!(sparkline(&many, 0, unicode), "", "no room");
    }
}
