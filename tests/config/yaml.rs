//! YAML as people write it.

use std::path::Path;

use signet::config::Experiment;
use signet::config::document::Document;
use signet::run::changes;

#[test]
fn yaml_as_people_write_it_means_what_they_mean_or_says_how_to_write_it() {
    let base = "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: cnn}\n";
    let read = |text: &str| -> Result<Experiment, String> {
        let document = Document::parse("x.yaml".into(), text.to_owned(), &[]);
        let read = document
            .and_then(|document| Experiment::from_document(&document, Path::new("x.yaml"), &[]));
        read.map_err(|problems| problems.to_string())
    };
    let shown = |key: &str, set: &str| -> Result<String, String> {
        let set = [set.to_owned()];
        let experiment = Experiment::load(Path::new("configs/quickstart.yaml"), &set, &[])
            .map_err(|problems| problems.to_string())?;
        Ok(changes::settings(&experiment)
            .remove(key)
            .unwrap_or_default())
    };
    // What is written, and what it means.
    for (key, written, meant) in [
        ("train.optimizer.lr", "1e-3", "0.001"),
        ("train.optimizer.lr", "1E-3", "0.001"),
        ("train.optimizer.lr", ".5", "0.5"),
        ("train.optimizer.lr", "1", "1.0"),
        ("train.epochs", "1e3", "1000"),
        ("train.epochs", "10.0", "10"),
        ("train.epochs", "+5", "5"),
        ("log.csv", "FALSE", "false"),
        ("name", "no", "no"),
        ("name", "007", "007"),
        ("data.classes", "[0, 007]", "[\"0\",\"007\"]"),
        ("train.epochs", "train=&t {epochs: 3, loss: {}}", "3"),
        (
            "train.optimizer.kind",
            "train.optimizer={<<: {kind: sgd}, lr: 1}",
            "sgd",
        ),
    ] {
        let set = if written.contains('=') {
            written.to_owned()
        } else {
            format!("{key}={written}")
        };
        assert_eq!(shown(key, &set).as_deref(), Ok(meant), "{set}");
    }
    // What is no such thing, and how to write it.
    for (key, value, said) in [
        (
            "train.optimizer.lr",
            "1_000",
            "expected a number, found \"1_000\"; write 1000",
        ),
        (
            "train.optimizer.lr",
            "'0.1'",
            "expected a number, found \"0.1\"; write 0.1",
        ),
        (
            "train.optimizer.lr",
            "1/2",
            "expected a number, found \"1/2\"",
        ),
        (
            "train.epochs",
            "007",
            "expected a whole number of 0 or more, found \"007\"; write 7",
        ),
        (
            "train.epochs",
            "'5'",
            "expected a whole number of 0 or more, found \"5\"; write 5",
        ),
        (
            "train.epochs",
            "5.5",
            "expected a whole number of 0 or more, found 5.5",
        ),
        (
            "log.csv",
            "no",
            "expected true or false, found \"no\"; write false",
        ),
        (
            "log.csv",
            "On",
            "expected true or false, found \"On\"; write true",
        ),
        (
            "name",
            "1e3",
            "expected text, found 1000.0; put it in quotes",
        ),
        (
            "train.epochs",
            "*a",
            "the value is not valid YAML: unknown anchor",
        ),
    ] {
        let set = format!("{key}={value}");
        let expected = if said.starts_with("the value") {
            format!("-s {set}: {said}")
        } else {
            format!("-s {set}: {key}: {said}")
        };
        assert_eq!(shown(key, &set), Err(expected));
    }
    // Whole files that mean the same.
    for (text, same) in [
        (format!("\u{feff}{base}"), base.to_owned()),
        (base.replace('\n', "\r\n"), base.to_owned()),
        (
            format!(
                "{base}train: {{schedule: &s {{kind: step, gamma: 0.5}}, optimizer: {{kind: sgd}}}}\n"
            ),
            format!(
                "{base}train: {{schedule: {{kind: step, gamma: 0.5}}, optimizer: {{kind: sgd}}}}\n"
            ),
        ),
        (
            format!(
                "{base}train:\n  schedule: {{<<: &s {{kind: step, gamma: 0.5}}, every_epochs: 3}}\n"
            ),
            format!("{base}train:\n  schedule: {{kind: step, gamma: 0.5, every_epochs: 3}}\n"),
        ),
    ] {
        assert_eq!(read(&text).unwrap(), read(&same).unwrap(), "{text}");
    }
    // And those that are none.
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let tenfold = |(name, of): (char, char)| {
        let items = vec![format!("*{of}"); 10].join(", ");
        format!("{name}: &{name} [{items}]\n")
    };
    let thousandfold: String = ('b'..='i').zip('a'..).map(tenfold).collect();
    for (text, said) in [
        (
            format!("{base}a: &a [x]\n{thousandfold}"),
            "x.yaml: its aliases (*NAME) stand for more than is read, or for themselves; write out what they stand for",
        ),
        (
            format!("{base}train: &t {{loss: *t}}\n"),
            "x.yaml:4:8: its aliases (*NAME) stand for more than is read, or for themselves; write out what they stand for",
        ),
        (
            format!("{base}seed: {}\n", nested(32)),
            "x.yaml:4:7: seed: expected a whole number of 0 or more, found a list",
        ),
        (
            format!("{base}seed: {}\n", nested(33)),
            "x.yaml:4:1: nested more than 32 levels deep, the most that is read",
        ),
        (
            format!("{base}log:\n\tcsv: true\n"),
            "x.yaml:5:1: not valid YAML: tabs cannot indent YAML; use spaces",
        ),
        (
            format!("{base}seed: 1\nlog: {{}}\nseed: 2\n"),
            "x.yaml:6:1: not valid YAML: duplicate entry with key \"seed\"",
        ),
        (
            format!("{base}train:\n  epochs: 1\n  loss: {{}}\n  epochs: 2\n"),
            "x.yaml:7:3: not valid YAML: train: duplicate entry with key \"epochs\"",
        ),
        (
            format!("{base}---\nseed: 2\n"),
            "x.yaml: not valid YAML: the file holds more than one document; remove all lines --- but the first",
        ),
    ] {
        assert_eq!(read(&text).unwrap_err(), said);
    }
}

#[test]
fn a_file_is_read_up_to_a_mebibyte_in_utf_8() {
    let base = "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: cnn}\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.yaml");
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let read = Experiment::load(&file, &[], &[]);
        read.map_err(|problems| {
            problems
                .to_string()
                .split("x.yaml: ")
                .last()
                .unwrap()
                .to_owned()
        })
    };
    let of_size = |size: usize| format!("{base}#{}", "x".repeat(size - base.len() - 1));
    let utf_16 = |unit: fn(u16) -> [u8; 2]| base.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let whole = read(base.as_bytes()).unwrap();
    assert_eq!(read(of_size(1 << 20).as_bytes()), Ok(whole));
    for (bytes, said) in [
        (
            of_size((1 << 20) + 1).into_bytes(),
            "larger than 1024 KiB, the most that is read",
        ),
        (
            utf_16(u16::to_le_bytes),
            "written in UTF-16; save it as UTF-8",
        ),
        (
            utf_16(u16::to_be_bytes),
            "written in UTF-16; save it as UTF-8",
        ),
        (
            [base.as_bytes(), b"name: caf\xe9\n"].concat(),
            "line 4 is not UTF-8; save the file as UTF-8",
        ),
    ] {
        assert_eq!(read(&bytes), Err(said.to_owned()));
    }
}
