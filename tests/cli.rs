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
const AUTOMATIC: &str = "version: 1\nname: auto\ndata: {source: {kind: generated, pictures: 20}}\n\
                         model: {kind: ann}\ntrain: {epochs: 1, batch_size: 8}\nexport: {on_finish: true}\n";

/// A network whose steps, of 5 GFLOP, keep any number of threads busy.
const LARGE: &str =
    "model={kind: cnn, blocks: [{filters: 64, kernel: 5}, {filters: 64, kernel: 5}]}";

#[test]
#[cfg(target_os = "linux")]
fn threads_are_counted_before_a_library_pins_the_process() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    let counted = std::thread::available_parallelism().unwrap();
    let counted = format!(", {counted} thread(s);");
    let clean = [("OMP_NUM_THREADS", ""), ("SLURM_CPUS_PER_TASK", "")];
    for pinned in [
        ("OMP_PROC_BIND", "true"),
        ("OMP_PLACES", "cores"),
        ("GOMP_CPU_AFFINITY", "0-1023"),
    ] {
        let variables = [&clean[..], &[pinned]].concat();
        let answer = workshop.call_under(&variables, &["train", "own.yaml", "-s", LARGE]);
        assert_eq!(answer.code, 0, "{pinned:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(&counted),
            "{pinned:?}: {}",
            answer.stderr
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_pinned_process_gives_its_threads_all_processors_back() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["train", "own.yaml", "--run", "r"]);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(workshop.path(""))
        .args(["predict", "r", "-"])
        .env("OMP_PROC_BIND", "true")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let allowed = |tasks: &str| -> Vec<String> {
        let tasks = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        let read = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("status")).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            Some(line.trim().to_owned())
        };
        tasks.filter_map(read).collect()
    };
    let own = allowed("/proc/self/task").swap_remove(0);
    let began = std::time::Instant::now();
    // All but the thread that libgomp pinned, where there is more than one processor.
    while allowed(&format!("/proc/{}/task", child.id()))
        .iter()
        .filter(|list| **list == own)
        .count()
        < std::thread::available_parallelism().unwrap().get()
    {
        assert!(began.elapsed().as_secs() < 60, "no threads with {own}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn automatic_threads_obey_the_environment_and_say_so() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    let cases = [
        ("3,2", "2", 3, ", 3 thread(s), as OMP_NUM_THREADS says;"),
        ("", "2", 2, ", 2 thread(s), as SLURM_CPUS_PER_TASK says;"),
        (
            "0",
            "2",
            2,
            "signet: OMP_NUM_THREADS is \"0\", which is not a number from 1 to 1024; threads: auto ignores it\n",
        ),
    ];
    for (omp, slurm, count, words) in cases {
        let run = format!("r{omp}");
        let variables = [("OMP_NUM_THREADS", omp), ("SLURM_CPUS_PER_TASK", slurm)];
        let answer = workshop.call_under(&variables, &["train", "own.yaml", "--run", &run]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        let resolved = workshop.text(&format!("{run}/resolved.yaml"));
        assert!(
            resolved.contains(&format!("\nthreads: {count}\n")),
            "{resolved}"
        );
        // What the experiment says comes first.
        let answer = workshop.call_under(&variables, &["train", "own.yaml", "-s", "threads=1"]);
        assert!(
            answer.stderr.contains(", 1 thread(s); into"),
            "{}",
            answer.stderr
        );
    }
    let answer = workshop.call_under(&[("OMP_NUM_THREADS", "5")], &["doctor"]);
    let line = "threads: auto takes up to 5 thread(s), as OMP_NUM_THREADS says\n";
    assert!(answer.stdout.contains(line), "{}", answer.stdout);
}

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

#[test]
#[cfg(target_os = "linux")]
fn waiting_threads_sleep_soon_unless_that_is_settled_otherwise() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    for (set, expected) in [
        (("HOSTNAME", "here"), "1000"), // whatever else there is; as in a container
        (("GOMP_SPINCOUNT", "5"), "5"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signet"));
        command.current_dir(workshop.path("")).env_clear();
        // libgomp then prints what it goes by.
        command.envs([("OMP_DISPLAY_ENV", "verbose"), set]);
        let shown = ["config", "show", "own.yaml", "-s", "name=${HOSTNAME:-away}"];
        let output = command.args(shown).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let line = format!("GOMP_SPINCOUNT = '{expected}'");
        assert!(stderr.contains(&line), "{set:?}: {stderr}");
        // What makes room for that is there again.
        let name = if set.0 == "HOSTNAME" {
            "name: here"
        } else {
            "name: away"
        };
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains(name), "{set:?}: {stdout}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_user_who_may_start_no_more_threads_is_told_what_to_do() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", AUTOMATIC);
    let opened = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(workshop.path(""), opened).unwrap();
    // Root may start as many as it likes, so there another user tries; who that is does not matter.
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let visitor = |threads: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("prlimit");
        command.args([threads, env!("CARGO_BIN_EXE_signet")]);
        command.args(arguments).current_dir(workshop.path(""));
        if root {
            command.uid(65534).gid(65534);
        }
        command.output().unwrap()
    };
    if !visitor("--nproc=1000", &["doctor"]).status.success() {
        println!("left out: we are root, and another user cannot reach the binary under test");
        return;
    }
    let answer = visitor("--nproc=1", &["train", "own.yaml", "--dry-run"]);
    let said = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.code(), Some(4), "{said}");
    assert!(
        said.contains("cannot start ") && said.contains("ulimit -u"),
        "{said}"
    );
}
