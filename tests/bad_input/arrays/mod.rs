//! Arrays: what numpy writes is read, and what is not read says why, and how numpy makes it so. The other half of
//! these promises is held against numpy itself, in tests/interop/arrays.py.

mod archives;
mod files;
mod labels;

use crate::support::Workshop;

/// A `.npy` file: version 1.0, with any header and any body.
fn file(header: &str, body: &[u8]) -> Vec<u8> {
    let mut header = header.to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    [
        b"\x93NUMPY\x01\x00",
        &(header.len() as u16).to_le_bytes()[..],
        header.as_bytes(),
        body,
    ]
    .concat()
}

fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    file(
        &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"),
        body,
    )
}

fn floats(count: usize, value: f32) -> Vec<u8> {
    value.to_le_bytes().repeat(count)
}

/// Ten images of 16 x 16, each of its own grey, with these labels.
fn workshop(labels: Vec<u8>) -> Workshop {
    let workshop = Workshop::new();
    let greys: Vec<u8> = (0..10).flat_map(|row| [20 * row as u8; 256]).collect();
    workshop.write("X.npy", npy("|u1", "(10, 16, 16)", &greys));
    workshop.write("Y.npy", labels);
    workshop
}

const SOURCE: &str = "data.source={kind: npy, images: X.npy, labels: Y.npy}";
const ROWS: &str = "data.source={kind: npy, images: X.npy, rows: {'0': [0, 5], '1': [5, 10]}}";

/// What `data info` says, on both streams.
fn info(workshop: &Workshop, overrides: &[&str]) -> String {
    workshop.write("own.yaml", crate::support::SMALL);
    let mut arguments = vec!["data", "info", "own.yaml"];
    overrides
        .iter()
        .for_each(|text| arguments.extend(["-s", text]));
    let answer = workshop.signet(&arguments);
    answer.stdout + &answer.stderr
}

/// The classes that `data info` lists, in its order, with their counts.
fn classes(workshop: &Workshop, overrides: &[&str]) -> String {
    let said = info(workshop, overrides);
    let lines = said.lines().filter_map(|line| line.strip_prefix("class "));
    let words = lines.map(|line| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    });
    words.collect::<Vec<_>>().join(", ")
}
