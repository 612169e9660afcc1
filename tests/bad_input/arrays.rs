//! Arrays: what numpy writes is read, and what is not read says why, and how numpy makes it so. The other half of
//! these promises is held against numpy itself, in tests/interop/arrays.py.

use std::fmt::Write;
use std::io::Write as _;
use std::process::Command;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::refused;
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

fn npz(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
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
fn labels_that_do_not_fit_the_images_are_named() {
    let save =
        |expression: &str| format!("numpy.save(\"new.npy\", numpy.load(\"Y.npy\"){expression})");
    let hot: Vec<u8> = [1, 0, 0].repeat(10);
    let not_hot: Vec<u8> = [1, 0, 0, 1, 0, 1].repeat(5);
    let half: Vec<u8> = [1.0f64, 0.5]
        .repeat(5)
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let cases: [(&str, Vec<u8>, &str, String); 8] = [
        (
            "fewer",
            npy("|u1", "(9,)", &[0; 9]),
            "Y.npy has 9 rows, but X.npy has 10",
            String::new(),
        ),
        (
            "one-hot",
            npy("|u1", "(10, 3)", &not_hot),
            "Y.npy: row 1 is not one-hot",
            save(".argmax(axis=1)"),
        ),
        (
            "cold",
            npy("|u1", "(10, 3)", &[0; 30]),
            "Y.npy: row 0 is not one-hot",
            save(".argmax(axis=1)"),
        ),
        (
            "turned",
            npy("|u1", "(3, 10)", &hot),
            "Y.npy has 3 rows, but X.npy has 10",
            save(".T"),
        ),
        (
            "one row",
            npy("|u1", "(1, 10)", &[0; 10]),
            "Y.npy has 1 rows, but X.npy has 10",
            save(".T"),
        ),
        (
            "square",
            npy("|u1", "(10, 1, 1)", &[0; 10]),
            "one-hot [N, K] numbers, but this holds [10, 1, 1]",
            save(".reshape(-1)"),
        ),
        (
            "half",
            npy("<f8", "(10,)", &half),
            "row 1 has the label 0.5, not a whole number",
            save(".round().astype(\"int64\")"),
        ),
        (
            "empty",
            npy("|S1", "(10,)", b"ababab\0bab"),
            "row 6 has a label that is empty",
            String::new(),
        ),
    ];
    for (case, labels, words, line) in cases {
        println!("{case}");
        refused(&workshop(labels), &[SOURCE], 3, &[words, &line]);
    }
}

#[test]
fn a_label_map_fits_its_numbers_or_is_refused() {
    let numbers = npy("|i1", "(10,)", &[0, 255, 0, 255, 0, 255, 0, 255, 0, 255]);
    let workshop = workshop(numbers);
    let mapped = |map: &str| SOURCE.replace("Y.npy", &format!("Y.npy, label_map: {{{map}}}"));
    let words = "data.source.label_map.c: no row of Y.npy has the label 7";
    refused(&workshop, &[&mapped("a: 0, b: -1, c: 7")], 3, &[words]);
    // Taken out, the class is not missed.
    let chosen = ["data.classes=[b, a]", &mapped("a: 0, b: -1, c: 7")];
    assert_eq!(classes(&workshop, &chosen), "b 5, a 5");
    workshop.write("Y.npy", npy("|S3", "(10,)", &b"catdog".repeat(5)));
    let words =
        "data.source.label_map: maps numbers, but Y.npy holds names already; leave the map out";
    refused(&workshop, &[&mapped("a: 0, b: 1")], 3, &[words]);
    assert_eq!(classes(&workshop, &[SOURCE]), "cat 5, dog 5");
}

#[test]
fn labels_are_read_from_every_type_that_is_whole() {
    let big = i64::MAX.to_le_bytes();
    let near = (i64::MAX - 1).to_le_bytes();
    let cases: [(&str, &str, Vec<u8>, &str); 9] = [
        ("|b1", "(10,)", [0, 1].repeat(5), "0 5, 1 5"),
        ("|i1", "(10, 1)", [255, 1].repeat(5), "-1 5, 1 5"),
        (">u2", "(10,)", [1, 0, 0, 1].repeat(5), "1 5, 256 5"),
        (
            "<u8",
            "(10,)",
            [[255; 8], [254; 8]].concat().repeat(5),
            "18374403900871474942 5, 18446744073709551615 5",
        ),
        (
            "<i8",
            "(10,)",
            [big, near].concat().repeat(5),
            "9223372036854775806 5, 9223372036854775807 5",
        ),
        ("<f2", "(10,)", [0, 0, 0, 0x3c].repeat(5), "0 5, 1 5"),
        (
            ">f8",
            "(10,)",
            [3f64.to_be_bytes(), (-2f64).to_be_bytes()]
                .concat()
                .repeat(5),
            "-2 5, 3 5",
        ),
        (
            "<U2",
            "(10, 1)",
            [b'b', 0, 0, 0, 0, 0, 0, 0, b'a', 0, 0, 0, b'b', 0, 0, 0].repeat(5),
            "ab 5, b 5",
        ),
        ("|b1", "(10, 2)", [0, 1, 1, 0].repeat(5), "0 5, 1 5"),
    ];
    for (descr, shape, body, expected) in cases {
        let workshop = workshop(npy(descr, shape, &body));
        assert_eq!(classes(&workshop, &[SOURCE]), expected, "{descr} {shape}");
    }
}

#[test]
fn the_classes_0_to_11_are_the_outputs_0_to_11_from_arrays_and_folders() {
    let workshop = Workshop::new();
    let labels: Vec<u8> = (0..36).map(|row| row % 12).collect();
    let greys: Vec<u8> = (0..36).flat_map(|row| [row; 256]).collect();
    workshop.write("X.npy", npy("|u1", "(36, 16, 16)", &greys));
    workshop.write("Y.npy", npy("|u1", "(36,)", &labels));
    let expected: Vec<String> = (0..12).map(|class| format!("{class} 3")).collect();
    assert_eq!(classes(&workshop, &[SOURCE]), expected.join(", "));
    let answer = workshop.signet(&["data", "npy", "own.yaml", "out", "-s", SOURCE]);
    assert_eq!(
        answer.stdout,
        "36 pictures in out; Y numbers the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
    );
    let written: Vec<u8> = workshop.read("out/Y.npy")[128..]
        .chunks(8)
        .map(|label| label[0])
        .collect();
    let pictures = workshop.read("out/X.npy");
    let greys: Vec<f32> = pictures[128..]
        .chunks(4 * 256)
        .map(|image| f32::from_le_bytes(image[..4].try_into().unwrap()))
        .collect();
    for (label, grey) in written.iter().zip(&greys) {
        assert_eq!((grey * 255.0).round() as u8 % 12, *label);
    }
    let png = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let pixels = image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8, y as u8, 0]));
        pixels
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    for (class, file) in (0..12).flat_map(|class| (0..3).map(move |file| (class, file))) {
        workshop.write(&format!("data/{class}/{file}.png"), &png);
    }
    assert_eq!(classes(&workshop, &[]), expected.join(", "));
    // Other names come by name, and say how their numbers are names again.
    workshop.write("Y.npy", npy("|S3", "(36,)", &b"dogcat".repeat(18)));
    let answer = workshop.signet(&["data", "npy", "own.yaml", "named", "-s", SOURCE]);
    let words =
        "the classes cat, dog; data.source.label_map: {\"cat\": 0, \"dog\": 1} names them again\n";
    assert!(answer.stdout.ends_with(words), "{}", answer.stdout);
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

