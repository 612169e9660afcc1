//! Settings that cannot be, cannot be together, or change nothing.

use crate::refused;
use crate::support::{SMALL, Workshop};

#[test]
fn splits_batches_and_layers_that_cannot_work_name_their_key() {
    let workshop = Workshop::with_folders(6);
    let split = "data.split={kind: stratified, train: 0.9, val: 0.05, test: 0.05}";
    refused(
        &workshop,
        &[split],
        3,
        &["data.split: the val part of 12 images is empty"],
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
        &["train.batch_size: 7 leaves a batch of one image", "use 8"],
    );
    let blocks = [
        (
            "model.blocks=[{pool: 4}, {pool: 4}, {pool: 4}]",
            "model.blocks.2.pool: pooling 1 x 1 pixels by 4 leaves less than one pixel",
        ),
        (
            "model.blocks=[{filters: 8}, {groups: 3}]",
            "model.blocks.1.groups: 3 do not divide the 16 filters",
        ),
        (
            "model.blocks=[{filters: 4, groups: 2}]",
            "model.blocks.0.groups: 2 do not divide the 1 channel(s) that come in",
        ),
        (
            "model.blocks=[{kernel: 80, padding: valid}]",
            "model.blocks.0.kernel: a kernel of 80 pixels does not fit",
        ),
        (
            "model.blocks=[]",
            "model.blocks: a cnn has at least one block; use kind: ann",
        ),
    ];
    for (setting, words) in blocks {
        refused(&workshop, &[setting], 2, &[words]);
    }
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
fn settings_that_would_change_nothing_or_mean_two_things_are_refused() {
    let workshop = Workshop::with_folders(10);
    let npy = "kind: npy, images: X.npy";
    let cases = [
        (
            "model={kind: ann, hidden: [], dropout: 0.5}".to_owned(),
            "model.dropout: applies to hidden layers, and model.hidden is empty",
        ),
        (
            "model={kind: lstm, batch_norm: true}".to_owned(),
            "model.batch_norm: applies to hidden layers",
        ),
        (
            "data.augment=[{kind: shift}, {kind: erase}, {kind: shift}]".to_owned(),
            "data.augment.2: its kind is in the list already",
        ),
        (
            format!("data.source={{{npy}, rows: {{a: [0, 30], b: [29, 40]}}}}"),
            "data.source.rows: \"a\" and \"b\" share rows",
        ),
        (
            format!("data.source={{{npy}, rows: {{'0': [0, 3], 0: [3, 6]}}}}"),
            "data.source.rows.0: is listed twice",
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
            "train.schedule.min_lr: 0.1 is above train.optimizer.lr (0.001)",
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
        workshop
            .call(case)
            .assert_failed(2, "trials are more than the 10000");
    }
    assert_eq!(workshop.names(), ["data", "own.yaml", "sweep.yaml"]);
}

#[test]
fn a_batch_of_one_image_is_no_batch_for_batch_norm() {
    let workshop = Workshop::with_folders(6);
    let words = "train.batch_size: 1 leaves a batch of one image out of 8, and batch_norm cannot normalise one; use 2";
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
        let words = "checkpoint.metric: val.accuracy needs a val part, and data.split gives none; use train.loss";
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
        &["the training part has no image of \"1\", so nothing could be learned of it"],
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
        (
            "model.kind=\"a\\nb\"",
            "model.kind: a\\nb is not one of ann",
        ),
    ];
    for (setting, words) in cases {
        refused(&workshop, &[setting], 2, &[words]);
    }
}

#[test]
fn files_that_are_no_yaml_say_what_to_change() {
    let workshop = Workshop::new();
    let rest = "data: {source: {kind: generated}}\nmodel:\n  kind: ann\n";
    let utf_16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let whole = format!("version: 1\n{rest}");
    let cases = [
        (
            format!("{whole}\thidden: [3]\n").into_bytes(),
            "own.yaml:5:1: not valid YAML: tabs cannot indent YAML; use spaces",
        ),
        (
            format!("{whole}  \thidden: [3]\n").into_bytes(),
            "tabs cannot indent YAML; use spaces",
        ),
        (
            utf_16(&whole),
            "own.yaml: written in UTF-16; save it as UTF-8",
        ),
        (
            utf_16(&format!("\u{feff}{whole}")),
            "own.yaml: written in UTF-16; save it as UTF-8",
        ),
        (
            b"version: 1\nname: \xe9\n".to_vec(),
            "own.yaml: line 2 is not UTF-8; save the file as UTF-8",
        ),
        (
            format!("{whole}seed: 99999999999999999999\n").into_bytes(),
            "own.yaml:5:7: not usable: 99999999999999999999 is beyond whole numbers, which go from -9223372036854775808 to \
             18446744073709551615",
        ),
        (
            format!("{whole}seed: 1{}\n", "0".repeat(50)).into_bytes(),
            "seed: expected a whole number up to 18446744073709551615, found 1e50",
        ),
    ];
    for (bytes, words) in cases {
        workshop.write("own.yaml", bytes);
        let answer = workshop.call(&["config", "check", "own.yaml"]);
        assert_eq!(answer.code, 2, "{words}: {}", answer.stderr);
        assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{words}: {}", answer.stderr);
    }
}

#[test]
fn quotations_are_cut_and_words_are_guessed_whatever_their_case() {
    let workshop = Workshop::with_folders(10);
    let long = "x".repeat(30_000);
    let cases = [
        (
            format!("train.epochs={long}"),
            "x\" and 29920 more characters",
        ),
        (
            format!("model.kind={long}"),
            "x and 29920 more characters is not one of ann, ",
        ),
        (
            format!("{long}=1"),
            "x and 29920 more characters: not a key of this file",
        ),
        ("model.kind=CNN".to_owned(), "did you mean cnn?"),
        ("export.formats=[ONNX]".to_owned(), "did you mean onnx?"),
    ];
    for (setting, words) in cases {
        refused(&workshop, &[&setting], 2, &[words]);
        let answer = workshop.call(&["config", "check", "own.yaml", "-s", &setting]);
        assert!(answer.stderr.len() < 600, "{}", answer.stderr);
    }
}

#[test]
fn work_on_settings_of_any_size_is_bounded() {
    let workshop = Workshop::new();
    let check = |arguments: &[&str], words: &str| {
        let began = std::time::Instant::now();
        let answer = workshop.call(arguments);
        assert_eq!(answer.code, 2, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{words}: {}", answer.stderr);
        // The program of before took 20 to 40 seconds, or all of its stack.
        assert!(
            began.elapsed().as_secs() < 10,
            "{words}: {:?}",
            began.elapsed()
        );
        answer.stderr
    };
    let deep = "nested more than 32 levels deep";
    workshop.write("own.yaml", SMALL);
    let key = format!("{}=1", ["a"; 30_000].join("."));
    check(&["config", "check", "own.yaml", "-s", &key], deep);
    let value = format!("seed={}", "[".repeat(30_000));
    check(&["config", "check", "own.yaml", "-s", &value], deep);
    workshop.write("deep.yaml", "{\"a\":".repeat(100_000));
    check(&["config", "check", "deep.yaml"], deep);
    let nested = format!("{}x{}", "${A_B:-".repeat(20), "}".repeat(20));
    workshop.write(
        "variables.yaml",
        SMALL.replace("small", &format!("\"{nested}\"")),
    );
    check(&["config", "check", "variables.yaml"], "more than 8 deep");
    let axis = format!(
        "base: own.yaml\nversion: 1\nover:\n  ? \"{}\"\n  : [1, 2]",
        ["a"; 60_000].join(".")
    );
    workshop.write("sweep.yaml", axis);
    check(&["sweep", "sweep.yaml"], deep);
    check(&["config", "check", "/dev/zero"], "larger than 1024 KiB");
    let unknown: String = (0..3000)
        .map(|number| format!("key{number}: 1\n"))
        .collect();
    workshop.write("many.yaml", SMALL.to_owned() + &unknown);
    let said = check(&["config", "check", "many.yaml"], "and 2950 more problems");
    assert_eq!(said.lines().count(), 51);
}

#[test]
fn residuals_and_groups_that_cannot_work_name_their_key() {
    let workshop = Workshop::with_folders(6);
    let head = "{kind: flatten}, {kind: linear}";
    let cases = [
        (
            "{kind: residual, body: [{kind: conv2d, filters: 8}]}",
            "model.layers.0.shortcut: missing: [1, 16, 16] comes in, but the body gives [8, 16, 16]",
        ),
        (
            "{kind: residual, body: [{kind: conv2d, filters: 8}], shortcut: [{kind: conv2d, filters: 8, kernel: 1, stride: 2}]}",
            "model.layers.0.shortcut: gives [8, 8, 8], but the body gives [8, 16, 16]",
        ),
        (
            "{kind: residual, body: [{kind: residual, body: [{kind: avg_pool2d}]}]}",
            "model.layers.0.body.0.shortcut: missing: [1, 16, 16] comes in",
        ),
        (
            "{kind: residual, body: [{kind: linear}]}",
            "model.layers.0.body.0: linear takes rows",
        ),
        (
            "{kind: residual}",
            "model.layers.0.body: missing: a list such as",
        ),
        (
            "{kind: residual, body: []}",
            "model.layers.0.body: expected a list of sections such as [{kind: flatten}], found an empty list",
        ),
        (
            "{kind: residual, body: 3}",
            "model.layers.0.body: expected a list of sections",
        ),
        (
            "{kind: residual, body: [{kind: dropout}], shortcut: []}",
            "model.layers.0.shortcut: expected a list of sections such as [{kind: flatten}], found an empty list",
        ),
        (
            "{kind: residual, body: [{kind: dropout, size: 2}]}",
            "model.layers.0.body.0.size: not a key of kind dropout",
        ),
        (
            "{kind: conv2d, filters: 8, groups: 3}",
            "model.layers.0.groups: 3 do not divide the 8 filters",
        ),
        (
            "{kind: conv2d, filters: 8, groups: 2}",
            "model.layers.0.groups: 2 do not divide the 1 channel(s) that come in",
        ),
        (
            "{kind: flatten}, {kind: global_avg_pool}",
            "model.layers.1: global_avg_pool takes images, but [256] comes in",
        ),
        (
            "{kind: avg_pool2d, size: 17}",
            "model.layers.0: pooling 16 x 16 pixels by 17 leaves less than one pixel",
        ),
    ];
    for (layers, words) in cases {
        let model = format!("model={{kind: layers, layers: [{layers}, {head}]}}");
        refused(&workshop, &[&model], 2, &[words]);
    }
}
