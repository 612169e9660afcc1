//! Every format answers as the live model does, and is left on disk whole or not at all.

use std::path::Path;
use std::process::Command;

use crate::support::{SMALL, Workshop, save};
use crate::{ALL, MODELS, config, trained};
use signet::data::Dataset;
use signet::export::card::Card;
use signet::run::checkpoint::Checkpoint;
use signet::run::{checkpoints, resume};
use tch::{Kind, Tensor};

#[test]
fn every_kind_of_model_passes_the_gate_in_every_format() {
    let workshop = Workshop::with_folders(30);
    for (name, model) in MODELS {
        workshop.write("own.yaml", config(model));
        workshop.run(name).train();
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
            let metrics = workshop.signet(&["eval", &target, "--json", "-"]).stdout;
            let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
            let lines = workshop
                .signet(&[
                    "predict", &target, "data", "--format", "jsonl", "--top", "2",
                ])
                .stdout;
            answers.push((target, metrics, lines));
        }
        let (_, expected, lines) = &answers[0];
        for (target, metrics, other) in &answers[1..] {
            for key in ["accuracy", "confusion", "images"] {
                assert_eq!(metrics[key], expected[key], "{target}: {key}");
            }
            assert_same_probabilities(lines, other, target);
        }
    }
}

/// Equal images and classes; probabilities within what ONNX may differ by.
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
        assert_eq!(expected["image"], found["image"], "{target}");
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
    let artefacts = ["model.pt", "model.onnx", "model.safetensors"];
    for file in artefacts
        .into_iter()
        .chain(["model.json", "parity.json", "README.md"])
    {
        assert!(
            workshop.read(&format!("a/{file}")) == workshop.read(&format!("b/{file}")),
            "{file}"
        );
    }
}

