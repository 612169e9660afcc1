//! Words and numbers in a plot: names that somebody else chose, and the marks of an axis.

use crate::messages::escaped;

/// A name that somebody else chose, as text of `most` letters at the most: control characters are shown.
pub(super) fn short(name: &str, most: usize) -> String {
    let shown = escaped(name);
    if shown.chars().count() <= most {
        return shown.into_owned();
    }
    let start: String = shown.chars().take(most.saturating_sub(1)).collect();
    start + "\u{2026}"
}

/// The same as `kuva` takes it, for which `$` begins a formula.
pub(super) fn label(name: &str, most: usize) -> String {
    short(name, most).replace('$', "\\$")
}

/// The end of a name in `most` letters at the most: it tells more than the start.
pub fn end_of(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - most + 1).collect();
    format!("\u{2026}{end}")
}

/// A number at an axis, in no more digits than it needs of three or four.
pub(super) fn tick(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size @ (..1e-3 | 1e5..) if size > 0.0 => {
            let text = format!("{number:.1e}");
            text.replace(".0e", "e")
        }
        size => {
            let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{number:.decimals$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
    }
}

/// A step between marks of an axis that counts up to `most`: whole, and wide enough for some eight of them.
pub(super) fn whole_step(most: usize) -> f64 {
    round_step((most as f64 / 8.0).max(1.0))
}

/// The next 1, 2 or 5 times a power of ten from `rough` on, which is above 0.
pub(super) fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * power);
    steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_an_axis_are_short() {
        let cases = [
            (0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1.000_000_01e-3, "0.001"),
            (2.5e-4, "2.5e-4"),
            (1e-4, "1e-4"),
            (97.5, "97.5"),
            (-1.25, "-1.25"),
            (1200.0, "1200"),
            (250_000.0, "2.5e5"),
        ];
        for (number, expected) in cases {
            assert_eq!(tick(number), expected);
        }
    }

    #[test]
    fn steps_of_an_axis_are_round_and_not_too_many() {
        for most in [1, 5, 8, 9, 15, 40, 300, 1500] {
            let step = whole_step(most);
            assert_eq!(step.fract(), 0.0);
            assert!(most as f64 / step <= 8.0, "{most}: {step}");
        }
        assert_eq!([whole_step(15), whole_step(300)], [2.0, 50.0]);
    }

    #[test]
    fn a_name_becomes_no_formula_and_no_longer_than_there_is_room_for() {
        assert_eq!(label("$x^2$", 20), r"\$x^2\$");
        assert_eq!(label("far too long a name", 8), "far too\u{2026}");
        assert_eq!(label("two\nlines", 20), r"two\nlines");
    }
}
