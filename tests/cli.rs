//! What the command line promises: exit codes, one clear line per problem, nothing half-made.

mod support;

use support::{AUTOMATIC, SMALL, Workshop};

#[test]
fn a_wrong_experiment_exits_with_2_and_names_every_problem_with_its_line() {
    let workshop = Workshop::new();
    workshop.write(
        "own.yaml",
        "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: cnn, hiden: [8]}\ntrain: {epochs: many}\n",
    );
    let answer = workshop.call(&["config", "check", "own.yaml"]);
    assert_eq!(answer.code, 2);
    assert_eq!(
        answer.stderr,
        "signet: own.yaml:3:20: model.hiden: not a key of kind cnn; did you mean hidden?\n\
         own.yaml:4:17: train.epochs: expected a whole number of 0 or more, found \"many\"\n"
    );
    assert_eq!(answer.stdout, "");
}

#[test]
fn what_config_show_prints_is_an_experiment_that_shows_the_same() {
    let workshop = Workshop::new();
    workshop.write(
        "own.yaml",
        "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: gru}\n",
    );
    let shown = workshop.signet(&["config", "show", "own.yaml", "-s", "train.epochs=7"]);
    assert!(shown.stdout.contains("epochs: 7\n"), "{}", shown.stdout);
    workshop.write("own.yaml", &shown.stdout);
    let again = workshop.signet(&["config", "show", "own.yaml"]);
    assert_eq!(again.stdout, shown.stdout);
}

#[test]
fn a_missing_experiment_is_one_line_that_says_where_to_find_others() {
    let answer = Workshop::new().call(&["config", "show", "none.yaml"]);
    assert_eq!(answer.code, 2);
    let message = answer.stderr;
    assert!(
        message.starts_with("signet: none.yaml: cannot read this experiment"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn generated_images_depend_on_the_seed_alone() {
    let workshop = Workshop::new();
    for (name, seed) in [("a", "5"), ("b", "5"), ("c", "6")] {
        let size = ["--images", "2", "--side", "32"];
        workshop.signet(&[&["data", "generate", name, "--seed", seed], &size[..]].concat());
    }
    for image in ["0/0000.png", "0/0001.png", "1/0000.png", "1/0001.png"] {
        let [a, b, c] = ["a", "b", "c"].map(|name| workshop.read(&format!("{name}/{image}")));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}

#[test]
fn generating_into_an_existing_folder_is_refused_and_leaves_it_alone() {
    let workshop = Workshop::new();
    workshop.write("mine/own.txt", "mine");
    let answer = workshop.call(&["data", "generate", "mine"]);
    assert_eq!(answer.code, 3);
    assert_eq!(
        answer.stderr,
        "signet: mine already exists; choose a folder that does not\n"
    );
    assert_eq!(workshop.names(), ["mine"]);
    let inside = std::fs::read_dir(workshop.path("mine")).unwrap();
    assert_eq!(inside.count(), 1);
}

#[test]
fn a_run_is_named_after_its_file_whatever_that_is_called() {
    let workshop = Workshop::with_folders(10);
    workshop.write(".my first (try).yaml", SMALL.replace("name: small\n", ""));
    workshop.signet(&["train", ".my first (try).yaml", "--progress", "none"]);
    workshop.signet(&["eval", "runs/my-first--try-"]);
}

#[test]
fn tables_end_with_their_last_column() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let trained = workshop.signet(&["train", "own.yaml", "--run", "r"]);
    let tested = workshop.signet(&["eval", "r"]);
    let shown = [trained.stdout, tested.stdout].concat();
    assert!(shown.contains("val acc. %\n"), "{shown}");
    for line in shown.lines() {
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn the_script_that_the_readme_shows_is_the_one_that_is_tested() {
    let script = std::fs::read_to_string("scripts/predict.py").unwrap();
    let shown: String = script
        .lines()
        .map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("    {line}\n"),
        })
        .collect();
    let readme = std::fs::read_to_string("README.md").unwrap();
    assert!(
        readme.contains(&shown),
        "README.md shows another scripts/predict.py"
    );
}

#[test]
fn with_progress_as_json_everything_that_is_said_is_json() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.write("data/1/bad.jpg", "no image");
    let skip = ["-s", "data.on_bad_image=skip"];
    let answer =
        workshop.signet(&[&["train", "own.yaml", "--progress", "json"], &skip[..]].concat());
    let lines: Vec<serde_json::Value> = answer
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[1..].iter().all(|line| line["epoch"].is_u64()));
    let note = lines[0]["note"].as_str().unwrap();
    assert!(note.starts_with("signet: left out 1: 1/bad.jpg "), "{note}");
}

#[test]
fn json_and_csv_never_go_to_the_same_place() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["train", "own.yaml", "--run", "r"]);
    for place in ["-", "metrics"] {
        for command in [&["eval", "r"][..], &["runs", "list", "r"]] {
            let files = ["--json", place, "--csv", place];
            let answer = workshop.call(&[command, &files[..]].concat());
            assert_eq!(answer.code, 2, "{}", answer.stderr);
            assert!(
                answer.stderr.contains("both write to "),
                "{}",
                answer.stderr
            );
            assert_eq!(answer.stdout, "");
        }
    }
    assert_eq!(workshop.names(), ["data", "own.yaml", "r"]);
}

