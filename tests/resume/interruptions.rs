//! Killed, stopped, paused, left alone: a run goes on to the same bits.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use crate::{
    DEMANDING, assert_same_end, checkpoints, demanding, interrupted, interrupted_at, signal,
    straight, wait_until,
};
use signet::rng::{Purpose, Stream};
use signet::run::checkpoint::Checkpoint;
use signet::run::logs;
use signet::train::metrics::EpochRecord;

#[test]
fn a_run_killed_at_random_moments_ends_with_the_same_bits() {
    let workshop = demanding();
    let long = [
        "-s",
        "train.epochs=150",
        "-s",
        "train.early_stopping.patience=150",
    ];
    workshop.run("straight").arguments(&long).train();
    let first = [&["train", "own.yaml", "--run", "killed"], &long[..]].concat();
    let mut chance = Stream::new(7, Purpose::Order, &[]);
    let touched = || {
        let found = std::fs::metadata(workshop.path("killed/last.json"));
        found.and_then(|found| found.modified()).ok()
    };
    let mut kills = 0;
    for launch in 0..8 {
        let before = touched();
        let mut child = match launch {
            0 => workshop.start(&first),
            _ => workshop.start(&["resume", "killed"]),
        };
        wait_until(|| touched() > before || child_ended(&child));
        std::thread::sleep(Duration::from_secs_f64(chance.uniform(0.0, 0.2)));
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    assert!(kills > 1, "every launch ended before it was killed");
    workshop.signet(&["resume", "killed"]);
    assert_same_end(&workshop, "killed");
}

#[test]
fn a_run_killed_while_it_writes_a_checkpoint_loses_nothing() {
    let workshop = demanding();
    // Large enough that the moment of writing can be met.
    let wide = [
        "-s",
        "model.hidden=[2048]",
        "-s",
        "checkpoint.every=1 steps",
    ];
    workshop.run("straight").arguments(&wide).train();
    let mut met = 0;
    let mut command = [&["train", "own.yaml", "--run", "killed"], &wide[..]].concat();
    for _ in 0..5 {
        let mut child = workshop.start(&command);
        let folder = workshop.path("killed").join("checkpoints");
        let writing = || {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let mut names = entries.map(|entry| entry.file_name());
            names.any(|name| name.to_string_lossy().starts_with(".unfinished-"))
        };
        wait_until(|| child_ended(&child) || writing());
        child.kill().unwrap();
        child.wait().unwrap();
        met += usize::from(writing());
        command = vec!["resume", "killed"];
    }
    assert!(met > 0, "no kill met a half-written checkpoint");
    workshop.signet(&command);
    let left = std::fs::read_dir(workshop.path("killed/checkpoints")).unwrap();
    assert!(
        left.flatten()
            .all(|entry| entry.file_name().to_string_lossy().starts_with("step-"))
    );
    assert_same_end(&workshop, "killed");
}

fn child_ended(child: &std::process::Child) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}

#[test]
fn a_run_killed_behind_its_last_checkpoint_gets_its_pointers() {
    let workshop = demanding();
    straight(&workshop);
    let pointers = ["last.json", "best.json"];
    let whole = pointers.map(|name| workshop.text(&format!("straight/{name}")));
    interrupted_at(&workshop, "r", 5);
    for name in pointers {
        std::fs::copy(
            workshop.path(&format!("r/{name}")),
            workshop.path(&format!("straight/{name}")),
        )
        .unwrap();
    }
    let answer = workshop.signet(&["resume", "straight"]);
    assert!(answer.stdout.contains("is complete"), "{}", answer.stdout);
    assert_eq!(
        pointers.map(|name| workshop.text(&format!("straight/{name}"))),
        whole
    );
}

#[test]
fn a_run_killed_before_its_export_is_exported_when_it_is_asked_for_again() {
    let workshop = demanding();
    let train = [
        "train",
        "own.yaml",
        "--run",
        "r",
        "--resume",
        "-s",
        "export.on_finish=true",
    ];
    workshop.signet(&train);
    let exported = workshop.read("r/export/model.pt");
    std::fs::remove_dir_all(workshop.path("r/export")).unwrap();
    let answer = workshop.signet(&train);
    assert!(answer.stdout.contains("is complete"), "{}", answer.stdout);
    assert_eq!(workshop.read("r/export/model.pt"), exported);

    // Killed before the export of a run that was made longer: the older model is not the one to export.
    std::fs::create_dir(workshop.path("before")).unwrap();
    for file in ["model.pt", "parity.json"] {
        std::fs::copy(
            workshop.path("r/export").join(file),
            workshop.path("before").join(file),
        )
        .unwrap();
    }
    workshop
        .run("r")
        .arguments(&["--epochs", "24", "--extend", "stretch"])
        .set("checkpoint", "{metric: train.loss, mode: min}")
        .resume();
    let exported = workshop.read("r/export/model.pt");
    assert_ne!(exported, workshop.read("before/model.pt"));
    std::fs::remove_dir_all(workshop.path("r/export")).unwrap();
    std::fs::rename(workshop.path("before"), workshop.path("r/export")).unwrap();
    workshop.signet(&["resume", "r"]);
    assert_eq!(workshop.read("r/export/model.pt"), exported);
}

