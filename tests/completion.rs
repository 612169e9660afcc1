//! What a shell offers while somebody writes a command line, and the manual.

mod support;

use std::collections::BTreeSet;

use signet::config::reference::lines;
use support::Workshop;

/// What is offered in place of the last of `words`, as zsh is told: a line each, `-VALUE:MEANING`, or `+` where it goes on.
fn offered(workshop: &Workshop, words: &[&str]) -> Vec<String> {
    let asked: Vec<&str> = ["--", "signet"].iter().chain(words).copied().collect();
    let answer = workshop.call_under(&[("SIGNET_COMPLETE", "zsh")], &asked);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{words:?}");
    answer.stdout.lines().map(str::to_owned).collect()
}

/// The values alone; options are offered wherever a word begins, and left out here unless they are asked for.
fn values(workshop: &Workshop, words: &[&str]) -> Vec<String> {
    let asked = words.last().is_some_and(|word| word.starts_with('-'));
    let value = |line: String| line[1..].split(':').next().unwrap_or_default().to_owned();
    let all = offered(workshop, words).into_iter().map(value);
    all.filter(|value| asked || !value.starts_with('-'))
        .collect()
}

#[test]
fn verbs_options_and_their_choices_are_offered() {
    let workshop = Workshop::new();
    assert_eq!(values(&workshop, &["exp"]), ["export"]);
    assert_eq!(
        offered(&workshop, &["config", "sh"]),
        ["-show:Print an experiment file with every default filled in"]
    );
    assert_eq!(values(&workshop, &["train", "--dr"]), ["--dry-run"]);
    assert_eq!(
        values(&workshop, &["--color", ""]),
        ["auto", "always", "never"]
    );
    assert_eq!(
        values(&workshop, &["eval", "r", "--part", "t"]),
        ["train", "test"]
    );
    assert_eq!(
        values(&workshop, &["config", "init", "l"]),
        ["lstm", "layers"]
    );
}

#[test]
fn keys_of_an_experiment_are_offered_a_step_at_a_time_and_then_their_choices() {
    let workshop = Workshop::new();
    let set = |text: &str| values(&workshop, &["train", "x.yaml", "-s", text]);
    assert_eq!(set("train.optimizer.l"), ["train.optimizer.lr="]);
    assert_eq!(set("train.o"), ["train.optimizer."]);
    assert_eq!(
        set("train.optimizer.kind=a"),
        ["train.optimizer.kind=adam", "train.optimizer.kind=adamw"]
    );
    assert_eq!(set("log.csv="), ["log.csv=true", "log.csv=false"]);
    assert_eq!(set("train.epochs="), ["train.epochs=40"]);
    assert_eq!(set("model.blocks."), ["model.blocks.0."]);
    assert_eq!(set("model.blocks.12.st"), ["model.blocks.12.stride="]);
    assert_eq!(
        set("model.layers.0.body.3.function=ge"),
        ["model.layers.0.body.3.function=gelu"]
    );
    assert_eq!(set("model.nothing."), Vec::<String>::new());
    assert_eq!(
        set(""),
        [
            "version=",
            "name=",
            "seed=",
            "device=",
            "threads=",
            "data.",
            "model.",
            "train.",
            "checkpoint.",
            "log.",
            "export.",
            "run."
        ]
    );
    let described = offered(&workshop, &["train", "x.yaml", "-s", "seed"]);
    assert_eq!(described, ["+seed=:All chance follows from it."]);
    // What only says where data lies.
    let moved = |text: &str| values(&workshop, &["eval", "r", "-s", text]);
    assert_eq!(moved(""), ["data."]);
    assert_eq!(moved("data."), ["data.source."]);
    assert_eq!(
        values(&workshop, &["config", "explain", "train.sch"]),
        ["train.schedule."]
    );
}

#[test]
fn paths_are_offered_where_they_are_what_is_asked_for() {
    let workshop = Workshop::small(20);
    for name in ["notes.txt", "more/deep.yml", "runs/none/x"] {
        workshop.write(name, "");
    }
    workshop.signet(&["train", "own.yaml"]);
    assert_eq!(
        values(&workshop, &["train", ""]),
        ["own.yaml", "data/", "more/", "runs/"]
    );
    assert_eq!(values(&workshop, &["train", "more/"]), ["more/deep.yml"]);
    assert_eq!(
        values(&workshop, &["resume", ""]),
        ["runs/small/", "data/", "more/", "runs/"]
    );
    assert_eq!(
        values(&workshop, &["runs", "show", "runs/s"]),
        ["runs/small/"]
    );
    assert_eq!(
        values(&workshop, &["resume", "runs/small/"]),
        ["runs/small/"]
    );
    workshop.signet(&["train", "own.yaml"]);
    assert_eq!(
        values(&workshop, &["resume", "runs/small"]),
        ["runs/small-2/", "runs/small/"]
    );
    assert_eq!(
        values(
            &workshop,
            &["train", "own.yaml", "-s", "train.init_from=runs/s"]
        ),
        [
            "train.init_from=runs/small-2/",
            "train.init_from=runs/small/"
        ]
    );
}

#[test]
fn each_shell_gets_a_script_and_others_are_refused() {
    let workshop = Workshop::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = workshop.signet(&["completions", shell]).stdout;
        let asks = ["SIGNET_COMPLETE", env!("CARGO_BIN_EXE_signet")];
        assert!(asks.iter().all(|words| script.contains(words)), "{script}");
    }
    workshop
        .call(&["completions", "tcsh"])
        .assert_failed(2, "invalid value 'tcsh' for '<SHELL>'");
    workshop
        .call_under(&[("SIGNET_COMPLETE", "tcsh")], &["--", "signet", ""])
        .assert_failed(
            2,
            "unknown shell `tcsh`, expected one of `bash`, `elvish`, `fish`, `powershell`, `zsh`",
        );
}

#[test]
fn the_manual_has_a_page_for_each_verb_and_one_for_all_keys() {
    let workshop = Workshop::new();
    let said = workshop.signet(&["man", "manual"]).stdout;
    let names = std::fs::read_dir(workshop.path("manual/man1")).unwrap();
    let names: BTreeSet<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let verbs = |help: &str| -> Vec<String> {
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        let verbs = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let verbs = verbs.filter(|verb| !verb.is_empty() && *verb != "help");
        verbs.map(str::to_owned).collect()
    };
    let mut expected = BTreeSet::from(["signet.1".to_owned()]);
    for verb in verbs(&workshop.signet(&["--help"]).stdout) {
        expected.insert(format!("signet-{verb}.1"));
        for inner in verbs(&workshop.signet(&[&verb, "--help"]).stdout) {
            expected.insert(format!("signet-{verb}-{inner}.1"));
        }
    }
    assert_eq!(names, expected);
    let pages = expected.len() + 1;
    assert_eq!(
        said,
        format!("wrote {pages} pages; read them with `man -M manual signet`\n")
    );
    let page = workshop.text("manual/man1/signet-train.1");
    for words in [
        ".TH signet-train 1",
        "Continue the run if its directory exists",
    ] {
        assert!(page.contains(words), "{words:?}: {page}");
    }
    let keys = workshop.text("manual/man5/signet-experiment.5");
    let all = lines();
    assert_eq!(
        keys.lines().filter(|line| *line == ".TP").count(),
        all.len()
    );
    assert!(
        keys.contains("\\fBtrain.optimizer.nesterov\\fR (kind sgd)\n"),
        "{keys}"
    );
    workshop.write("file", "");
    workshop
        .call(&["man", "file"])
        .assert_failed(4, "cannot make file");
}