#[test]
fn what_to_do_next_can_be_done() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let no_test = "data.split={kind: stratified, train: 0.8, val: 0.2, test: 0}";
    let answer = workshop.signet(&["train", "own.yaml", "--run", "my run", "-s", no_test]);
    let next = answer.stdout.lines().last().unwrap();
    assert_eq!(next, "next: signet eval 'my run' --part val");
    let words = ["eval", "my run", "--part", "val"];
    workshop.signet(&words);
}

/// An experiment that leaves the threads to the machine.

#[test]
fn a_program_that_is_replaced_while_it_trains_exports_all_the_same() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    let program = workshop.path("signet");
    std::fs::copy(env!("CARGO_BIN_EXE_signet"), &program).unwrap();
    let mut child = std::process::Command::new(&program)
        .current_dir(workshop.path(""))
        .args([
            "train",
            "own.yaml",
            "--run",
            "r",
            "-s",
            "train.epochs=200",
            "-q",
        ])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while std::fs::metadata(workshop.path("r/metrics.jsonl")).map_or(0, |log| log.len()) == 0 {
        assert!(began.elapsed().as_secs() < 60, "no epoch has ended");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    workshop.write("new", "#!/bin/sh\nexit 9\n");
    std::fs::rename(workshop.path("new"), &program).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(workshop.path("r/export/model.pt").is_file());
}

#[test]
fn names_cannot_command_a_terminal_or_break_a_line() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let rename = |old: &str, new: &str| {
        std::fs::rename(workshop.path(old), workshop.path(new)).unwrap();
    };
    rename("data/1", "data/on\x1b[31me");
    rename("data/0/0000.png", "data/0/a\r\nb.png");
    workshop.write("data/0/bad\nname.jpg", "no image");
    let skip = "data.on_bad_image=skip";
    let train = ["train", "own.yaml", "--run", "r\x1b[2J", "-s", skip, "-v"];
    let calls: [(&[&str], i32, &str); 8] = [
        (&train, 0, "signet: left out 1: 0/bad\\nname.jpg is "),
        (&["train", "own.yaml"], 3, "0/bad\\nname.jpg"),
        (
            &["data", "info", "own.yaml", "-s", skip],
            0,
            "class on\\u{1b}[31me",
        ),
        (&["eval", "r\x1b[2J", "--part", "all"], 0, "on\\u{1b}[31me"),
        (
            &["runs", "show", "r\x1b[2J"],
            0,
            "run          r\\u{1b}[2J\n",
        ),
        (
            &["eval", "no\x1b[31m\nrun"],
            4,
            "signet: no\\u{1b}[31m\\nrun does not exist",
        ),
        (
            &["config", "check", "own.yaml", "-s", "a\x1b=1"],
            2,
            "a\\u{1b}: not a key",
        ),
        (&["eva\x1b[31m"], 2, "eva\\u{1b}[31m"),
    ];
    for (call, code, words) in calls {
        let answer = workshop.call(call);
        assert_eq!(answer.code, code, "{call:?}: {}", answer.stderr);
        let said = answer.stdout + &answer.stderr;
        assert!(said.contains(words), "{call:?}: {said}");
        let obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!said.contains(obeyed), "{call:?}: {said:?}");
    }
    let answer = workshop.signet(&[
        "predict",
        "r\x1b[2J",
        "data/0/a\r\nb.png",
        "--format",
        "csv",
    ]);
    assert!(
        answer.stdout.contains("\n\"data/0/a\r\nb.png\","),
        "{:?}",
        answer.stdout
    );
}