#[test]
fn the_best_epoch_reaches_the_disk_however_seldom_checkpoints_are_written() {
    let workshop = demanding();
    let run = |name: &str, every: &str| {
        let run = workshop.run(name).set("checkpoint.every", every);
        run.set("checkpoint.metric", "train.loss")
            .arguments(&["--until", "7"])
            .train();
        let best = workshop.json(&format!("{name}/best.json"));
        let step = best["step"].as_u64().unwrap();
        let file = format!("{name}/checkpoints/step-{step:08}.safetensors");
        assert!(
            Checkpoint::load(&workshop.path(&file)).is_ok(),
            "{name}: {best}"
        );
        (step, best["weights_sha256"].clone())
    };
    let known = run("each", "1 epoch");
    for (name, every) in [("seldom", "1000 epochs"), ("auto", "auto")] {
        assert_eq!(run(name, every), known, "{every}");
    }
}

#[test]
fn the_best_epoch_reaches_the_disk_when_the_training_diverges_later() {
    let workshop = demanding();
    // A rate that rises until nothing is finite any more.
    let keys = [
        ("train.optimizer", "{kind: sgd, lr: 3000}"),
        ("train.schedule", "{kind: one_cycle, div_factor: 300000}"),
        ("train.epochs", "100"),
        ("train.clip_grad_norm", "null"),
        ("model.batch_norm", "false"),
        ("model.activation", "leaky_relu"),
        ("checkpoint.every", "1000 epochs"),
    ];
    let set: Vec<String> = keys
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mut call = vec!["train", "own.yaml", "--run", "r"];
    call.extend(set.iter().flat_map(|set| ["-s", set]));
    workshop.call(&call).assert_failed(6, "training diverged");
    let epochs: Vec<EpochRecord> = logs::read(&workshop.path("r")).unwrap();
    assert!(!epochs.is_empty(), "the rate rises too fast");
    let accuracy = |record: &EpochRecord| record.val.unwrap().accuracy;
    let most = epochs.iter().map(accuracy).fold(0.0, f64::max);
    let first = epochs.iter().find(|record| accuracy(record) == most);
    let best = workshop.json("r/best.json");
    assert_eq!(
        best["step"].as_u64(),
        first.map(|record| record.step as u64)
    );
    let newest = Checkpoint::load(checkpoints(&workshop, "r").last().unwrap()).unwrap();
    assert_eq!(newest.document.progress.step as u64, best["step"]);
}

#[test]
fn changed_settings_survive_a_kill_before_the_next_checkpoint() {
    let workshop = demanding();
    straight(&workshop);
    let longer = ["resume", "straight", "--epochs", "3000", "--extend", "hold"];
    let seldom = [
        "-s",
        "checkpoint.every=1000 epochs",
        "-s",
        "train.early_stopping=null",
    ];
    let before = std::fs::metadata(workshop.path("straight/resolved.yaml"))
        .unwrap()
        .modified()
        .unwrap();
    let mut child = workshop.start(&[&longer[..], &seldom].concat());
    let resolved = workshop.path("straight/resolved.yaml");
    wait_until(|| std::fs::metadata(&resolved).unwrap().modified().unwrap() > before);
    std::thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = checkpoints(&workshop, "straight").pop().unwrap();
    let document = Checkpoint::load(&newest).unwrap().document;
    assert!(
        document.config.contains("epochs: 3000\n"),
        "{}",
        document.config
    );
    assert_eq!(document.progress.extensions.len(), 1);
}

