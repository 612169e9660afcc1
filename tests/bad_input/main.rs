//! Bad input ends with one clear line, the right exit code, and nothing half-made.

mod arrays;
mod images;
mod runs;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use support::{SMALL, Workshop};

/// Trains and expects a refusal: exit code, one line with `words`, and nothing new in the folder.
fn refused(workshop: &Workshop, overrides: &[&str], code: i32, words: &[&str]) {
    workshop.write("own.yaml", SMALL);
    let before = workshop.names();
    let mut arguments = vec!["train", "own.yaml"];
    overrides
        .iter()
        .for_each(|text| arguments.extend(["-s", text]));
    let answer = workshop.call(&arguments);
    assert_eq!(answer.code, code, "{overrides:?}: {}", answer.stderr);
    assert_eq!(
        answer.stderr.lines().count(),
        1,
        "{overrides:?}: {}",
        answer.stderr
    );
    for word in words {
        assert!(
            answer.stderr.contains(word),
            "{overrides:?} does not say {word:?}: {}",
            answer.stderr
        );
    }
    assert_eq!(
        workshop.names(),
        before,
        "{overrides:?} left something behind"
    );
}
