//! The model card says what is so, to whoever gets the folder, and stays text whatever names hold.

use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag};
use sha2::{Digest, Sha256};

use crate::support::{SMALL, Workshop};
use crate::{ALL, MODELS, config, trained};

/// The rows of all tables of a card, cell by cell, as readers of Markdown see them.
fn rows(card: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for event in Parser::new_ext(body(card), Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableRow | Tag::TableHead) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => rows.last_mut().unwrap().push(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(cell) = rows
                    .last_mut()
                    .and_then(|row: &mut Vec<String>| row.last_mut())
                {
                    *cell += &text;
                }
            }
            Event::End(pulldown_cmark::TagEnd::Table) => rows.push(Vec::new()),
            _ => {}
        }
    }
    rows
}

/// What stands behind the head of a card.
fn body(card: &str) -> &str {
    let head = card.strip_prefix("---\n").unwrap();
    head.split_once("---\n").unwrap().1
}

#[test]
fn a_card_has_the_metrics_of_eval_and_the_digests_of_its_files() {
    let workshop = trained(MODELS[3].1);
    workshop.signet(&[&["export", "r"], &ALL[..]].concat());
    let card = workshop.text("r/export/README.md");
    let rows = rows(&card);
    let eval = workshop.signet(&["eval", "r", "--json", "-"]).stdout;
    let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
    let percent = |share: &serde_json::Value| {
        let share = share.as_f64();
        share.map_or("undefined".to_owned(), |share| {
            format!("{:.2}", 100.0 * share)
        })
    };
    let [low, high] = [0, 1].map(|end| percent(&eval["accuracy_interval"][end]));
    let accuracy = format!("{} ({low} to {high})", percent(&eval["accuracy"]));
    let loss = format!("{:.4}", eval["loss"].as_f64().unwrap());
    assert!(
        rows.iter()
            .any(|row| row.len() == 3 && row[..2] == [&*accuracy, &loss]),
        "{accuracy}, {loss}: {card}"
    );
    for class in eval["classes"].as_array().unwrap() {
        let name = class["class"].as_str().unwrap();
        let expected = ["precision", "recall", "f1"].map(|key| percent(&class[key]));
        let row = rows.iter().find(|row| row.len() == 5 && row[0] == name);
        let row = row.unwrap_or_else(|| panic!("no metrics of {name}: {card}"));
        for (cell, share) in row[1..4].iter().zip(&expected) {
            assert_eq!(cell.split(' ').next(), Some(share.as_str()), "{name}");
        }
        assert_eq!(row[4], class["support"].to_string());
    }
    // 30 images of each class, half to train, a fifth to val.
    for class in ["0", "1"] {
        let counts = [class, "15", "6", "9"].map(str::to_owned).to_vec();
        assert!(rows.contains(&counts), "{counts:?}: {card}");
    }
    let parity = workshop.json("r/export/parity.json");
    for (word, file) in [
        ("torchscript", "model.pt"),
        ("onnx", "model.onnx"),
        ("safetensors", "model.safetensors"),
    ] {
        let bytes = workshop.read(&format!("r/export/{file}"));
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = rows
            .iter()
            .find(|row| row.first().is_some_and(|cell| cell == file));
        let row = row.unwrap_or_else(|| panic!("no row of {file}: {card}"));
        assert_eq!(row[1..3], [bytes.len().to_string(), digest.clone()]);
        assert_eq!(parity[word]["sha256"], digest);
        assert!(
            card.contains(&format!("\"{file}\"")),
            "no program loads {file}"
        );
    }
    let home = workshop.path("").display().to_string();
    assert!(!card.contains(&home), "it tells where it was made");
}

#[test]
fn a_card_is_about_the_weights_that_were_exported_last_and_names_the_others() {
    let workshop = trained(MODELS[1].1);
    workshop.run("other").set("seed", 2).train();
    let export = |run: &str, format: &str| {
        workshop.signet(&["export", run, "--out", "out", "--format", format]);
        workshop.text("out/README.md")
    };
    let card = export("r", "torchscript");
    assert!(card.contains("### TorchScript, in Python"), "{card}");
    assert!(!card.contains("### ONNX"), "{card}");
    let card = export("r", "onnx");
    assert!(card.contains("### TorchScript, in Python"), "{card}");
    assert!(card.contains("### ONNX, in Python"), "{card}");
    let card = export("other", "onnx");
    let words = "`model.pt` was exported at another time and holds other weights";
    assert!(card.contains(words), "{card}");
    assert!(!card.contains("### TorchScript"), "{card}");
    assert!(card.contains("of the run other;"), "{card}");
}

