//! Labels of every type, and the order of classes.

use std::fmt::Write;

use super::{SOURCE, classes, info, npy, workshop};
use crate::refused;
use crate::support::Workshop;

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
        "36 images in out; Y numbers the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
    );
    let written: Vec<u8> = workshop.read("out/Y.npy")[128..]
        .chunks(8)
        .map(|label| label[0])
        .collect();
    let images = workshop.read("out/X.npy");
    let greys: Vec<f32> = images[128..]
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
    let words = "the classes cat, dog; read them again with data.source.label_map: {\"cat\": 0, \"dog\": 1}\n";
    assert!(answer.stdout.ends_with(words), "{}", answer.stdout);
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