#[test]
fn every_kind_of_model_optimiser_and_schedule_goes_on_to_the_same_bits() {
    let experiments = [
        [
            "model={kind: ann, hidden: [8], dropout: 0.3}",
            "train.optimizer={kind: sgd, lr: 0.05, momentum: 0.9, nesterov: true}",
            "train.schedule={kind: one_cycle}",
            "threads=1",
        ],
        [
            "model={kind: dnn, hidden: [8, 8], dropout: 0.3, batch_norm: true}",
            "train.optimizer={kind: sgd, lr: 0.05}",
            "train.schedule={kind: plateau, patience: 0, factor: 0.5}",
            "threads=1",
        ],
        [
            "model={kind: cnn, blocks: [{filters: 32}], hidden: [64], batch_norm: true, dropout: 0.3}",
            "train.optimizer={kind: adamw}",
            "train.schedule={kind: cosine, warmup_epochs: 2}",
            // Which bits there are depends on the threads; that they are the same again does not.
            "threads=2",
        ],
        [
            "model={kind: rnn, hidden_size: 8, num_layers: 2, dropout: 0.3}",
            "train.optimizer={kind: adam}",
            "train.schedule={kind: step, every_epochs: 3}",
            "threads=1",
        ],
        [
            "model={kind: lstm, hidden_size: 8, num_layers: 2, dropout: 0.3, bidirectional: true}",
            "train.optimizer={kind: rmsprop, lr: 0.001, momentum: 0.5}",
            "train.schedule={kind: exponential}",
            "threads=1",
        ],
        [
            "model={kind: gru, hidden_size: 8, num_layers: 2, dropout: 0.3, pooling: mean}",
            "train.precision=bf16",
            "train.schedule={kind: constant}",
            "threads=1",
        ],
        [
            "model={kind: layers, layers: [{kind: conv2d, filters: 4, bias: false}, {kind: residual, body: [{kind: conv2d, filters: 8, stride: 2, groups: 2}, {kind: batch_norm}, {kind: dropout, p: 0.3}], shortcut: [{kind: conv2d, filters: 8, kernel: 1, stride: 2}]}, {kind: global_avg_pool}, {kind: flatten}, {kind: linear}]}",
            "train.optimizer={kind: sgd, lr: 0.05, momentum: 0.9}",
            "train.schedule={kind: constant}",
            "threads=1",
        ],
    ];
    for experiment in experiments {
        let workshop = demanding();
        let own: Vec<&str> = experiment.iter().flat_map(|key| ["-s", key]).collect();
        workshop.run("straight").arguments(&own).train();
        // Kept often and never pruned, so that a middle of an epoch can be chosen.
        let kept = ["-s", "checkpoint.keep_last=1000"];
        workshop
            .run("whole")
            .arguments(&own)
            .arguments(&kept)
            .train();
        let middle = workshop.path("whole/checkpoints/step-00000024.safetensors");
        let checkpoint = Checkpoint::load(&middle).unwrap();
        assert!(checkpoint.document.progress.images > 0, "not in mid-epoch");
        workshop.signet(&["resume", "whole", "--from", "step-00000024.safetensors"]);
        assert_same_end(&workshop, "whole");
    }
}

#[test]
fn ctrl_c_finishes_the_step_and_a_second_one_does_no_harm() {
    let workshop = demanding();
    // So many epochs that no machine is done with them before the signal comes.
    let long = [
        "-s",
        "train.epochs=1000",
        "-s",
        "train.early_stopping.patience=1000",
        "-s",
        "checkpoint.every=1000 epochs",
    ];
    let mut child = workshop.run("stopped").arguments(&long).start();
    let log = workshop.path("stopped/metrics.jsonl");
    wait_until(|| std::fs::metadata(&log).is_ok_and(|found| found.len() > 0));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let epochs = workshop.text("stopped/metrics.jsonl").lines().count() + 3;
    let until = ["--until", &epochs.to_string()];
    workshop.signet(&[&["resume", "stopped"], &until[..]].concat());
    workshop
        .run("straight")
        .arguments(&long)
        .arguments(&until)
        .train();
    assert_same_end(&workshop, "stopped");

    interrupted(&workshop, "long");
    let child = workshop.start(&["resume", "long"]);
    wait_until(|| {
        workshop
            .path("long/lock")
            .metadata()
            .is_ok_and(|found| found.len() > 0)
    });
    std::thread::sleep(Duration::from_millis(700));
    signal(&child, "INT");
    signal(&child, "INT");
    let mut child = child;
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    let checkpoint = checkpoints(&workshop, "long").pop().unwrap();
    Checkpoint::load(&checkpoint).unwrap();
}

/// Keys for so many epochs that no machine is done with them before a signal comes.
const ENDLESS: [&str; 6] = [
    "-s",
    "train.epochs=100000",
    "-s",
    "train.schedule.kind=constant",
    "-s",
    "train.early_stopping=null",
];

#[test]
fn the_signals_of_batch_systems_and_terminals_stop_a_run_as_term_does() {
    let workshop = demanding();
    for name in ["USR1", "USR2", "HUP"] {
        let mut child = workshop.run(name).arguments(&ENDLESS).start();
        wait_until(|| workshop.path(name).join("best.json").exists());
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(143), "{name}");
        let step = workshop.json(&format!("{name}/last.json"))["step"].clone();
        workshop.signet(&["resume", name, "--until", "1"]);
        assert!(step.as_u64().unwrap() > 0, "{name}");
    }
}

