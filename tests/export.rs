//! The promise of exporting: an artefact computes what the run's model computes, or it is not left behind.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use signet::config::train::Format;
use signet::export::classifier::Classifier;
use signet::export::gate;
use signet::run::checkpoint::Checkpoint;
use signet::run::checkpoints;
use support::{SMALL, Workshop};
use tch::Tensor;

/// A model of every kind, with what the kinds can do: several layers, both directions, every pooling,
/// every way to read a picture, every activation.
const MODELS: [(&str, &str); 11] = [
    ("binary", "{kind: ann, hidden: [], output: binary}"),
    (
        "ann",
        "{kind: ann, hidden: [12], activation: tanh, dropout: 0.2}",
    ),
    (
        "dnn",
        "{kind: dnn, hidden: [12, 8], activation: silu, batch_norm: true}",
    ),
    (
        "cnn",
        "{kind: cnn, blocks: [{filters: 4, kernel: 5}, {filters: 6, stride: 2, padding: valid}], hidden: [8], batch_norm: true, dropout: 0.3}",
    ),
    (
        "gelu",
        "{kind: cnn, blocks: [{filters: 4, pool: 4}], activation: gelu, hidden: [8]}",
    ),
    (
        "rnn",
        "{kind: rnn, hidden_size: 6, num_layers: 2, dropout: 0.2}",
    ),
    (
        "rnn-relu",
        "{kind: rnn, nonlinearity: relu, hidden_size: 6, bidirectional: true, activation: leaky_relu, hidden: [5]}",
    ),
    (
        "lstm",
        "{kind: lstm, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: columns, pooling: max, dropout: 0.2}",
    ),
    (
        "gru",
        "{kind: gru, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: patches, patch_px: 4, pooling: mean}",
    ),
    (
        "gru-last",
        "{kind: gru, hidden_size: 6, activation: sigmoid, hidden: [5]}",
    ),
    (
        "layers",
        "{kind: layers, layers: [{kind: conv2d, filters: 3}, {kind: activation, function: relu}, {kind: max_pool2d, size: 2}, {kind: to_sequence, sequence: rows}, {kind: lstm, hidden_size: 5}, {kind: gru, hidden_size: 4}, {kind: flatten}, {kind: linear}]}",
    ),
];

fn config(model: &str) -> String {
    format!(
        "version: 1\nname: small\nthreads: 1\ndevice: cpu\n\
         data: {{source: {{kind: class_folders, root: data}}, image: {{height: 16, width: 16}}, split: {{train: 0.5, val: 0.2, test: 0.3}}}}\n\
         model: {model}\n\
         train: {{epochs: 2, batch_size: 8, optimizer: {{kind: adamw, lr: 0.01}}}}\n"
    )
}

/// A trained run `r` on pictures in folders.
fn trained(model: &str) -> Workshop {
    let workshop = Workshop::with_folders(30);
    workshop.write("own.yaml", config(model));
    workshop.signet(&["train", "own.yaml", "--run", "r"]);
    workshop
}

const ALL: [&str; 2] = ["--format", "torchscript,onnx,safetensors"];

#[test]
fn every_kind_of_model_passes_the_gate_in_every_format() {
    let workshop = Workshop::with_folders(30);
    for (name, model) in MODELS {
        workshop.write("own.yaml", config(model));
        workshop.signet(&["train", "own.yaml", "--run", name]);
        workshop.signet(&[&["export", name], &ALL[..]].concat());
        let parity = workshop.json(&format!("{name}/export/parity.json"));
        for (format, tolerance) in [("torchscript", 1e-6), ("onnx", 1e-4), ("safetensors", 1e-6)] {
            let checks = parity[format]["checks"].as_array().unwrap();
            let batches: Vec<i64> = checks
                .iter()
                .map(|check| check["batch"].as_i64().unwrap())
                .collect();
            assert_eq!(batches, [1, 2, 7, 18], "{name} {format}");
            for check in checks {
                let difference = check["largest_difference"].as_f64().unwrap();
                assert!(difference <= tolerance, "{name} {format}: {check}");
            }
        }
        let mut answers = Vec::new();
        for target in [
            "",
            "/export/model.pt",
            "/export/model.onnx",
            "/export/model.safetensors",
        ] {
            let target = format!("{name}{target}");
            if target.contains("export") {
                // On a machine that has nothing but the artefact.
                workshop.signet(&["verify", &target]);
            }
            let figures = workshop.signet(&["eval", &target, "--json", "-"]).stdout;
            let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
            let lines = workshop
                .signet(&[
                    "predict", &target, "data", "--format", "jsonl", "--top", "2",
                ])
                .stdout;
            answers.push((target, figures, lines));
        }
        let (_, expected, lines) = &answers[0];
        for (target, figures, other) in &answers[1..] {
            for key in ["accuracy", "confusion", "pictures"] {
                assert_eq!(figures[key], expected[key], "{target}: {key}");
            }
            assert_same_probabilities(lines, other, target);
        }
    }
}