#[test]
fn names_stay_text_in_a_card() {
    let workshop = Workshop::with_folders(10);
    let names = [
        "- a|b `c` <script>x()</script>",
        "+ *d* \u{202e}[e](f) \u{1b}[1m</script>",
    ];
    let mut table = "path,label\n".to_owned();
    for (folder, name) in names.iter().enumerate() {
        for image in 0..10 {
            table += &format!("data/{folder}/{image:04}.png,\"{name}\"\n");
        }
    }
    workshop.write("list.csv", table);
    workshop.write(
        "own.yaml",
        SMALL.replace(
            "kind: class_folders, root: data",
            "kind: table, file: list.csv",
        ),
    );
    let run = "r | <b>run\n# no heading";
    workshop.run(run).arguments(&["-q"]).train();
    workshop.signet(&[
        "export",
        run,
        "-q",
        "--out",
        "out",
        "--format",
        "onnx,torchscript",
    ]);
    let card = workshop.text("out/README.md");
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!card.contains(hidden), "{card:?}");

    let shown = [
        "- a|b `c` <script>x()</script>",
        r"+ *d* \u{202e}[e](f) \u{1b}[1m</script>",
    ];
    let rows = rows(&card);
    for name in shown {
        let own = rows
            .iter()
            .filter(|row| row.first().is_some_and(|cell| cell == name));
        assert_eq!(own.count(), 2, "{name}: {rows:?}");
    }
    let (mut headings, mut text) = (Vec::new(), String::new());
    for event in Parser::new_ext(body(&card), Options::all()) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => panic!("{html}"),
            Event::Start(Tag::Heading { level, .. }) => headings.push(level),
            Event::Start(Tag::Link { dest_url, .. }) => {
                assert_eq!(&*dest_url, "https://github.com/nothings/stb");
            }
            Event::Text(piece) | Event::Code(piece) => text += &piece,
            _ => {}
        }
    }
    assert_eq!(headings.len(), 10, "{card}");
    assert!(
        text.contains(r"of the run r | <b>run\n# no heading;"),
        "{text}"
    );
    // Which would begin a list if they began a line.
    assert!(text.contains("classes it shows: + *d*"), "{text}");
    // The page for browsers has its own script and that of ONNX Runtime.
    assert_eq!(card.matches("</script>").count(), 2, "{card}");
}

#[test]
fn a_card_states_the_licence_of_the_experiment_or_that_there_is_none() {
    let workshop = Workshop::small(20);
    workshop.run("r").arguments(&["-q"]).train();
    let card = |arguments: &[&str]| {
        workshop.signet(&[&["export", "r"], arguments].concat());
        workshop.text("r/export/README.md")
    };
    let none = card(&[]);
    assert!(none.contains("Licence: none was given"), "{none}");
    assert!(!none.contains("\nlicense"), "{none}");
    for (license, head) in [
        ("Apache-2.0", "license: apache-2.0\nlibrary_name"),
        ("GPL-3.0-only", "license: gpl-3.0\nlibrary_name"),
        (
            "MIT OR Apache-2.0",
            "license: other\nlicense_name: mit-or-apache-2.0\n",
        ),
        (
            "other, as in LICENSE.txt",
            "license: other\nlicense_name: other-as-in-license.txt\n",
        ),
    ] {
        let stated = card(&["-s", &format!("export.license={license}")]);
        assert!(
            stated.contains(&format!("Licence: {license}\n")),
            "{stated}"
        );
        assert!(stated.starts_with(&format!("---\n{head}")), "{stated}");
    }
    workshop
        .call(&["export", "r", "-s", "export.license=apache2"])
        .assert_failed(
            2,
            "export.license: expected an SPDX expression such as Apache-2.0",
        );
    // One that the experiment knows holds without being said.
    workshop
        .run("other")
        .arguments(&["-q", "-s", "export={license: MIT, on_finish: true}"])
        .train();
    assert!(
        workshop
            .text("other/export/README.md")
            .contains("Licence: MIT\n")
    );
}

#[test]
fn a_run_without_a_test_part_says_by_which_part_its_metrics_are() {
    let workshop = Workshop::with_folders(20);
    for (split, words) in [
        (
            "{train: 0.8, val: 0.2, test: 0}",
            "There was no test part. These are metrics of the val part, 8 images",
        ),
        (
            "{train: 1, val: 0, test: 0}",
            "There was neither a test nor a val part. These are metrics of the train part, 40 images",
        ),
    ] {
        workshop.write(
            "own.yaml",
            config(MODELS[1].1).replace("{train: 0.5, val: 0.2, test: 0.3}", split),
        );
        workshop.run(words).arguments(&["-q"]).train();
        workshop.signet(&["export", words, "--out", "out"]);
        let card = workshop.text("out/README.md");
        assert!(card.contains(words), "{card}");
    }
}

#[test]
fn a_page_that_signet_did_not_write_is_left_alone() {
    let workshop = Workshop::small(20);
    workshop.run("r").arguments(&["-q"]).train();
    for page in ["# My project\n", "---\nlicense: mit\n---\n# signet\n"] {
        workshop.write("out/README.md", page);
        let answer = workshop.call(&["export", "r", "--out", "out"]);
        answer.assert_failed(4, "out/README.md is no model card that signet wrote");
        assert_eq!(workshop.text("out/README.md"), page);
        assert!(!workshop.path("out/model.pt").exists());
    }
}

#[test]
fn an_export_that_fails_leaves_the_card_of_what_is_there() {
    let workshop = trained(MODELS[3].1);
    workshop.signet(&["export", "r", "-q"]);
    let before = ["model.pt", "README.md", "parity.json"]
        .map(|file| workshop.read(&format!("r/export/{file}")));
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" export r --format onnx,safetensors -s export.license=MIT";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_signet")])
        .current_dir(workshop.path(""))
        .output();
    assert_eq!(output.unwrap().status.code(), Some(4));
    let after = ["model.pt", "README.md", "parity.json"]
        .map(|file| workshop.read(&format!("r/export/{file}")));
    assert!(before == after);
}
