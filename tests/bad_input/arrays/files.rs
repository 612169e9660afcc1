//! Files that are no arrays, or arrays of other types and shapes; bytes of 0 and 1.

use std::process::Command;

use super::{ROWS, SOURCE, file, floats, info, npy, workshop};
use crate::refused;
use crate::support::Workshop;

#[test]
fn arrays_with_a_wrong_header_shape_or_length_are_named() {
    let good = |body: &[u8]| npy("<f4", "(10, 16, 16)", body);
    let cases: [(&str, Vec<u8>, &str); 11] = [
        ("text", b"no array".to_vec(), "X.npy: is no .npy file"),
        ("nothing", Vec::new(), "X.npy: is no .npy file"),
        (
            "header",
            file("{'descr': oops", &[]),
            "X.npy: its header is damaged",
        ),
        (
            "shape",
            npy("<f4", "(10, 8, 32)", &floats(2560, 0.5)),
            "data.image are [N, 16, 16]",
        ),
        (
            "flat",
            npy("<f4", "(10, 256)", &floats(2560, 0.5)),
            "numpy.save(\"new.npy\", numpy.load(\"X.npy\").reshape(-1, 16, 16))",
        ),
        (
            "last",
            npy("<f4", "(16, 16, 1, 10)", &floats(2560, 0.5)),
            "numpy.save(\"new.npy\", numpy.moveaxis(numpy.load(\"X.npy\"), -1, 0))",
        ),
        (
            "short",
            good(&floats(2559, 0.5)),
            "claims [10, 16, 16] numbers of 4 bytes, and 10236 bytes are fewer",
        ),
        (
            "long",
            good(&floats(2561, 0.5)),
            "claims [10, 16, 16] numbers of 4 bytes, and 10244 bytes are more",
        ),
        (
            "absurd",
            npy("<f4", "(99999999999, 16, 16)", &[]),
            "bytes are fewer than that",
        ),
        (
            "overflow",
            npy("<f4", "(4294967296, 4294967296, 8)", &[0; 64]),
            "64 bytes are fewer than that",
        ),
        (
            "wide",
            npy("<U4611686018427387904", "(8,)", &[0; 64]),
            "the type \"<U4611686018427387904\"",
        ),
    ];
    for (case, bytes, words) in cases {
        let workshop = Workshop::new();
        workshop.write("X.npy", bytes);
        println!("{case}");
        refused(&workshop, &[ROWS], 3, &[words]);
    }
    let workshop = workshop(Vec::new());
    let beyond = ROWS.replace("[5, 10]", "[5, 11]");
    let words = "data.source.rows.1: [5, 11) reaches past the 10 rows";
    refused(&workshop, &[&beyond], 3, &[words]);
}

#[test]
fn arrays_of_other_types_say_how_numpy_makes_them_readable() {
    let save = |expression: &str| format!("numpy.save(\"new.npy\", {expression})");
    let object = save("numpy.array(numpy.load(\"X.npy\", allow_pickle=True).tolist())");
    let field = save("numpy.load(\"X.npy\")[\"pixels\"]");
    let record = "{'descr': [('pixels', '<f4', (16, 16)), ('label', '<i8')], 'fortran_order': False, 'shape': (10,)}";
    let cases: [(&str, Vec<u8>, &str, String); 6] = [
        (
            "objects",
            npy("|O", "(10,)", &[0x80, 4]),
            "Python objects",
            object,
        ),
        ("records", file(record, &[0; 10320]), "records", field),
        (
            "complex",
            npy("<c8", "(10, 16, 16)", &[0; 20480]),
            "complex",
            save("numpy.load(\"X.npy\").real"),
        ),
        (
            "long",
            npy("<f16", "(10, 16, 16)", &[0; 40960]),
            "<f16",
            save("numpy.load(\"X.npy\").astype(\"float32\")"),
        ),
        (
            "bright",
            npy("<f4", "(10, 16, 16)", &floats(2560, 200.0)),
            "the pixel 200;",
            save("numpy.load(\"X.npy\") / 255"),
        ),
        (
            "nan",
            npy("<f4", "(10, 16, 16)", &floats(2560, f32::NAN)),
            "row 0 has the pixel NaN;",
            save("numpy.nan_to_num(numpy.load(\"X.npy\"))"),
        ),
    ];
    for (case, bytes, words, line) in cases {
        let workshop = Workshop::new();
        workshop.write("X.npy", bytes);
        println!("{case}");
        refused(&workshop, &[ROWS], 3, &["X.npy: ", words, &line]);
    }
    let workshop = Workshop::new();
    let deep: Vec<u8> = (0..2560u16)
        .flat_map(|number| (25 * number).to_le_bytes())
        .collect();
    workshop.write("X.npy", npy("<u2", "(10, 16, 16)", &deep));
    let line = save("numpy.interp(numpy.load(\"X.npy\"), [0, 63975], [0, 1])");
    refused(&workshop, &[ROWS], 3, &["row 0 has the pixel 275; ", &line]);
}