/// Equal pictures and classes; probabilities within what ONNX may differ by.
fn assert_same_probabilities(expected: &str, found: &str, target: &str) {
    let read = |lines: &str| -> Vec<serde_json::Value> {
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (expected, found) = (read(expected), read(found));
    assert_eq!((expected.len(), found.len()), (60, 60), "{target}");
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected["picture"], found["picture"], "{target}");
        for (expected, found) in expected["classes"]
            .as_array()
            .unwrap()
            .iter()
            .zip(found["classes"].as_array().unwrap())
        {
            let [a, b] = [expected, found].map(|answer| answer["probability"].as_f64().unwrap());
            // Classes of equal probability may change places.
            assert!(
                expected["class"] == found["class"] || (a - 0.5).abs() < 1e-4,
                "{target}: {found}"
            );
            assert!((a - b).abs() < 1e-4, "{target}: {a} and {b}");
        }
    }
}

#[test]
fn equal_weights_give_equal_bytes() {
    let workshop = trained(MODELS[3].1);
    for out in ["a", "b"] {
        workshop.signet(&[&["export", "r", "--out", out], &ALL[..]].concat());
    }
    for file in ["model.pt", "model.onnx", "model.json", "parity.json"] {
        assert!(
            workshop.read(&format!("a/{file}")) == workshop.read(&format!("b/{file}")),
            "{file}"
        );
    }
}

#[test]
fn the_gate_notices_permuted_gates_swapped_biases_and_a_forgotten_normalisation() {
    let workshop = Workshop::with_folders(30);
    for (name, model) in [MODELS[7], MODELS[8], MODELS[6]] {
        workshop.write("own.yaml", config(model));
        workshop.signet(&["train", "own.yaml", "--run", name]);
        let checkpoint = checkpoints::best(&workshop.path(name)).unwrap().checkpoint;
        let live = Classifier::live(&checkpoint).unwrap();
        let pictures = live.card.probes();
        let judge = |format: Format,
                     card: &signet::export::card::Card,
                     state: &std::collections::BTreeMap<String, Tensor>| {
            let network = card.network().unwrap();
            network.load(state).unwrap();
            let file = workshop.path(format.file());
            std::fs::write(&file, format.write(&network, card).unwrap()).unwrap();
            // Weights that are not those of the card are not even loaded from safetensors.
            let Ok(artefact) = Classifier::open(&file) else {
                return false;
            };
            let live = |pictures: &Tensor| live.batch_logits(pictures);
            gate::compare(format, &live, &artefact, &pictures, None)
                .unwrap()
                .passed()
        };
        let state = signet::train::snapshot::weights(&checkpoint.tensors);
        let module = name.split('-').next().unwrap();
        for format in [Format::Torchscript, Format::Onnx, Format::Safetensors] {
            let sound = judge(format, &live.card, &state);
            assert!(sound, "{name} {}: a sound one fails", format.word());

            if module != "rnn" {
                let mut permuted = state.clone_all();
                let key = format!("{module}.weight_ih_l0");
                let rows = &state[&key];
                permuted.insert(key.clone(), rows.roll([6], [0]));
                let passes = judge(format, &live.card, &permuted);
                assert!(!passes, "{name} {}: permuted gates pass", format.word());
            }

            let mut swapped = state.clone_all();
            let keys = ["ih", "hh"].map(|part| format!("{module}.bias_{part}_l0"));
            swapped.insert(keys[0].clone(), state[&keys[1]].copy());
            swapped.insert(keys[1].clone(), state[&keys[0]].copy());
            let passes = judge(format, &live.card, &swapped);
            // Elsewhere the two are added and nothing else, so that they may change places.
            assert_eq!(
                passes,
                module != "gru" && format != Format::Safetensors,
                "{name} {}: swapped biases",
                format.word()
            );

            let mut bare = live.card.clone();
            bare.normalization.mean = vec![0.0];
            bare.normalization.std = vec![1.0];
            let passes = judge(format, &bare, &state);
            assert!(!passes, "{name} {}: no normalisation passes", format.word());
        }
    }
}

