//! ONNX Runtime is opened where it is needed, and a missing or unfit one is named with what to do.

use std::path::Path;
use std::process::Command;

use crate::support::{Answer, Workshop};
use crate::{MODELS, trained};

/// A run `r`, and its model in `good/`.
fn with_onnx() -> Workshop {
    let workshop = trained(MODELS[1].1);
    let made = workshop.signet(&["export", "r", "--format", "onnx", "--out", "good"]);
    assert_eq!(made.stderr, "");
    workshop
}

/// What signet answers with the ONNX Runtime at `library`, to everything that needs one.
fn answers(workshop: &Workshop, library: &Path) -> Vec<Answer> {
    let library = library.to_str().unwrap();
    let calls: [&[&str]; 5] = [
        &["export", "r", "--format", "torchscript,onnx"],
        &["verify", "good/model.onnx"],
        &["verify", "good/model.onnx", "--against", "r"],
        &["eval", "good/model.onnx", "--data", "data"],
        &["predict", "good/model.onnx", "data/0/0001.png"],
    ];
    let call = |arguments: &[&str]| workshop.call_under(&[("ORT_DYLIB_PATH", library)], arguments);
    calls.into_iter().map(call).collect()
}

/// A shared library of this C source.
fn compiled(workshop: &Workshop, source: &str) -> std::path::PathBuf {
    workshop.write("library.c", source);
    let library = workshop.path("library.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &workshop.path("library.c")])
        .status();
    assert!(compiled.unwrap().success());
    library
}

/// Every answer is one line with these words and what to do, and nothing was made.
#[track_caller]
fn assert_refused(workshop: &Workshop, library: &Path, words: &str) {
    for answer in answers(workshop, library) {
        answer.assert_failed(4, words);
        answer.assert_failed(4, "ONNX files need ONNX Runtime 1.17 or later; ");
        answer.assert_failed(4, "scripts/setup");
        assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
        assert_eq!(answer.stdout, "");
    }
    assert!(!workshop.path("r/export").exists());
    let library = library.to_str().unwrap();
    let doctor = workshop.call_under(&[("ORT_DYLIB_PATH", library)], &["doctor"]);
    assert_eq!(doctor.code, 0, "{}", doctor.stderr);
    let line = doctor.stdout.lines().find(|line| line.contains(words));
    assert!(
        line.is_some_and(|line| line.starts_with("ONNX Runtime ")),
        "{}",
        doctor.stdout
    );
}

#[test]
fn without_onnx_runtime_onnx_files_are_refused_and_all_else_works() {
    let workshop = with_onnx();
    let nowhere = workshop.path("nowhere.so");
    assert_refused(&workshop, &nowhere, "nowhere.so");

    let variables = [("ORT_DYLIB_PATH", nowhere.to_str().unwrap())];
    let formats = ["export", "r", "--format", "torchscript,safetensors"];
    for call in [
        &formats[..],
        &["verify", "r/export/model.pt"],
        &["eval", "r"],
    ] {
        let answer = workshop.call_under(&variables, call);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    }
    // A training that is to end with an ONNX file does not begin.
    let arguments = [
        "train",
        "own.yaml",
        "--run",
        "other",
        "-s",
        "export={on_finish: true, formats: [onnx]}",
    ];
    let train = workshop.call_under(&variables, &arguments);
    train.assert_failed(4, "nowhere.so");
    assert!(!workshop.path("other").exists());
}

#[test]
fn a_library_that_is_no_onnx_runtime_is_named() {
    let workshop = with_onnx();
    let other = compiled(&workshop, "int other(void) { return 1; }");
    assert_refused(&workshop, &other, "library.so is no ONNX Runtime");
    workshop.write("library.txt", "no library");
    let text = workshop.path("library.txt");
    assert_refused(&workshop, &text, "library.txt");
}

#[test]
fn an_onnx_runtime_that_is_too_old_is_named_with_its_version() {
    let workshop = with_onnx();
    // The entry point of onnxruntime_c_api.h, which every version has.
    let stub = |version: &str| {
        let source = format!(
            "struct base {{ const void *(*api)(unsigned); const char *(*version)(void); }};
             static const void *api(unsigned number) {{ return 0; }}
             static const char *version(void) {{ return \"{version}\"; }}
             static const struct base base = {{ api, version }};
             const struct base *OrtGetApiBase(void) {{ return &base; }}"
        );
        compiled(&workshop, &source)
    };
    assert_refused(
        &workshop,
        &stub("1.10.0"),
        "library.so is ONNX Runtime 1.10.0",
    );
    // One that claims to be new and has no functions.
    assert_refused(
        &workshop,
        &stub("1.99.0"),
        "library.so is ONNX Runtime 1.99.0",
    );
}

#[test]
fn doctor_names_the_onnx_runtime_that_is_used() {
    let workshop = Workshop::new();
    let found = workshop.signet(&["doctor"]).stdout;
    let line = found.lines().find(|line| line.starts_with("ONNX Runtime "));
    let line = line.unwrap_or_default();
    assert!(
        line.contains(" 1.") && line.contains("libonnxruntime"),
        "{found}"
    );
}