#[test]
fn a_script_trains_on_in_rust_by_the_names_of_pytorch() {
    use tch::nn::{self, OptimizerConfig};
    let workshop = Workshop::small(20);
    let kinds = [
        "{kind: dnn, hidden: [12, 8], batch_norm: true}",
        "{kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true}",
        "{kind: lstm, hidden_size: 6, num_layers: 2, bidirectional: true}",
        "{kind: gru, hidden_size: 6, pooling: mean}",
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let run = format!("r{number}");
        let model = format!("model={kind}");
        workshop
            .run(&run)
            .arguments(&["--until", "1", "-s", &model])
            .train();
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

#[test]
fn a_training_can_export_when_it_ends() {
    let workshop = Workshop::with_folders(30);
    workshop.write("own.yaml", config(MODELS[1].1));
    let request = [
        "-s",
        "export={formats: [safetensors, torchscript], on_finish: true}",
    ];
    let answer = workshop.run("r").arguments(&request).train();
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
    save(&checkpoint, &file);
    workshop.call(&["export", "r"]).assert_failed(
        5,
        "the model's own logits are not finite; export another checkpoint",
    );
    assert_eq!(
        std::fs::read_dir(workshop.path("r/export"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_artefact_that_fails_its_gate_does_not_take_the_place_of_one_that_passed() {
    let workshop = Workshop::with_folders(30);
    workshop.write("own.yaml", config("{kind: ann, hidden: []}"));
    let root = format!("data.source.root={}", workshop.path("data").display());
    let own = [
        &root,
        "data.normalize=unit",
        "data.split={train: 0.8, val: 0.2, test: 0}",
    ];
    let own: Vec<&str> = own.iter().flat_map(|key| ["-s", key]).collect();
    workshop.run("r").arguments(&own).train();
    workshop.signet(&["export", "r"]);
    let former = workshop.read("r/export/model.pt");

    // Weights whose logits overflow on hands before a bright wall, but not on the noise that probes are made of.
    let file = checkpoints::best(&workshop.path("r")).unwrap().file;
    let mut checkpoint = Checkpoint::load(&file).unwrap();
    let experiment = resume::experiment(&checkpoint.document, &[]).unwrap();
    let data = Dataset::load(&experiment.data).unwrap();
    let all: Vec<usize> = (0..data.index.len()).collect();
    let images = data.pixels.batch(&all).unwrap().view([-1, 256]);
    let probes = Card::of(&checkpoint).unwrap().probes().view([-1, 256]);
    let brightness = images.mean_dim(0, false, None);
    let (_, bright) = brightness.topk(64, 0, true, true);
    let sums = |rows: &Tensor| {
        rows.index_select(1, &bright)
            .sum_dim_intlist(1, false, None)
    };
    let bound = 1.02 * sums(&probes).max().double_value(&[]);
    let beyond = sums(&images).gt(bound).sum(Kind::Int64).int64_value(&[]);
    assert!(beyond > 0);
    let weight = checkpoint
        .tensors
        .values_mut()
        .find(|tensor| tensor.size() == [2, 256]);
    let mut row = weight.unwrap().get(0);
    let _ = row.fill_(0.0);
    let _ = row.index_fill_(0, &bright, f64::from(f32::MAX) / bound);
    save(&checkpoint, &file);

    for format in ["torchscript", "onnx", "safetensors"] {
        workshop
            .call(&["export", "r", "--format", format])
            .assert_failed(5, "would not be the model of the run: ");
    }
    let left = std::fs::read_dir(workshop.path("r/export")).unwrap();
    let mut names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["README.md", "model.pt", "parity.json"]);
    assert_eq!(workshop.read("r/export/model.pt"), former);
}

#[test]
fn a_name_that_is_taken_by_a_folder_leaves_every_file_as_it_was() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.run("r").arguments(&["--progress", "none"]).train();
    workshop.write("out/parity.json/mine.txt", "mine");
    workshop
        .call(&[
            "export",
            "r",
            "--out",
            "out",
            "--format",
            "torchscript,onnx",
        ])
        .assert_failed(4, "cannot write out/parity.json, which is a folder");
    let held: Vec<_> = std::fs::read_dir(workshop.path("out")).unwrap().collect();
    assert_eq!(held.len(), 1, "{held:?}");
}

#[test]
fn artefacts_that_are_named_on_standard_input_are_checked_as_they_come() {
    let workshop = trained(MODELS[1].1);
    workshop.signet(&[&["export", "r"], &ALL[..]].concat());
    let check = |arguments: &[&str], names: &[&str]| {
        let names: String = names.iter().map(|name| format!("{name}\\0")).collect();
        let script = format!(
            "printf '{names}' | {} verify - {}",
            env!("CARGO_BIN_EXE_signet"),
            arguments.join(" ")
        );
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(workshop.path(""));
        let output = output.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let all = [
        "r/export/model.pt",
        "r/export/model.onnx",
        "r/export/model.safetensors",
    ];
    let (code, found, said) = check(&["--against", "r", "--json", "-"], &all);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let reports = serde_json::Deserializer::from_str(&found).into_iter::<serde_json::Value>();
    let parity = workshop.json("r/export/parity.json");
    for (report, format) in reports.zip(["torchscript", "onnx", "safetensors"]) {
        assert_eq!(
            report.unwrap()["checks"],
            parity[format]["checks"],
            "{format}"
        );
    }
    let (code, found, said) = check(
        &[],
        &["r/export/model.pt", "none.pt", "r/export/model.onnx"],
    );
    assert_eq!(code, Some(4));
    assert!(
        found.starts_with("r/export/model.pt\n") && !found.contains("model.onnx"),
        "{found}"
    );
    assert_eq!(said, "signet: none.pt is no file\n");
    for (arguments, names, words) in [
        (
            &[][..],
            &[][..],
            "standard input names no artefact; write a NUL behind each name",
        ),
        (
            &["--json", "x.json"],
            &all,
            "--json takes one report, and - names many artefacts; use --json -",
        ),
    ] {
        let (code, _, said) = check(arguments, names);
        assert_eq!((code, said), (Some(2), format!("signet: {words}\n")));
    }
}

#[test]
fn an_export_ends_where_what_checks_it_prints_something_else_or_dies() {
    let workshop = trained(MODELS[3].1);
    workshop
        .call_under(&[("ONEDNN_VERBOSE", "1")], &["export", "r"])
        .assert_failed(
            5,
            "cannot be checked: the process that does so printed something else",
        );
    let mut export = workshop.start(&["export", "r"]);
    let pattern = format!("verify - .*{}", "checkpoint.safetensors");
    let own = format!("--parent={}", export.id());
    let killed = || {
        Command::new("pkill")
            .args(["-KILL", "-f", &own, &pattern])
            .status()
            .unwrap()
    };
    while !killed().success() {
        assert!(export.try_wait().unwrap().is_none(), "it ended too soon");
    }
    assert_eq!(export.wait().unwrap().code(), Some(5));
    assert_eq!(
        std::fs::read_dir(workshop.path("r/export"))
            .unwrap()
            .count(),
        0
    );
}
