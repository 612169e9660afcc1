//! `signet predict` and `signet eval --data` on exported models.

use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::{MODELS, trained};

#[test]
fn predictions_take_files_folders_patterns_and_lists_and_name_bad_images() {
    let workshop = trained(MODELS[1].1);
    let count = |arguments: &[&str]| {
        let answer = workshop.signet(&[&["predict", "r", "--format", "jsonl"], arguments].concat());
        answer.stdout.lines().count()
    };
    assert_eq!(count(&["data/0/0001.png"]), 1);
    assert_eq!(count(&["data"]), 60);
    assert_eq!(count(&["data/1"]), 30);
    assert_eq!(count(&["data/*/000?.png"]), 20);
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff.png");
    std::fs::copy(
        workshop.path("data/1/0003.png"),
        workshop.path("").join(odd),
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(workshop.path(""))
        .args(["predict", "r", "-", "--format", "csv", "--top", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(
        &mut child.stdin.take().unwrap(),
        b"data/0/0001.png\ndata/1/0002.png\nodd-\xff.png\n",
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    let csv = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "image,class_1,probability_1,class_2,probability_2,error"
    );
    let names = ["data/0/0001.png,", "data/1/0002.png,", "odd-\u{fffd}.png,"];
    assert_eq!(lines.len(), 4, "{csv}");
    for (line, name) in lines[1..].iter().zip(names) {
        assert!(line.starts_with(name) && line.ends_with(','), "{csv}"); // and no error behind
    }

    workshop.write("data/0/bad.png", "no image");
    let answer = workshop.call(&["predict", "r", "data/0", "--format", "jsonl"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert_eq!(answer.stderr, "signet: 1 of 31 images cannot be read\n");
    let bad: Vec<&str> = answer
        .stdout
        .lines()
        .filter(|line| line.contains("error"))
        .collect();
    assert_eq!(bad.len(), 1, "{}", answer.stdout);
    assert!(
        bad[0].contains("data/0/bad.png") && bad[0].contains("is no image"),
        "{}",
        bad[0]
    );
    for (input, words) in [
        ("nowhere/*.png", "nowhere/*.png matches no file"),
        ("r/checkpoints", "holds no image"),
    ] {
        workshop
            .call(&["predict", "r", input])
            .assert_failed(3, words);
    }
}

#[test]
fn models_are_evaluated_on_other_images_too() {
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
        (&given["accuracy"], &given["images"]),
        (&all["accuracy"], &60.into())
    );
    let gone = workshop.call(&["eval", "r/export/model.pt"]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
}
