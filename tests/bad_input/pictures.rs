//! Folders, pictures and arrays that are not what they should be.

use std::process::Command;

use crate::refused;
use crate::support::{Workshop, jpeg};

/// A `.npy` file: version 1.0, with any header and any body.
fn npy(header: &str, body: &[u8]) -> Vec<u8> {
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

fn floats(count: usize, value: f32) -> Vec<u8> {
    value.to_le_bytes().repeat(count)
}

#[test]
fn a_missing_root_says_how_to_name_another() {
    refused(
        &Workshop::new(),
        &[],
        3,
        &[
            "data.source.root: data cannot be read",
            "-s data.source.root=DIR",
        ],
    );
}

#[test]
fn an_empty_class_is_named() {
    let workshop = Workshop::with_folders(4);
    std::fs::create_dir(workshop.path("data/2")).unwrap();
    refused(&workshop, &[], 3, &["data/2 holds no JPEG and no PNG"]);
    refused(
        &workshop,
        &["data.classes=['0', '7']"],
        3,
        &["data has no folder \"7\"; it has 0, 1, 2"],
    );
}

#[test]
fn one_class_is_not_enough() {
    let workshop = Workshop::with_folders(4);
    std::fs::remove_dir_all(workshop.path("data/1")).unwrap();
    refused(&workshop, &[], 3, &["only the class \"0\" is there"]);
    refused(
        &workshop,
        &["data.classes=['0']"],
        2,
        &["data.classes: a classifier needs at least two classes"],
    );
}

#[test]
fn damaged_pictures_are_named_and_can_be_left_out() {
    let whole = jpeg();
    let mut corrupt = whole.clone();
    corrupt[20..60].fill(0x5A);
    let cases: [(&str, Vec<u8>, &str); 3] = [
        (
            "cut.jpg",
            whole[..whole.len() / 2].to_vec(),
            "cut.jpg is truncated or damaged: ",
        ),
        ("corrupt.jpg", corrupt, "corrupt.jpg"),
        (
            "text.jpg",
            b"not a picture at all".to_vec(),
            "neither a JPEG nor a PNG",
        ),
    ];
    for (name, bytes, words) in cases {
        let workshop = Workshop::with_folders(10);
        workshop.write(&format!("data/1/{name}"), bytes);
        refused(
            &workshop,
            &[],
            3,
            &[&format!("data/1/{name}"), words, "data.on_bad_image: skip"],
        );
        let arguments = [
            "train",
            "own.yaml",
            "-s",
            "data.on_bad_image=skip",
            "-s",
            "train.epochs=1",
        ];
        let answer = workshop.signet(&arguments);
        assert!(
            answer
                .stderr
                .contains(&format!("signet: left out 1: 1/{name} ")),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn a_png_that_claims_60000_by_60000_pixels_is_refused() {
    let workshop = Workshop::with_folders(4);
    let mut png = workshop.read("data/0/0000.png");
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    workshop.write("data/0/bomb.png", png);
    refused(
        &workshop,
        &[],
        3,
        &[
            "data/0/bomb.png",
            "has 60000 x 60000 pixels; up to 16384 pixels a side",
        ],
    );
}

#[test]
fn arrays_with_a_wrong_header_type_shape_or_length_are_named() {
    let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 16, 16), }";
    let rows = "rows: {'0': [0, 5], '1': [5, 10]}";
    let cases: [(&str, Vec<u8>, &str, &str); 10] = [
        ("text", b"no array".to_vec(), rows, "X.npy: is no .npy file"),
        (
            "header",
            npy("{'descr': oops", &[]),
            rows,
            "X.npy: is no .npy file",
        ),
        (
            "type",
            npy(&good.replace("<f4", "<c8"), &[0; 20480]),
            rows,
            "float32, float64, uint8, int32 and int64 are read",
        ),
        (
            "shape",
            npy(&good.replace("16, 16", "8, 32"), &floats(2560, 0.5)),
            rows,
            "data.image are [N, 16, 16]",
        ),
        (
            "short",
            npy(good, &floats(2559, 0.5)),
            rows,
            "claims [10, 16, 16] numbers, and 10236 bytes are fewer than that",
        ),
        (
            "long",
            npy(good, &floats(2561, 0.5)),
            rows,
            "claims [10, 16, 16] numbers, and 10244 bytes are more than that",
        ),
        (
            "absurd",
            npy(&good.replace("10, 16", "99999999999, 16"), &[]),
            rows,
            "bytes are fewer than that",
        ),
        (
            "range",
            npy(good, &floats(2560, 0.5)),
            "rows: {'0': [0, 5], '1': [5, 11]}",
            "data.source.rows.1: [5, 11) reaches past the 10 rows",
        ),
        (
            "nan",
            npy(good, &floats(2560, f32::NAN)),
            rows,
            "row 0 has the pixel NaN",
        ),
        (
            "bright",
            npy(good, &floats(2560, 1.5)),
            rows,
            "row 0 has the pixel 1.5",
        ),
    ];
    for (case, bytes, rows, words) in cases {
        let workshop = Workshop::new();
        workshop.write("X.npy", bytes);
        let source = format!("data.source={{kind: npy, images: X.npy, {rows}}}");
        println!("{case}");
        refused(&workshop, &[&source], 3, &[words]);
    }
}

#[test]
fn labels_that_do_not_fit_the_pictures_are_named() {
    let workshop = Workshop::new();
    workshop.write(
        "X.npy",
        npy(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 16, 16), }",
            &floats(2560, 0.5),
        ),
    );
    let source = "data.source={kind: npy, images: X.npy, labels: Y.npy}";
    workshop.write(
        "Y.npy",
        npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (9,), }",
            &[0; 9],
        ),
    );
    refused(
        &workshop,
        &[source],
        3,
        &["Y.npy has 9 rows, but X.npy has 10"],
    );
    workshop.write(
        "Y.npy",
        npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (10, 3), }",
            &[1; 30],
        ),
    );
    refused(&workshop, &[source], 3, &["Y.npy: row 0 is not one-hot"]);
    workshop.write(
        "Y.npy",
        npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (10,), }",
            &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
        ),
    );
    let mapped = source.replace("Y.npy", "Y.npy, label_map: {a: 0, b: 1, c: 7}");
    let words = "data.source.label_map.c: no row of Y.npy has the label 7";
    refused(&workshop, &[&mapped], 3, &[words]);
    let chosen = [
        "data.classes=[a, b]",
        "data.normalize=unit",
        "train.batch_size=2",
    ];
    let chosen: Vec<&str> = chosen.iter().flat_map(|key| ["-s", key]).collect();
    workshop.signet(
        &[
            &["train", "own.yaml", "--dry-run", "-s", &mapped],
            &chosen[..],
        ]
        .concat(),
    );
}

#[test]
fn a_link_to_a_picture_that_is_gone_is_a_picture_that_cannot_be_read() {
    let workshop = Workshop::with_folders(10);
    std::os::unix::fs::symlink("nowhere.jpg", workshop.path("data/1/0100.jpg")).unwrap();
    refused(
        &workshop,
        &[],
        3,
        &["data/1/0100.jpg cannot be read: No such file"],
    );
    std::fs::remove_file(workshop.path("data/1/0100.jpg")).unwrap();
    let made = Command::new("mkfifo")
        .arg(workshop.path("data/1/0100.jpg"))
        .status();
    assert!(made.unwrap().success());
    refused(
        &workshop,
        &[],
        3,
        &["data/1/0100.jpg is no file of its own"],
    );
}
