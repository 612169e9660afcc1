//! Bad input ends with one clear line, the right exit code, and no half-made run directory.

mod support;

use std::process::Command;

use support::{SMALL, Workshop, jpeg};

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
fn a_missing_root_says_how_to_get_pictures() {
    refused(
        &Workshop::new(),
        &[],
        3,
        &[
            "data.source.root: data cannot be read",
            "signet data fetch",
            "SIGNET_DATA",
        ],
    );
}

#[test]
fn an_empty_class_is_named() {
    let workshop = Workshop::with_folders(4);
    std::fs::create_dir(workshop.path("data/2")).unwrap();
    refused(&workshop, &[], 3, &["data/2 holds no .jpg, .jpeg or .png"]);
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
                .contains(&format!("signet: left out 1/{name}, which ")),
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
        &["data/0/bomb.png", "up to 16384 pixels a side"],
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
fn splits_batches_and_layers_that_cannot_work_name_their_key() {
    let workshop = Workshop::with_folders(6);
    let split = "data.split={kind: stratified, train: 0.9, val: 0.05, test: 0.05}";
    refused(
        &workshop,
        &[split],
        3,
        &["data.split: the val part of 12 pictures is empty"],
    );
    refused(
        &workshop,
        &["train.batch_size=33"],
        2,
        &["train.batch_size: 33 is larger than the training part"],
    );
    refused(
        &workshop,
        &["train.batch_size=7"],
        2,
        &["train.batch_size: 7 leaves a batch of one picture", "use 8"],
    );
    let pools = "model.blocks=[{pool: 4}, {pool: 4}, {pool: 4}]";
    refused(
        &workshop,
        &[pools],
        2,
        &["model.blocks.2.pool: pooling 1 x 1 pixels by 4 leaves less than one pixel"],
    );
}

#[test]
fn cuda_by_name_is_refused_where_there_is_none_and_says_what_is_missing() {
    if std::path::Path::new("/proc/driver/nvidia/version").exists() {
        println!("left out: this machine has an NVIDIA driver");
        return;
    }
    refused(
        &Workshop::with_folders(10),
        &["device=cuda"],
        2,
        &["device: cuda:0 cannot be used", "CUDA"],
    );
}

#[test]
fn a_run_directory_that_exists_is_left_alone() {
    let workshop = Workshop::with_folders(10);
    workshop.write("taken/mine.txt", "mine");
    workshop.write("own.yaml", SMALL);
    let answer = workshop.call(&["train", "own.yaml", "--run", "taken"]);
    assert_eq!(answer.code, 4);
    assert!(
        answer.stderr.contains("taken exists already"),
        "{}",
        answer.stderr
    );
    assert_eq!(
        std::fs::read_dir(workshop.path("taken")).unwrap().count(),
        1
    );
}

#[test]
fn evaluating_what_is_no_model_says_what_is_one() {
    let workshop = Workshop::new();
    workshop.write("folder/own.yaml", "version: 1\n");
    let cases = [
        (
            "nothing",
            "nothing does not exist; a run directory, a checkpoint",
        ),
        (
            "folder/own.yaml",
            "folder/own.yaml is no model; a run directory, a checkpoint",
        ),
        (
            "folder",
            "folder is no run: it has no resolved.yaml; start one with `signet train CONFIG`",
        ),
    ];
    for (target, words) in cases {
        let answer = workshop.call(&["eval", target]);
        assert_eq!(answer.code, 4, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
}

#[test]
fn settings_that_would_change_nothing_or_mean_two_things_are_refused() {
    let workshop = Workshop::with_folders(10);
    let npy = "kind: npy, images: X.npy";
    let cases = [
        (
            "model={kind: ann, hidden: [], dropout: 0.5}".to_owned(),
            "model.dropout: belongs to hidden layers, and model.hidden is empty",
        ),
        (
            "model={kind: lstm, batch_norm: true}".to_owned(),
            "model.batch_norm: belongs to hidden layers",
        ),
        (
            "data.augment=[{kind: shift}, {kind: erase}, {kind: shift}]".to_owned(),
            "data.augment.2: one of this kind stands before it",
        ),
        (
            format!("data.source={{{npy}, rows: {{a: [0, 30], b: [29, 40]}}}}"),
            "data.source.rows: \"a\" and \"b\" share rows",
        ),
        (
            format!("data.source={{{npy}, rows: {{'0': [0, 3], 0: [3, 6]}}}}"),
            "data.source.rows.0: stands there twice",
        ),
        (
            format!("data.source={{{npy}, rows: {{}}}}"),
            "data.source.rows: names no class",
        ),
        (
            format!("data.source={{{npy}, labels: Y.npy, label_map: {{a: 1, b: 1}}}}"),
            "data.source.label_map: \"a\" and \"b\" are both 1",
        ),
        (
            format!("data.source={{{npy}, rows: {{a: [0, 3], b: [3, 6]}}, label_map: {{a: 1}}}}"),
            "data.source.label_map: not a key of kind npy",
        ),
        (
            "model.init={weights: {kind: uniform, low: 0.06}}".to_owned(),
            "model.init.weights.low: 0.06 is above high, which is 0.05",
        ),
        (
            "model.init={weights: {kind: uniform, low: -3.0e+38, high: 3.0e+38}}".to_owned(),
            "model.init.weights.low: float32 cannot hold how far",
        ),
        (
            "train.clip_grad_norm=3.5e+38".to_owned(),
            "train.clip_grad_norm: expected 0 or a number that float32 can hold",
        ),
        (
            "data.normalize={mean: [0], std: [1.0e-300]}".to_owned(),
            "data.normalize.std.0: expected 0 or a number that float32 can hold",
        ),
        (
            "train.schedule={kind: cosine, min_lr: 0.1}".to_owned(),
            "train.schedule.min_lr: 0.1 is above train.optimizer.lr, 0.001",
        ),
    ];
    for (setting, words) in cases {
        refused(&workshop, &[&setting], 2, &[words]);
    }
}

#[test]
fn sizes_beyond_any_machine_are_refused_before_memory_is_asked_for() {
    let workshop = Workshop::with_folders(10);
    let cases = [
        (
            "model.hidden=[18446744073709551615]",
            "model.hidden.0: expected 1 to 1000000",
        ),
        (
            "model.blocks=[{kernel: 99999}]",
            "model.blocks.0.kernel: expected 1 to 4096",
        ),
        (
            "model={kind: lstm, num_layers: 1000000000000}",
            "model.num_layers: expected 1 to 100",
        ),
        (
            "model={kind: dnn, hidden: [1000000, 1000000]}",
            "parameters, and 1000000000 is the most",
        ),
        (
            "data.source={kind: generated, pictures: 100000000000}",
            "data.source.pictures: expected 1 to 1000000",
        ),
    ];
    for (setting, words) in cases {
        refused(&workshop, &[setting], 2, &[words]);
    }
}

#[test]
fn a_batch_of_one_picture_is_no_batch_for_batch_norm() {
    let workshop = Workshop::with_folders(6);
    let words = "train.batch_size: 1 leaves a batch of one picture out of 8, and batch_norm cannot normalise one; use 2";
    refused(&workshop, &["train.batch_size=1"], 2, &[words]);
}

#[test]
fn a_manifest_is_held_to_what_the_experiment_watches() {
    let workshop = Workshop::with_folders(10);
    let names = |class: usize, range: std::ops::Range<usize>| -> Vec<String> {
        range
            .map(|index| format!("{class}/{index:04}.png"))
            .collect()
    };
    let write = |file: &str, train: Vec<String>, rest: (&str, Vec<String>)| {
        let manifest = serde_json::json!({"train": train, rest.0: rest.1});
        workshop.write(file, manifest.to_string());
    };
    write(
        "noval.json",
        [names(0, 0..8), names(1, 0..8)].concat(),
        ("test", names(0, 8..10)),
    );
    write(
        "typo.json",
        [names(0, 0..8), names(1, 0..8)].concat(),
        ("tst", names(0, 8..10)),
    );
    write("oneclass.json", names(0, 0..8), ("val", names(1, 0..8)));
    let split = |file: &str| format!("data.split={{kind: manifest, file: {file}}}");
    for batch in ["train.batch_size=8", "train.batch_size=full"] {
        let words = "checkpoint.metric: val.accuracy needs a val part, and the manifest has none; use train.loss";
        refused(&workshop, &[&split("noval.json"), batch], 2, &[words]);
        refused(
            &workshop,
            &[
                &split("noval.json"),
                batch,
                "checkpoint.metric=train.loss",
                "train.early_stopping={}",
            ],
            2,
            &["train.early_stopping.metric: val.loss needs a val part"],
        );
    }
    refused(
        &workshop,
        &[&split("typo.json")],
        3,
        &["typo.json", "unknown field `tst`"],
    );
    refused(
        &workshop,
        &[&split("oneclass.json")],
        3,
        &["the training part has no picture of \"1\", so nothing could be learned of it"],
    );
}

#[test]
fn figures_beyond_counting_are_refused_in_one_line() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let large = [
        "data.image={height: 4096, width: 4096}",
        "model={kind: cnn, blocks: [{filters: 1000000, pool: 1}], hidden: [1000000]}",
    ];
    refused(
        &workshop,
        &large,
        2,
        &["16777216000013000002 parameters, and "],
    );
    workshop.write(
        "sweep.yaml",
        "version: 1\nbase: own.yaml\nover: {train.optimizer.lr: [0.1, 0.01]}\n\
         trials: {kind: folds, folds: 3, repeats: 1000000000000}\n",
    );
    let cases = [
        &["cv", "own.yaml", "--holdout", "1000000000000"][..],
        &[
            "cv",
            "own.yaml",
            "--folds",
            "3",
            "--repeats",
            "1000000000000",
        ],
        &["sweep", "sweep.yaml"],
    ];
    for case in cases {
        let answer = workshop.call(case);
        assert_eq!(answer.code, 2, "{case:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains("trials are more than the 10000"),
            "{}",
            answer.stderr
        );
    }
    assert_eq!(workshop.names(), ["data", "own.yaml", "sweep.yaml"]);
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

#[test]
fn overrides_are_pointed_at_where_they_made_what_is_wrong() {
    let workshop = Workshop::with_folders(10);
    let cases = [
        (
            "optimizer.lr=0.1",
            "-s optimizer.lr=0.1: optimizer: not a key of this file",
        ),
        (
            "train.optimiser.lr=0.1",
            "-s train.optimiser.lr=0.1: train.optimiser: not a key of train; did you mean optimizer?",
        ),
        (
            "model.hidden.0=none",
            "-s model.hidden.0=none: model.hidden.0: ",
        ),
        (
            "train.epochs=",
            "-s train.epochs=: the value is missing; null takes the default",
        ),
        ("model.kind=\"a\\nb\"", "model.kind: a\\nb is none of ann"),
    ];
    for (setting, words) in cases {
        refused(&workshop, &[setting], 2, &[words]);
    }
}
