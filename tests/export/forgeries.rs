//! What is no model, or not the one it says, is noticed.

use crate::support::Workshop;
use crate::{ALL, MODELS, config, trained};
use signet::config::run::Format;
use signet::export::classifier::Classifier;
use signet::export::gate::{self, Samples};
use signet::run::checkpoints;
use tch::Tensor;

#[test]
fn the_gate_notices_permuted_gates_swapped_biases_and_a_forgotten_normalisation() {
    let workshop = Workshop::with_folders(30);
    for (name, model) in [MODELS[7], MODELS[8], MODELS[6]] {
        workshop.write("own.yaml", config(model));
        workshop.run(name).train();
        let checkpoint = checkpoints::best(&workshop.path(name)).unwrap().checkpoint;
        let live = Classifier::live(&checkpoint).unwrap();
        let images = live.card.probes();
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
            let live = |images: &Tensor| live.batch_logits(images);
            gate::compare(format, &live, &artefact, &Samples::of(&images))
                .unwrap()
                .passed()
        };
        let state = signet::train::snapshot::weights(&checkpoint.tensors);
        let module = name.split('-').next().unwrap();
        for format in [Format::Torchscript, Format::Onnx, Format::Safetensors] {
            let passed = judge(format, &live.card, &state);
            assert!(passed, "{name} {}: a valid one fails", format.word());

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
    workshop.run("other").set("seed", 2).train();
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
            "tensorflow is not one of torchscript, onnx, safetensors",
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
        workshop.call(arguments).assert_failed(code, words);
    }
    // Names of layers come from the kinds, so no Python keyword can become one.
    workshop
        .call(&[
            "train",
            "own.yaml",
            "-s",
            "model={kind: layers, layers: [{kind: flatten, name: class}, {kind: linear}]}",
        ])
        .assert_failed(2, "model.layers.0.name: not a key of kind flatten");
    std::fs::remove_dir_all(workshop.path("other/checkpoints")).unwrap();
    workshop
        .call(&["export", "other"])
        .assert_failed(4, "other has no checkpoint");
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
        workshop.call(&["verify", file]).assert_failed(5, words);
    }
}

#[test]
fn a_large_model_is_known_again_without_its_run_and_a_changed_one_is_not() {
    let workshop = Workshop::small(20);
    // Large layers add in another order for every size of batches: a few millionths.
    workshop
        .run("r")
        .arguments(&["--progress", "none"])
        .set("train.epochs", 2)
        .set("model", "{kind: dnn, hidden: [512, 256]}")
        .set("data.image", "{height: 64, width: 64}")
        .train();
    workshop.signet(&["export", "r", "--format", "torchscript,onnx,safetensors"]);
    for file in ["model.pt", "model.onnx", "model.safetensors"] {
        let answer = workshop.signet(&["verify", &format!("r/export/{file}")]);
        assert!(
            answer.stdout.contains("passed: "),
            "{file}: {}",
            answer.stdout
        );
    }
    // One format exported again leaves the results of the others.
    workshop.signet(&["export", "r", "--format", "torchscript"]);
    let parity = workshop.json("r/export/parity.json");
    let formats: Vec<&String> = parity.as_object().unwrap().keys().collect();
    assert_eq!(formats, ["onnx", "safetensors", "torchscript"]);
}