trait CloneAll {
    fn clone_all(&self) -> Self;
}

impl CloneAll for std::collections::BTreeMap<String, Tensor> {
    fn clone_all(&self) -> Self {
        self.iter()
            .map(|(name, tensor)| (name.clone(), tensor.copy()))
            .collect()
    }
}

#[test]
fn what_is_no_model_or_not_this_one_is_refused_in_one_line() {
    let workshop = trained(MODELS[1].1);
    workshop.signet(&[&["export", "r"], &ALL[..]].concat());
    workshop.signet(&["train", "own.yaml", "--run", "other", "-s", "seed=2"]);
    let model = workshop.read("r/export/model.pt");
    workshop.write("truncated.pt", &model[..model.len() / 2]);
    workshop.write(
        "truncated.onnx",
        &workshop.read("r/export/model.onnx")[..5000],
    );
    workshop.write("text.pt", "these are no weights");
    workshop.write("text.onnx", "these are no weights");
    let mut foreign = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    foreign
        .start_file("archive/data.pkl", zip::write::SimpleFileOptions::default())
        .unwrap();
    workshop.write("foreign.pt", foreign.finish().unwrap().into_inner());
    let cases: [(&[&str], i32, &str); 12] = [
        (
            &["verify", "truncated.pt"],
            5,
            "truncated.pt: no TorchScript archive, or a truncated one",
        ),
        (
            &["verify", "truncated.onnx"],
            5,
            "truncated.onnx: no ONNX model, or a damaged one",
        ),
        (&["verify", "text.pt"], 5, "text.pt: no TorchScript archive"),
        (&["verify", "text.onnx"], 5, "text.onnx: no"),
        (
            &["verify", "foreign.pt"],
            5,
            "foreign.pt: not a model of signet's: it has no signet.json",
        ),
        (&["verify", "missing.pt"], 4, "missing.pt is no file"),
        (&["verify", "own.yaml"], 2, "own.yaml is no artefact"),
        (
            &["verify", "r/export/model.onnx", "--against", "other"],
            5,
            "no checkpoint of other has its weights",
        ),
        (
            &["export", "r", "--format", "tensorflow"],
            2,
            "tensorflow is none of torchscript, onnx, safetensors",
        ),
        (
            &["export", "r", "--out", "own.yaml"],
            4,
            "cannot make own.yaml; name another with --out",
        ),
        (&["export", "data"], 4, "data is no run"),
        (
            &["export", "r", "--from", "nothing"],
            4,
            "nothing: No such file",
        ),
    ];
    for (arguments, code, words) in cases {
        let answer = workshop.call(arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(words),
            "{arguments:?}: {}",
            answer.stderr
        );
    }
    // Names of layers come from the kinds, so no Python keyword can become one.
    let answer = workshop.call(&[
        "train",
        "own.yaml",
        "-s",
        "model={kind: layers, layers: [{kind: flatten, name: class}, {kind: linear}]}",
    ]);
    assert_eq!(answer.code, 2);
    assert!(
        answer
            .stderr
            .contains("model.layers.0.name: not a key of kind flatten"),
        "{}",
        answer.stderr
    );
    std::fs::remove_dir_all(workshop.path("other/checkpoints")).unwrap();
    let answer = workshop.call(&["export", "other"]);
    assert_eq!(answer.code, 4);
    assert!(
        answer.stderr.contains("other has no checkpoint"),
        "{}",
        answer.stderr
    );
}