#[test]
fn the_label_file_of_kaggle_without_a_map_is_said_with_the_map() {
    let workshop = Workshop::new();
    // Images per column, measured on the file itself.
    let counts = [204, 205, 206, 207, 206, 208, 207, 206, 206, 207];
    let write = |counts: [usize; 10]| {
        let columns = counts
            .iter()
            .enumerate()
            .flat_map(|(column, &count)| vec![column; count]);
        let hot: Vec<u8> = columns
            .flat_map(|hot| (0..10).map(move |column| (column == hot) as u8))
            .collect();
        workshop.write("Y.npy", npy("|u1", "(2062, 10)", &hot));
    };
    let greys: Vec<u8> = (0..2062u32)
        .flat_map(|row| [(row % 251) as u8; 256])
        .collect();
    workshop.write("X.npy", npy("|u1", "(2062, 16, 16)", &greys));
    write(counts);
    let said = info(&workshop, &[SOURCE]);
    let note = said
        .lines()
        .find(|line| line.contains("Kaggle"))
        .unwrap_or_else(|| panic!("{said}"));
    let map = &note[note.find("label_map").unwrap()..=note.find('}').unwrap()];
    // With the map, the classes have as many images as the folders of the data set have files.
    let folders = [205, 206, 206, 206, 207, 207, 207, 206, 208, 204];
    let mut expected = String::new();
    for (digit, count) in folders.iter().enumerate() {
        write!(expected, "{digit} {count}, ").unwrap();
    }
    let mapped = SOURCE.replace("Y.npy", &format!("Y.npy, {map}"));
    assert_eq!(classes(&workshop, &[&mapped]) + ", ", expected);
    assert!(!info(&workshop, &[&mapped]).contains("Kaggle"));
    write([204, 206, 205, 207, 206, 208, 207, 206, 206, 207]);
    assert!(!info(&workshop, &[SOURCE]).contains("Kaggle"));
}

