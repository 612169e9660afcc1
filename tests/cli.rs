//! What the command line promises: exit codes, one clear line per problem, nothing half-made.

mod support;

use support::{SMALL, Workshop};

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
fn generated_pictures_depend_on_the_seed_alone() {
    let workshop = Workshop::new();
    for (name, seed) in [("a", "5"), ("b", "5"), ("c", "6")] {
        let size = ["--pictures", "2", "--side", "32"];
        workshop.signet(&[&["data", "generate", name, "--seed", seed], &size[..]].concat());
    }
    for picture in ["0/0000.png", "0/0001.png", "1/0000.png", "1/0001.png"] {
        let [a, b, c] = ["a", "b", "c"].map(|name| workshop.read(&format!("{name}/{picture}")));
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
        "signet: mine exists already; name a folder that does not\n"
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
    workshop.write("data/1/bad.jpg", "no picture");
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
    for place in ["-", "figures"] {
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

#[test]
#[cfg(target_os = "linux")]
fn waiting_threads_sleep_soon_unless_that_is_settled_otherwise() {
    let workshop = Workshop::new();
    // A list of pictures that nobody writes keeps it waiting.
    workshop.write(
        "own.yaml",
        "version: 1\ndata: {source: {kind: generated, pictures: 20}}\nmodel: {kind: ann}\n",
    );
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "r",
        "-s",
        "train={epochs: 1, batch_size: 8}",
    ]);
    for (set, expected) in [
        (None, "GOMP_SPINCOUNT=1000"),
        (Some("5"), "GOMP_SPINCOUNT=5"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signet"));
        command
            .current_dir(workshop.path(""))
            .args(["predict", "r", "-"]);
        command
            .env_remove("GOMP_SPINCOUNT")
            .env_remove("OMP_WAIT_POLICY");
        command.envs(set.map(|spins| ("GOMP_SPINCOUNT", spins)));
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let environment = format!("/proc/{}/environ", child.id());
        let has = |word: &str| {
            let bytes = std::fs::read(&environment).unwrap_or_default();
            bytes
                .split(|&byte| byte == 0)
                .any(|variable| variable == word.as_bytes())
        };
        let began = std::time::Instant::now();
        while !has(expected) {
            assert!(began.elapsed().as_secs() < 60, "{expected} did not come");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