#[test]
fn a_signal_that_is_ignored_when_the_program_starts_stays_ignored() {
    let workshop = demanding();
    let script = format!(
        "trap '' HUP; exec {} train own.yaml --run r {}",
        env!("CARGO_BIN_EXE_signet"),
        ENDLESS.join(" ")
    );
    let mut child = Command::new("sh")
        .current_dir(workshop.path(""))
        .args(["-c", &script])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let epochs = || {
        let log = std::fs::read_to_string(workshop.path("r/metrics.jsonl")).unwrap_or_default();
        log.lines().count()
    };
    wait_until(|| epochs() > 0);
    signal(&child, "HUP");
    let then = epochs();
    wait_until(|| epochs() > then + 2);
    signal(&child, "USR1");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_study_that_is_told_at_the_same_moment_as_its_trials_asks_them_once() {
    let workshop = demanding();
    let study = ["cv", "own.yaml", "--folds", "2", "--run", "study"];
    let mut child = workshop.start(&[&study[..], &ENDLESS].concat());
    wait_until(|| workshop.path("study/fold-00/best.json").exists());
    let lock = workshop.text("study/fold-00/lock");
    let trial = lock
        .split_whitespace()
        .find(|word| word.parse::<u32>().is_ok());
    let both = [child.id().to_string(), trial.expect("a process").to_owned()];
    let sent = Command::new("kill").arg("-USR1").args(both).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let log = workshop.text("study/fold-00.log");
    assert!(
        log.contains("signet: stopped by SIGTERM after step "),
        "{log}"
    );
}

#[test]
fn an_export_that_is_stopped_is_finished_by_resume() {
    let workshop = demanding();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let keys = ["-s", "train.epochs=3", "-s", "export.on_finish=true"];
        let child = Command::new(env!("CARGO_BIN_EXE_signet"))
            .current_dir(workshop.path(""))
            .args([&["train", "own.yaml", "--run", name, "-q"], &keys[..]].concat())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        wait_until(|| workshop.path(name).join("export").exists());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(
            said,
            format!(
                "signet: the model is trained but not exported; export it with `signet resume {name}`: \
                 stopped by SIG{name}; nothing was left behind\n"
            )
        );
        let left = std::fs::read_dir(workshop.path(name).join("export")).unwrap();
        assert_eq!(left.count(), 0);
        workshop.signet(&["resume", name]);
        assert!(workshop.path(name).join("export/model.pt").is_file());
    }
}

#[test]
fn a_message_says_how_to_go_on() {
    let workshop = demanding();
    workshop.write("slow.yaml", DEMANDING.replace("epochs: 12", "epochs: 5000"));
    let child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(workshop.path(""))
        .args(["train", "slow.yaml", "--run", "r", "--progress", "none"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(|| workshop.path("r/last.json").exists());
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.starts_with("signet: stopped by SIGINT after step "),
        "{said}"
    );
    assert!(said.ends_with("; go on with `signet resume r`\n"), "{said}");
}

#[test]
fn one_process_at_a_time_uses_a_run() {
    let workshop = demanding();
    interrupted(&workshop, "r");
    let mut holder = workshop.start(&["resume", "r"]);
    wait_until(|| {
        workshop
            .path("r/lock")
            .metadata()
            .is_ok_and(|found| found.len() > 0)
    });
    let answer = workshop.call(&["resume", "r"]);
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    let named = format!("r is in use by process {} (signet resume r)", holder.id());
    assert!(answer.stderr.contains(&named), "{}", answer.stderr);
    holder.kill().unwrap();
    holder.wait().unwrap();
    // The dead holder's lock file is still there, and locks nobody out.
    assert!(!workshop.text("r/lock").is_empty());
    workshop.signet(&["resume", "r", "--until", "1"]);
}

#[test]
fn a_training_goes_on_when_nobody_listens() {
    let workshop = demanding();
    straight(&workshop);
    let script = format!(
        "{} train own.yaml --run r --progress plain 2>&1 >/dev/null | head -1",
        env!("CARGO_BIN_EXE_signet")
    );
    let output = Command::new("sh")
        .current_dir(workshop.path(""))
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(output.status.success());
    wait_until(|| workshop.path("r/last.json").exists() && workshop.text("r/lock").is_empty());
    assert_same_end(&workshop, "r");
    let script = format!("{} eval r > /dev/full", env!("CARGO_BIN_EXE_signet"));
    let output = Command::new("sh")
        .current_dir(workshop.path(""))
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("signet: cannot write to standard output: "),
        "{said}"
    );
}