#[test]
fn an_archive_is_read_by_the_names_of_its_arrays() {
    let labels: &[u8] = &npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let workshop = workshop(labels.to_vec());
    let expected = info(&workshop, &[SOURCE]);
    let images: &[u8] = &workshop.read("X.npy");
    let within = "data.source={kind: npy, images: all.npz/x_train, labels: all.npz/y_train.npy}";
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        workshop.write(
            "all.npz",
            npz(
                &[
                    ("x_train.npy", images),
                    ("y_train.npy", labels),
                    ("read.me", b""),
                ],
                method,
            ),
        );
        workshop.write("one.npz", npz(&[("arr_0.npy", images)], method));
        assert_eq!(info(&workshop, &[within]), expected);
        assert_eq!(
            info(&workshop, &[SOURCE, "data.source.images=one.npz"]),
            expected
        );
    }
    let list = "\"x_train\" ([10, 16, 16] uint8), \"y_train\" ([10] uint8); name one, such as data.source.images: all.npz/x_train";
    refused(
        &workshop,
        &[SOURCE, "data.source.images=all.npz"],
        3,
        &["all.npz: holds ", list],
    );
    refused(
        &workshop,
        &[within, "data.source.images=all.npz/x_tran"],
        3,
        &["all.npz: has no \"x_tran\" but ", list],
    );
    workshop.write(
        "no.npz",
        npz(&[("read.me", b"")], CompressionMethod::Stored),
    );
    refused(
        &workshop,
        &[SOURCE, "data.source.images=no.npz"],
        3,
        &["no.npz: holds no array"],
    );
    let whole = workshop.read("all.npz");
    workshop.write("cut.npz", &whole[..whole.len() / 2]);
    refused(
        &workshop,
        &[SOURCE, "data.source.images=cut.npz"],
        3,
        &["cut.npz: is damaged, or no .npz archive"],
    );
}

#[test]
fn an_archive_that_lies_about_sizes_takes_no_memory() {
    let workshop = workshop(Vec::new());
    let images = npy("|u1", "(1000000, 16, 16)", &[0; 64]);
    let mut lying = npz(&[("x.npy", &images)], CompressionMethod::Deflated);
    // The size in the directory at the end; the one before the member is not looked at.
    let directory = lying
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let claimed = (128 + 256_000_000u32).to_le_bytes();
    lying[directory + 24..directory + 28].copy_from_slice(&claimed);
    workshop.write("X.npz", &lying);
    let source = ROWS.replace("X.npy", "X.npz");
    refused(
        &workshop,
        &[&source],
        3,
        &["X.npz/x: is said to unpack ", "which cannot be"],
    );
    // Damage within the numbers, found by the checksum.
    let mut damaged = npz(
        &[("x.npy", &workshop.read("X.npy"))],
        CompressionMethod::Stored,
    );
    damaged[1000] ^= 1;
    workshop.write("X.npz", &damaged);
    refused(
        &workshop,
        &[&source],
        3,
        &["X.npz/x: is shorter than its header says, or damaged"],
    );
}