#[test]
fn an_export_that_fails_leaves_nothing_behind() {
    let workshop = trained(MODELS[1].1);
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} export r --format torchscript",
        env!("CARGO_BIN_EXE_signet")
    );
    let output = Command::new("sh")
        .current_dir(workshop.path(""))
        .args(["-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("File too large"), "{said}");
    assert_eq!(
        std::fs::read_dir(workshop.path("r/export"))
            .unwrap()
            .count(),
        0
    );

    // A checkpoint whose weights are not finite exports to nothing that could be compared.
    let file = checkpoints::best(&workshop.path("r")).unwrap().file;
    let mut checkpoint = Checkpoint::load(&file).unwrap();
    let broken = checkpoint.tensors["classifier.1.bias"].copy() + f64::NAN;
    checkpoint
        .tensors
        .insert("classifier.1.bias".to_owned(), broken);
    checkpoint.save(&file).unwrap();
    let answer = workshop.call(&["export", "r"]);
    assert_eq!(answer.code, 5, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("the model's own logits are not finite; export another checkpoint"),
        "{}",
        answer.stderr
    );
    assert_eq!(
        std::fs::read_dir(workshop.path("r/export"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn predictions_take_files_folders_patterns_and_lists_and_name_bad_pictures() {
    let workshop = trained(MODELS[1].1);
    let count = |arguments: &[&str]| {
        let answer = workshop.signet(&[&["predict", "r", "--format", "jsonl"], arguments].concat());
        answer.stdout.lines().count()
    };
    assert_eq!(count(&["data/0/0001.png"]), 1);
    assert_eq!(count(&["data"]), 60);
    assert_eq!(count(&["data/1"]), 30);
    assert_eq!(count(&["data/*/000?.png"]), 20);
    let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(workshop.path(""))
        .args(["predict", "r", "-", "--format", "csv", "--top", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(
        &mut child.stdin.take().unwrap(),
        b"data/0/0001.png\ndata/1/0002.png\n",
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    let csv = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "picture,class_1,probability_1,class_2,probability_2,error"
    );
    assert!(
        lines.len() == 3 && lines[2].starts_with("data/1/0002.png,"),
        "{csv}"
    );

    workshop.write("data/0/bad.png", "no picture");
    let answer = workshop.call(&["predict", "r", "data/0", "--format", "jsonl"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert_eq!(answer.stderr, "signet: 1 of 31 pictures cannot be read\n");
    let bad: Vec<&str> = answer
        .stdout
        .lines()
        .filter(|line| line.contains("error"))
        .collect();
    assert_eq!(bad.len(), 1, "{}", answer.stdout);
    assert!(
        bad[0].contains("data/0/bad.png") && bad[0].contains("neither a JPEG nor a PNG"),
        "{}",
        bad[0]
    );
    for (input, words) in [
        ("nowhere/*.png", "nowhere/*.png matches no file"),
        ("r/checkpoints", "holds no .jpg"),
    ] {
        let answer = workshop.call(&["predict", "r", input]);
        assert_eq!(answer.code, 3, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
}

#[test]
fn models_are_evaluated_on_other_pictures_too() {
    let workshop = trained(MODELS[1].1);
    workshop.signet(&["export", "r"]);
    let all = workshop
        .signet(&["eval", "r", "--part", "all", "--json", "-"])
        .stdout;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    std::fs::rename(workshop.path("data"), workshop.path("elsewhere")).unwrap();
    let given = workshop
        .signet(&[
            "eval",
            "r/export/model.pt",
            "--data",
            "elsewhere",
            "--json",
            "-",
        ])
        .stdout;
    let given: serde_json::Value = serde_json::from_str(&given).unwrap();
    assert_eq!(
        (&given["accuracy"], &given["pictures"]),
        (&all["accuracy"], &60.into())
    );
    let gone = workshop.call(&["eval", "r/export/model.pt"]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
}

#[test]
fn a_training_can_export_when_it_ends() {
    let workshop = Workshop::with_folders(30);
    workshop.write("own.yaml", config(MODELS[1].1));
    let wish = [
        "-s",
        "export={formats: [safetensors, torchscript], on_finish: true}",
    ];
    let answer = workshop.signet(&[&["train", "own.yaml", "--run", "r"], &wish[..]].concat());
    assert!(
        answer.stdout.contains("r/export/model.safetensors"),
        "{}",
        answer.stdout
    );
    assert!(Path::new(&workshop.path("r/export/model.pt")).is_file());
    let best = workshop.json("r/best.json");
    assert_eq!(
        workshop.json("r/export/model.json")["weights_sha256"],
        best["weights_sha256"]
    );
    assert_eq!(workshop.json("r/export/model.json")["step"], best["step"]);
}

#[test]
fn a_flipped_bit_in_an_artefact_is_noticed_even_where_it_changes_no_logit() {
    let workshop = trained(MODELS[1].1);
    workshop.signet(&["export", "r", "--format", "torchscript,safetensors"]);
    for (file, words) in [
        (
            "model.safetensors",
            "damaged: its weights are not those that its card names",
        ),
        ("model.pt", "damaged: an entry does not have its checksum"),
    ] {
        let mut bytes = workshop.read(&format!("r/export/{file}"));
        // In the middle of the largest tensor, in the lowest bit of a number.
        let middle = bytes.len() / 2 / 4 * 4;
        bytes[middle] ^= 1;
        workshop.write(file, bytes);
        let answer = workshop.call(&["verify", file]);
        assert_eq!(answer.code, 5, "{file}: {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{file}: {}", answer.stderr);
    }
}

#[test]
fn a_large_model_is_known_again_without_its_run_and_a_changed_one_is_not() {
    let workshop = Workshop::with_folders(20);
    workshop.write("own.yaml", SMALL);
    // Large layers add in another order for every size of batches: a few millionths.
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "r",
        "--progress",
        "none",
        "-s",
        "train.epochs=2",
        "-s",
        "model={kind: dnn, hidden: [512, 256]}",
        "-s",
        "data.image={height: 64, width: 64}",
    ]);
    workshop.signet(&["export", "r", "--format", "torchscript,onnx,safetensors"]);
    for file in ["model.pt", "model.onnx", "model.safetensors"] {
        let answer = workshop.signet(&["verify", &format!("r/export/{file}")]);
        assert!(
            answer.stdout.contains("passed: "),
            "{file}: {}",
            answer.stdout
        );
    }
    // One format exported again leaves the figures of the others.
    workshop.signet(&["export", "r", "--format", "torchscript"]);
    let parity = workshop.json("r/export/parity.json");
    let formats: Vec<&String> = parity.as_object().unwrap().keys().collect();
    assert_eq!(formats, ["onnx", "safetensors", "torchscript"]);
}

#[test]
fn a_name_that_is_taken_by_a_folder_leaves_every_file_as_it_was() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["train", "own.yaml", "--run", "r", "--progress", "none"]);
    workshop.write("out/parity.json/mine.txt", "mine");
    let answer = workshop.call(&[
        "export",
        "r",
        "--out",
        "out",
        "--format",
        "torchscript,onnx",
    ]);
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("cannot write out/parity.json, which is a folder"),
        "{}",
        answer.stderr
    );
    let held: Vec<_> = std::fs::read_dir(workshop.path("out")).unwrap().collect();
    assert_eq!(held.len(), 1, "{held:?}");
}

#[test]
fn a_script_trains_on_in_rust_by_the_names_of_pytorch() {
    use tch::nn::{self, OptimizerConfig};
    let workshop = Workshop::with_folders(20);
    workshop.write("own.yaml", SMALL);
    let kinds = [
        "{kind: dnn, hidden: [12, 8], batch_norm: true}",
        "{kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true}",
        "{kind: lstm, hidden_size: 6, num_layers: 2, bidirectional: true}",
        "{kind: gru, hidden_size: 6, pooling: mean}",
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let run = format!("r{number}");
        let model = format!("model={kind}");
        workshop.signet(&[
            "train", "own.yaml", "--run", &run, "--until", "1", "-s", &model,
        ]);
        workshop.signet(&["export", &run, "--format", "torchscript,safetensors"]);
        let export = workshop.path(&format!("{run}/export"));
        let variables = nn::VarStore::new(tch::Device::Cpu);
        let script = export.join("model.pt");
        let mut module = tch::TrainableCModule::load(&script, variables.root()).unwrap();
        module.set_train();

        // tch writes PyTorch's dots as underscores, and takes parameters alone.
        let weights = Tensor::read_safetensors(export.join("model.safetensors")).unwrap();
        let trained = weights.iter().filter(|(name, _)| {
            !name.contains("running_") && !name.ends_with("num_batches_tracked")
        });
        let mut expected: Vec<String> = trained.map(|(name, _)| name.replace('.', "_")).collect();
        let mut found: Vec<String> = variables.variables().into_keys().collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{kind}");

        let x = Tensor::linspace(0.0, 1.0, 8 * 256, (tch::Kind::Float, tch::Device::Cpu));
        let x = (x * 97.0).sin().abs().view([8, 1, 16, 16]);
        let y = Tensor::from_slice(&[0i64, 1, 0, 1, 0, 1, 0, 1]);
        let loss = || {
            module
                .forward_ts(&[&x])
                .unwrap()
                .cross_entropy_for_logits(&y)
        };
        let before = loss().double_value(&[]);
        let mut optimizer = nn::Adam::default().build(&variables, 1e-2).unwrap();
        for _ in 0..30 {
            optimizer.backward_step(&loss());
        }
        let after = loss().double_value(&[]);
        assert!(after < before / 2.0, "{kind}: {before} to {after}");
        // Every parameter has been moved, none of them a copy that nobody reads.
        let moved = variables.variables().into_iter().all(|(name, tensor)| {
            let then = weights
                .iter()
                .find(|(other, _)| other.replace('.', "_") == name);
            then.is_some_and(|(_, then)| *then != tensor)
        });
        assert!(moved, "{kind}");
    }
}