#[test]
fn what_cannot_be_known_of_a_class_is_called_undefined() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    // All logits are equal and stay so, and the first of equals is predicted.
    let keys = [
        "model={kind: ann, init: {weights: {kind: constant}, bias: zero}}",
        "train={epochs: 1, optimizer: {kind: sgd, lr: 1.0e-30}, batch_size: 12}",
    ];
    workshop.signet(&[
        "train", "own.yaml", "--run", "r", "-s", keys[0], "-s", keys[1],
    ]);
    let answer = workshop.signet(&["eval", "r", "--json", "metrics.json"]);
    let line = answer
        .stdout
        .lines()
        .find(|line| line.starts_with("1 "))
        .unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells, ["1", "undefined", "0.00", "0.00", "2"]);
    let class = &workshop.json("metrics.json")["classes"][1];
    assert!(
        class["precision"].is_null() && class["recall"] == 0.0,
        "{class}"
    );
}

#[test]
fn an_artefact_is_known_by_its_content_where_its_name_does_not_say() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["train", "own.yaml", "--run", "r"]);
    workshop.signet(&["export", "r", "--format", "ONNX,TorchScript"]);
    for (file, other) in [
        ("model.pt", "model.pth"),
        ("model.onnx", "model"),
        ("model.pt", "M.PT"),
    ] {
        workshop.write(other, workshop.read(&format!("r/export/{file}")));
        workshop.signet(&["verify", other, "--against", "r"]);
        workshop.signet(&["predict", other, "data/0/0000.png", "--format", "JSONL"]);
    }
    workshop.write("other.pth", "no model");
    workshop
        .call(&["eval", "other.pth"])
        .assert_failed(4, "other.pth is no model");
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_cannot_draw_gets_plain_lines() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let train = format!("{} train own.yaml", env!("CARGO_BIN_EXE_signet"));
    for (term, plain) in [("dumb", true), ("xterm", false)] {
        // It gives its command a terminal; util-linux has it.
        let script = std::process::Command::new("script")
            .current_dir(workshop.path(""))
            .args(["-qec", &train, "/dev/null"])
            .env("TERM", term)
            .output();
        let Ok(output) = script else {
            println!("left out: there is no `script` to make a terminal with");
            return;
        };
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            shown.contains("epoch 3/3  train loss "),
            plain,
            "{term}: {shown}"
        );
        assert_eq!(shown.contains('\x1b'), !plain, "{term}: {shown}");
    }
}

#[test]
fn a_working_folder_that_is_gone_is_said_in_one_line() {
    let workshop = Workshop::new();
    let script = format!(
        "mkdir gone; cd gone; rmdir ../gone; exec {} config check x.yaml",
        env!("CARGO_BIN_EXE_signet")
    );
    let output = std::process::Command::new("sh")
        .current_dir(workshop.path(""))
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "signet: the working folder is gone; change to one that exists\n"
    );
    assert_eq!(output.status.code(), Some(2));
}