#[test]
fn braces_without_end_are_refused_at_once() {
    let workshop = Workshop::new();
    workshop.write(
        "X.npy",
        [b"\x93NUMPY\x01\x00\x10\x00", &b"{".repeat(16)[..]].concat(),
    );
    refused(&workshop, &[ROWS], 3, &["X.npy: its header is damaged"]);
    workshop.write("X.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{");
    refused(
        &workshop,
        &[ROWS],
        3,
        &["X.npy: its header claims 4294967295 bytes"],
    );
}

#[test]
fn what_is_no_file_is_named_by_its_kind_and_not_waited_for() {
    let workshop = workshop(npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]));
    let made = Command::new("mkfifo")
        .arg(workshop.path("pipe.npy"))
        .status();
    assert!(made.unwrap().success());
    for (place, words) in [
        ("pipe.npy", "pipe.npy: is a pipe, not a .npy or .npz file"),
        ("/dev/zero", "/dev/zero: is a device"),
        (".", ".: is a folder"),
        ("none.npy", "none.npy: cannot be read: No such file"),
        ("none.npz/x", "none.npz/x: cannot be read: No such file"),
        ("Y.npy/x", "Y.npy: is no .npz archive, so it holds no x"),
    ] {
        for key in ["images", "labels"] {
            refused(
                &workshop,
                &[SOURCE, &format!("data.source.{key}={place}")],
                3,
                &[words],
            );
        }
    }
}

#[test]
fn bytes_of_0_and_1_alone_are_read_and_said() {
    let pattern: Vec<u8> = (0..2560).map(|at| (at % 2) as u8).collect();
    let wide: Vec<u8> = pattern.iter().flat_map(|&pixel| [pixel, 0]).collect();
    let mean = |said: &str| {
        let line = said
            .lines()
            .find(|line| line.starts_with("channel 0"))
            .unwrap();
        line.split_whitespace()
            .nth(3)
            .unwrap()
            .trim_end_matches(',')
            .to_owned()
    };
    let workshop = workshop(Vec::new());
    for (descr, body, expected, words) in [
        (
            "|u1",
            &pattern,
            "0.0020",
            "X.npy: its images hold the bytes 0 and 1 alone and are read as n/255",
        ),
        (
            "<i2",
            &wide,
            "0.5000",
            "X.npy: its images hold the int16 numbers 0 and 1 alone and are read as black and white",
        ),
        ("|b1", &pattern, "0.5000", ""),
    ] {
        workshop.write("X.npy", npy(descr, "(10, 16, 16)", body));
        let said = info(&workshop, &[ROWS]);
        assert_eq!(mean(&said), expected, "{descr}");
        assert_eq!(
            said.matches("0 and 1 alone").count(),
            usize::from(!words.is_empty()),
            "{said}"
        );
        assert!(said.contains(words), "{said}");
        let answer = workshop.signet(&[
            "train",
            "own.yaml",
            "--dry-run",
            "-s",
            "train.batch_size=2",
            "-s",
            ROWS,
        ]);
        assert_eq!(
            answer.stderr.contains("0 and 1 alone"),
            !words.is_empty(),
            "{}",
            answer.stderr
        );
    }
}
