//! The promise of resuming: stop anywhere, by whatever means, go on, and end with the same bits.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use signet::rng::{Purpose, Stream};
use signet::run::checkpoint::Checkpoint;
use support::Workshop;

/// Everything that could make a resumed run differ is on: dropout, batch norm, augmentation, AdamW, a
/// schedule that depends on the length, a short last batch, early stopping that waits, checkpoints in
/// mid-epoch.
const DEMANDING: &str = "\
version: 1
name: demanding
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 20}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}, {kind: rotate}, {kind: noise}]
model: {kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true, dropout: 0.3}
train:
  epochs: 12
  batch_size: 6
  schedule: {kind: cosine, warmup_epochs: 2}
  clip_grad_norm: 1.0
  early_stopping: {metric: val.loss, patience: 50}
checkpoint: {every: 3 steps}
";

fn demanding() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", DEMANDING);
    workshop
}

/// The same experiment, never interrupted, in `straight`.
fn straight(workshop: &Workshop) {
    workshop.signet(&["train", "own.yaml", "--run", "straight"]);
}

fn assert_same_end(workshop: &Workshop, run: &str) {
    for log in ["metrics.jsonl", "metrics.csv"] {
        assert_eq!(
            workshop.text(&format!("{run}/{log}")),
            workshop.text(&format!("straight/{log}")),
            "{run}/{log}"
        );
    }
    assert_eq!(workshop.weights(run), workshop.weights("straight"), "{run}");
    let best = |run: &str| workshop.json(&format!("{run}/best.json"))["weights_sha256"].clone();
    assert_eq!(best(run), best("straight"), "{run}: best");
}

/// The checkpoints of a run, oldest first.
fn checkpoints(workshop: &Workshop, run: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workshop.path(run).join("checkpoints")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "safetensors"));
    files.sort();
    files
}

/// Stops a run of `own.yaml` after some epochs, as a user would with Ctrl-C.
fn interrupted(workshop: &Workshop, run: &str) {
    let overrides = [
        "--run",
        run,
        "-s",
        "train.epochs=2000",
        "-s",
        "train.schedule.kind=constant",
        "-s",
        "train.early_stopping.patience=100000",
    ];
    let child = workshop.start(&[&["train", "own.yaml"], &overrides[..]].concat());
    let log = workshop.path(run).join("metrics.jsonl");
    wait_until(|| std::fs::metadata(&log).is_ok_and(|found| found.len() > 0));
    let mut child = child;
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_same_bits() {
    let workshop = demanding();
    let long = [
        "-s",
        "train.epochs=150",
        "-s",
        "train.early_stopping.patience=150",
    ];
    workshop.signet(&[&["train", "own.yaml", "--run", "straight"], &long[..]].concat());
    let first = [&["train", "own.yaml", "--run", "killed"], &long[..]].concat();
    let mut chance = Stream::new(7, Purpose::Order, &[]);
    let touched = || {
        let found = std::fs::metadata(workshop.path("killed/last.json"));
        found.and_then(|found| found.modified()).ok()
    };
    let mut kills = 0;
    for sitting in 0..8 {
        let before = touched();
        let mut child = match sitting {
            0 => workshop.start(&first),
            _ => workshop.start(&["resume", "killed"]),
        };
        wait_until(|| touched() > before || child_ended(&child));
        std::thread::sleep(Duration::from_secs_f64(chance.uniform(0.0, 0.2)));
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    assert!(kills > 1, "every sitting ended before it was killed");
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
    workshop.signet(&[&["train", "own.yaml", "--run", "straight"], &wide[..]].concat());
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
fn every_kind_of_model_and_optimiser_goes_on_to_the_same_bits() {
    let models = [
        "{kind: ann, hidden: [8], dropout: 0.3}",
        "{kind: dnn, hidden: [8, 8], dropout: 0.3, batch_norm: true}",
        "{kind: rnn, hidden_size: 8, num_layers: 2, dropout: 0.3}",
        "{kind: lstm, hidden_size: 8, num_layers: 2, dropout: 0.3, bidirectional: true}",
        "{kind: gru, hidden_size: 8, num_layers: 2, dropout: 0.3, pooling: mean}",
    ];
    let optimizers = [
        "{kind: sgd, lr: 0.05, momentum: 0.9, nesterov: true}",
        "{kind: sgd, lr: 0.05}",
        "{kind: adam}",
        "{kind: rmsprop, lr: 0.001, momentum: 0.5}",
        "{kind: adamw}",
    ];
    for (model, optimizer) in models.iter().zip(optimizers) {
        let workshop = demanding();
        let model = format!("model={model}");
        let optimizer = format!("train.optimizer={optimizer}");
        let own = ["-s", &model, "-s", &optimizer];
        workshop.signet(&[&["train", "own.yaml", "--run", "straight"], &own[..]].concat());
        // Kept often and never pruned, so that a middle of an epoch can be chosen.
        let kept = ["-s", "checkpoint.keep_last=1000"];
        workshop.signet(&[&["train", "own.yaml", "--run", "whole"], &own[..], &kept].concat());
        let middle = workshop.path("whole/checkpoints/step-00000024.safetensors");
        let checkpoint = Checkpoint::load(&middle).unwrap();
        assert!(
            checkpoint.document.progress.pictures > 0,
            "not in mid-epoch"
        );
        workshop.signet(&["resume", "whole", "--from", "step-00000024.safetensors"]);
        assert_same_end(&workshop, "whole");
    }
}

#[test]
fn ctrl_c_finishes_the_step_and_a_second_one_does_no_harm() {
    let workshop = demanding();
    straight(&workshop);
    let mut child = workshop.start(&[
        "train",
        "own.yaml",
        "--run",
        "stopped",
        "-s",
        "checkpoint.every=1000 epochs",
    ]);
    let log = workshop.path("stopped/metrics.jsonl");
    wait_until(|| std::fs::metadata(&log).is_ok_and(|found| found.len() > 0));
    signal(&child, "TERM");
    let ended = child.wait().unwrap();
    // A quick machine may have been done before the signal came.
    assert!(matches!(ended.code(), Some(143 | 0)), "{ended:?}");
    workshop.signet(&["resume", "stopped"]);
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
fn a_damaged_checkpoint_is_named_and_passed_over() {
    for damage in ["truncated", "flipped", "empty"] {
        let workshop = demanding();
        straight(&workshop);
        workshop.signet(&[
            "train",
            "own.yaml",
            "--run",
            "r",
            "-s",
            "checkpoint.keep_last=4",
        ]);
        let newest = checkpoints(&workshop, "r").pop().unwrap();
        let mut bytes = std::fs::read(&newest).unwrap();
        match damage {
            "truncated" => bytes.truncate(bytes.len() - 1),
            "flipped" => *bytes.last_mut().unwrap() ^= 1,
            _ => bytes.clear(),
        }
        std::fs::write(&newest, bytes).unwrap();
        let name = newest.file_name().unwrap().to_str().unwrap().to_owned();
        let answer = workshop.signet(&["resume", "r"]);
        assert!(
            answer
                .stderr
                .contains(&format!("passed over r/checkpoints/{name}: ")),
            "{damage}: {}",
            answer.stderr
        );
        assert_same_end(&workshop, "r");
        assert!(
            newest.with_extension("safetensors.damaged").exists(),
            "{damage}"
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_checkpoint_is_noticed() {
    let workshop = demanding();
    straight(&workshop);
    let file = checkpoints(&workshop, "straight").pop().unwrap();
    let sound = std::fs::read(&file).unwrap();
    let altered = workshop.path("altered.safetensors");
    // Every byte of the header, where a flip might go unnoticed, and a sample of the numbers.
    let header = 8 + u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    let places = (0..header).chain((header..sound.len()).step_by(97));
    for place in places {
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&altered, bytes).unwrap();
        assert!(
            Checkpoint::load(&altered).is_err(),
            "byte {place} of {}",
            sound.len()
        );
    }
    for length in (0..sound.len()).step_by(211) {
        std::fs::write(&altered, &sound[..length]).unwrap();
        assert!(
            Checkpoint::load(&altered).is_err(),
            "cut to {length} of {}",
            sound.len()
        );
    }
}

#[test]
fn a_checkpoint_of_a_newer_format_or_of_another_model_is_refused() {
    let workshop = demanding();
    straight(&workshop);
    let file = checkpoints(&workshop, "straight").pop().unwrap();
    let mut newer = Checkpoint::load(&file).unwrap();
    newer.document.format = 2;
    newer.save(&workshop.path("newer.safetensors")).unwrap();
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "other",
        "-s",
        "model.hidden=[9]",
        "-s",
        "train.epochs=3",
    ]);
    let other = checkpoints(&workshop, "other").pop().unwrap();
    let cases = [
        (
            "newer.safetensors",
            "newer.safetensors: its format is 2, but this signet reads 1",
        ),
        (
            other.to_str().unwrap(),
            "belongs to another run: it does not lie in straight/checkpoints",
        ),
        ("nothing.safetensors", "nothing.safetensors: No such file"),
    ];
    for (from, words) in cases {
        let answer = workshop.call(&[
            "resume", "straight", "--from", from, "--epochs", "20", "--extend", "hold",
        ]);
        assert_eq!(answer.code, 4, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
}

/// Resumes the run `r` where no file may become longer than `bytes`: what goes beyond fails as on a full disk,
/// once its signal is ignored. Answers with the exit code and what was said.
fn resume_within(workshop: &Workshop, bytes: u64) -> (Option<i32>, String) {
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec {} resume r --progress none",
        bytes / 512,
        env!("CARGO_BIN_EXE_signet")
    );
    let output = Command::new("sh")
        .current_dir(workshop.path(""))
        .args(["-c", &script])
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint_and_the_way_on() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    let before = checkpoints(&workshop, "r");
    let size = std::fs::metadata(checkpoints(&workshop, "r").pop().unwrap())
        .unwrap()
        .len();
    let (code, said) = resume_within(&workshop, size / 2);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("cannot write r/checkpoints/step-"), "{said}");
    assert_eq!(checkpoints(&workshop, "r"), before);
    workshop.signet(&["resume", "r"]);
    assert_same_end(&workshop, "r");
}

#[test]
fn a_disk_that_is_full_at_once_leaves_every_document_of_the_run() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    let documents = [
        "resolved.yaml",
        "environment.json",
        "split.json",
        "data.json",
    ];
    let before = documents.map(|name| workshop.text(&format!("r/{name}")));
    // Less than the first of them holds, so that one cut short in the middle would be seen.
    let (code, said) = resume_within(&workshop, 1024);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("cannot write r/"), "{said}");
    assert_eq!(
        documents.map(|name| workshop.text(&format!("r/{name}"))),
        before
    );
    workshop.signet(&["resume", "r"]);
    assert_same_end(&workshop, "r");
}

/// A run of `own.yaml` as it would be when killed after `epoch`: made from a whole one.
fn interrupted_at(workshop: &Workshop, run: &str, epoch: usize) {
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        run,
        "-s",
        "checkpoint.keep_last=1000",
    ]);
    for file in checkpoints(workshop, run) {
        if Checkpoint::load(&file).unwrap().document.progress.epoch > epoch + 1 {
            std::fs::remove_file(file).unwrap();
        }
    }
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
fn pointers_that_lie_and_folders_that_moved_do_not_matter() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    workshop.write(
        "r/last.json",
        "{\"checkpoint\": \"checkpoints/step-99999999.safetensors\", \"step\": 1}",
    );
    workshop.write("r/best.json", "not even JSON");
    workshop.signet(&["eval", "r"]);
    std::fs::create_dir(workshop.path("elsewhere")).unwrap();
    std::fs::rename(workshop.path("r"), workshop.path("elsewhere/moved")).unwrap();
    workshop.signet(&["resume", "elsewhere/moved"]);
    assert_same_end(&workshop, "elsewhere/moved");
}

#[test]
fn logs_that_ran_ahead_of_the_checkpoint_are_cut_back_and_short_ones_are_named() {
    let workshop = demanding();
    straight(&workshop);
    // Its logs have twelve epochs, its newest checkpoint five.
    interrupted_at(&workshop, "r", 5);
    assert_eq!(workshop.text("r/metrics.jsonl").lines().count(), 12);
    workshop.signet(&["resume", "r"]);
    assert_same_end(&workshop, "r");

    interrupted_at(&workshop, "s", 5);
    let log = workshop.text("s/metrics.jsonl");
    workshop.write("s/metrics.jsonl", &log[..10]);
    let answer = workshop.signet(&["resume", "s"]);
    assert!(
        answer.stderr.contains("metrics.jsonl has 10 bytes of the "),
        "{}",
        answer.stderr
    );
    assert_eq!(workshop.weights("s"), workshop.weights("straight"));
}

#[test]
fn pictures_that_came_went_or_changed_are_named() {
    let workshop = Workshop::with_folders(20);
    let on_folders = DEMANDING.replace(
        "{kind: generated, pictures: 20}",
        "{kind: class_folders, root: data}",
    );
    workshop.write("own.yaml", on_folders);
    interrupted_at(&workshop, "r", 5);
    let [first, second] = ["data/0/0001.png", "data/1/0001.png"].map(|name| workshop.path(name));
    let kept = std::fs::read(&first).unwrap();
    let cases: [(&dyn Fn(), &str); 3] = [
        (
            &|| std::fs::remove_file(&first).unwrap(),
            "0/0001.png is gone",
        ),
        (
            &|| assert!(std::fs::copy(&second, &first).is_ok()),
            "0/0001.png has changed",
        ),
        (
            &|| assert!(std::fs::copy(&second, workshop.path("data/1/0999.png")).is_ok()),
            "1/0999.png is new",
        ),
    ];
    for (damage, words) in cases {
        damage();
        let answer = workshop.call(&["resume", "r"]);
        assert_eq!(answer.code, 3, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        std::fs::write(&first, &kept).unwrap();
    }
    std::fs::remove_file(workshop.path("data/1/0999.png")).unwrap();
    // Where they lie does not matter.
    std::fs::rename(workshop.path("data"), workshop.path("pictures")).unwrap();
    workshop.signet(&["resume", "r", "-s", "data.source.root=pictures"]);
    // A split that was tampered with is not the run's.
    let split = workshop.text("r/split.json");
    let split = split.replace("\"test\"", "\"other\"");
    let split = split
        .replace("\"val\"", "\"test\"")
        .replace("\"other\"", "\"val\"");
    workshop.write("r/split.json", split);
    let answer = workshop.call(&["eval", "r"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("the split is not the one this run was trained with"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_longer_run_asks_what_becomes_of_its_schedule() {
    let workshop = demanding();
    straight(&workshop);
    let refused = workshop.call(&["resume", "straight", "--epochs", "16"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("say how with --extend"),
        "{}",
        refused.stderr
    );
    // Stretched at its start, a run is what it would have been with that length.
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "long",
        "-s",
        "train.epochs=16",
    ]);
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "stretched",
        "-s",
        "checkpoint.keep_last=1000",
    ]);
    let begin = "step-00000000.safetensors";
    workshop.signet(&[
        "resume",
        "stretched",
        "--from",
        begin,
        "--epochs",
        "16",
        "--extend",
        "stretch",
    ]);
    assert_eq!(workshop.weights("stretched"), workshop.weights("long"));
    assert_eq!(
        workshop.text("stretched/metrics.jsonl"),
        workshop.text("long/metrics.jsonl")
    );
    for (how, rate) in [("hold", 12), ("restart", 0)] {
        workshop.signet(&["train", "own.yaml", "--run", how]);
        let answer = workshop.signet(&["resume", how, "--epochs", "16", "--extend", how]);
        assert!(
            answer.stderr.contains("train.epochs  12   16   free"),
            "{}",
            answer.stderr
        );
        let lines: Vec<serde_json::Value> = workshop
            .text(&format!("{how}/metrics.jsonl"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 16, "{how}");
        if how == "hold" {
            assert_eq!(lines[15]["lr"], lines[rate - 1]["lr"]);
        } else {
            assert!(lines[12]["lr"].as_f64() > lines[11]["lr"].as_f64());
        }
    }
    let complete = workshop.signet(&["resume", "hold"]);
    assert!(
        complete
            .stdout
            .starts_with("hold is complete: finished after 16 of 16 epochs"),
        "{}",
        complete.stdout
    );
}

#[test]
fn changes_are_free_branch_off_or_are_refused() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    let cases = [
        (
            "model.hidden=[9]",
            2,
            "model.hidden: [8] -> [9] cannot change",
        ),
        ("seed=1", 2, "seed: 42 -> 1 cannot change"),
        (
            "train.optimizer={kind: sgd}",
            2,
            "train.optimizer.kind: adamw -> sgd",
        ),
        (
            "train.optimizer.lr=0.01",
            2,
            "makes another run of it; add --as NEW_RUN",
        ),
        (
            "train.batch_size=5",
            2,
            "train.batch_size: 6 -> 5 makes another run of it",
        ),
        ("train.epoch=9", 2, "did you mean epochs?"),
    ];
    for (change, code, words) in cases {
        let answer = workshop.call(&["resume", "r", "-s", change]);
        assert_eq!(answer.code, code, "{change}: {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{change}: {}", answer.stderr);
    }
    let lonely = ["resume", "r", "-s", "train.batch_size=5", "--as", "lonely"];
    let answer = workshop.call(&lonely);
    assert_eq!(answer.code, 2);
    assert!(
        answer
            .stderr
            .contains("a last batch of one picture of the 16 left"),
        "{}",
        answer.stderr
    );
    let old = workshop.text("r/metrics.jsonl");
    workshop.signet(&[
        "resume",
        "r",
        "-s",
        "train.optimizer.lr=0.01",
        "-s",
        "train.batch_size=4",
        "--as",
        "branch",
    ]);
    assert_eq!(
        workshop.text("r/metrics.jsonl"),
        old,
        "the parent stays as it is"
    );
    let parent = workshop.json("branch/parent.json");
    assert_eq!(parent["run"], "r");
    assert_eq!(parent["changes"][1]["key"], "train.optimizer.lr");
    let lines = workshop.text("branch/metrics.jsonl");
    assert_eq!(lines.lines().count(), 12);
    assert!(old.starts_with(lines.lines().next().unwrap()));
    workshop.signet(&["eval", "branch"]);
    workshop.signet(&["resume", "branch", "--prove"]);
    // Free: logging and retention change nothing that was or will be learned.
    workshop.signet(&[
        "resume",
        "r",
        "-s",
        "log.csv=false",
        "-s",
        "checkpoint.keep_last=1",
    ]);
    assert_eq!(workshop.weights("r"), workshop.weights("straight"));
    assert_eq!(
        workshop.text("r/metrics.jsonl"),
        workshop.text("straight/metrics.jsonl")
    );
}

#[test]
fn train_with_resume_begins_or_goes_on_and_holds_to_the_policies() {
    let workshop = demanding();
    straight(&workshop);
    for _ in 0..2 {
        workshop.signet(&["train", "own.yaml", "--run", "r", "--resume"]);
        assert_same_end(&workshop, "r");
    }
    let answer = workshop.call(&[
        "train", "own.yaml", "--run", "r", "--resume", "-s", "seed=3",
    ]);
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("seed: 42 -> 3 cannot change"),
        "{}",
        answer.stderr
    );
    let taken = workshop.call(&["train", "own.yaml", "--run", "r"]);
    assert_eq!(taken.code, 4, "{}", taken.stderr);
}

#[test]
fn patience_and_the_best_epoch_survive_a_pause() {
    let workshop = demanding();
    let waiting = [
        "-s",
        "train.early_stopping.patience=3",
        "-s",
        "train.optimizer.lr=1.0e-30",
        "-s",
        "model.batch_norm=false",
        "-s",
        "checkpoint.keep_last=1000",
    ];
    workshop.signet(&[&["train", "own.yaml", "--run", "straight"], &waiting[..]].concat());
    let epochs = workshop.text("straight/metrics.jsonl").lines().count();
    assert!(epochs < 12, "it did not stop early");
    workshop.signet(&[&["train", "own.yaml", "--run", "r"], &waiting[..]].concat());
    let answer = workshop.signet(&["resume", "r"]);
    assert!(
        answer.stdout.contains("r is complete: stopped early after"),
        "{}",
        answer.stdout
    );
    workshop.signet(&["resume", "r", "--from", "step-00000009.safetensors"]);
    assert_same_end(&workshop, "r");
}

#[test]
fn a_proof_holds_for_a_sound_run_and_names_what_differs_in_another() {
    let workshop = demanding();
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "r",
        "-s",
        "checkpoint.keep_last=1000",
    ]);
    let proof = workshop.signet(&["resume", "r", "--prove"]).stdout;
    assert!(proof.starts_with("proved: steps 0 to "), "{proof}");
    // One number of the newest checkpoint, made another under a correct checksum.
    let newest = checkpoints(&workshop, "r").pop().unwrap();
    let mut checkpoint = Checkpoint::load(&newest).unwrap();
    let name = "features.0.bias";
    let tensor = checkpoint.tensors[name].copy() + 1e-7;
    checkpoint.tensors.insert(name.to_owned(), tensor);
    checkpoint.document.environment.threads = 7;
    checkpoint.save(&newest).unwrap();
    let refuted = workshop.call(&["resume", "r", "--prove"]);
    assert_eq!(refuted.code, 4, "{}", refuted.stdout);
    assert!(
        refuted
            .stdout
            .contains("the first in features.0.bias: number 0 was "),
        "{}",
        refuted.stdout
    );
    assert!(
        refuted
            .stdout
            .contains("the likely cause: threads 7 then, 1 now"),
        "{}",
        refuted.stdout
    );
}

#[test]
fn training_can_begin_with_the_weights_of_another() {
    let workshop = demanding();
    let more = "data.classes=['2', '3', '4']";
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "pre",
        "-s",
        more,
        "-s",
        "train.epochs=3",
    ]);
    let strict = workshop.call(&[
        "train",
        "own.yaml",
        "--run",
        "fine",
        "-s",
        "train.init_from=pre",
    ]);
    assert_eq!(strict.code, 4, "{}", strict.stderr);
    assert!(
        strict
            .stderr
            .contains("2 tensor(s) of this model are not to be had from pre/"),
        "{}",
        strict.stderr
    );
    assert!(
        strict.stderr.contains("is [3, 8] there, but [2, 8] here"),
        "{}",
        strict.stderr
    );
    let lenient = "train.init_from={path: pre, strict: false}";
    let answer = workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "fine",
        "-s",
        lenient,
        "-s",
        "checkpoint.keep_last=1000",
    ]);
    assert!(
        answer.stderr.contains("begins at random: "),
        "{}",
        answer.stderr
    );
    let best = workshop.json("pre/best.json");
    let offered = Checkpoint::load(
        &workshop
            .path("pre")
            .join(best["checkpoint"].as_str().unwrap()),
    )
    .unwrap();
    let begun =
        Checkpoint::load(&workshop.path("fine/checkpoints/step-00000000.safetensors")).unwrap();
    for (name, tensor) in &begun.tensors {
        if name.starts_with("optimizer.") {
            continue;
        }
        let same =
            offered.tensors[name].size() == tensor.size() && offered.tensors[name].equal(tensor);
        let head = tensor.size().first() == Some(&2);
        assert_eq!(same, !head, "{name}");
    }
    // Its parent is not needed to go on.
    std::fs::remove_dir_all(workshop.path("pre")).unwrap();
    let end = workshop.weights("fine");
    workshop.signet(&["resume", "fine", "--from", "step-00000009.safetensors"]);
    assert_eq!(workshop.weights("fine"), end);
    let missing = workshop.call(&[
        "train",
        "own.yaml",
        "-s",
        "train.init_from=nowhere.safetensors",
    ]);
    assert_eq!(missing.code, 4);
    assert!(
        missing
            .stderr
            .contains("train.init_from: nowhere.safetensors"),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_left_as_it_is() {
    let workshop = demanding();
    interrupted_at(&workshop, "r", 5);
    let mode = |path: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(workshop.path(path), permissions).unwrap();
    };
    let before = checkpoints(&workshop, "r");
    let read_only = ["r/checkpoints", "r", ""];
    read_only.iter().for_each(|path| mode(path, 0o555));
    // Root may write anywhere, so there another user tries; who that is does not matter.
    let root = std::fs::write(workshop.path("probe"), "").is_ok();
    let visitor = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
        command.current_dir(workshop.path("")).args(arguments);
        if root {
            command.uid(65534).gid(65534);
        }
        command.output()
    };
    if !visitor(&["--version"]).is_ok_and(|output| output.status.success()) {
        println!("left out: we are root, and another user cannot reach the binary under test");
        return;
    }
    for (arguments, words) in [
        (["resume", "r"], "cannot lock r/lock"),
        (["train", "own.yaml"], "cannot make a run in runs"),
    ] {
        let output = visitor(&arguments).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(words), "{said}");
    }
    read_only.iter().for_each(|path| mode(path, 0o755));
    assert_eq!(checkpoints(&workshop, "r"), before);
    assert!(!workshop.path("runs").exists());
    workshop.signet(&["resume", "r"]);
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
fn a_proof_holds_after_the_run_was_made_longer_or_watched_otherwise() {
    let workshop = demanding();
    for (how, also) in [
        ("stretch", "log.csv=false"),
        ("hold", "checkpoint.keep_best=3"),
        (
            "restart",
            "train.early_stopping={metric: train.loss, patience: 40}",
        ),
    ] {
        workshop.signet(&[
            "train",
            "own.yaml",
            "--run",
            how,
            "-s",
            "checkpoint.keep_last=1000",
        ]);
        workshop.signet(&["resume", how, "--epochs", "16", "--extend", how, "-s", also]);
        let proof = workshop.signet(&["resume", how, "--prove"]).stdout;
        assert!(
            proof.starts_with("proved: steps 60 to 80"),
            "{how}: {proof}"
        );
        // Going back goes on under the settings of today.
        workshop.signet(&["resume", how, "--from", "best"]);
        let epochs = workshop
            .text(&format!("{how}/metrics.jsonl"))
            .lines()
            .count();
        assert_eq!(epochs, 16, "{how}");
    }
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

#[test]
fn settings_are_not_lost_with_the_checkpoint_that_knew_them() {
    let workshop = demanding();
    straight(&workshop);
    // Made longer, and killed at once: the newest checkpoint alone knows of it.
    let longer = ["resume", "straight", "--epochs", "3000", "--extend", "hold"];
    let mut child = workshop.start(&longer);
    wait_until(|| {
        workshop
            .text("straight/resolved.yaml")
            .contains("epochs: 3000")
    });
    let known = |file: &PathBuf| {
        Checkpoint::load(file).is_ok_and(|found| found.document.config.contains("epochs: 3000"))
    };
    wait_until(|| checkpoints(&workshop, "straight").iter().any(known));
    child.kill().unwrap();
    child.wait().unwrap();
    for file in checkpoints(&workshop, "straight")
        .iter()
        .filter(|file| known(file))
    {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    let answer = workshop.call(&["resume", "straight"]);
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    let words = "is older than its settings: train.epochs was 3000 and would be 12 again; say again how it should go on";
    assert!(answer.stderr.contains(words), "{}", answer.stderr);
    workshop.signet(&[&longer[..], &["--until", "14"]].concat());
    assert_eq!(workshop.text("straight/metrics.jsonl").lines().count(), 14);
}

#[test]
fn a_checkpoint_that_is_sound_and_cannot_be_used_stops_the_run_and_stays() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    let newest = checkpoints(&workshop, "r").pop().unwrap();
    let sound = Checkpoint::load(&newest).unwrap();
    let step = sound.document.progress.step;
    let place = |step: usize| workshop.path(&format!("r/checkpoints/step-{step:08}.safetensors"));
    let mut newer = Checkpoint::load(&newest).unwrap();
    newer.document.format = 2;
    newer.document.progress.step = step + 1;
    newer.save(&place(step + 1)).unwrap();
    let mut stranger = Checkpoint::load(&newest).unwrap();
    stranger.document.config = stranger.document.config.replace("seed: 42", "seed: 99");
    stranger.document.progress.step = step + 2;
    let cases = [
        (&newer, step + 1, "its format is 2, but this signet reads 1"),
        (
            &stranger,
            step + 2,
            "belongs to another run: seed is 99 there, but 42 in r",
        ),
    ];
    for (checkpoint, step, words) in cases {
        checkpoint.save(&place(step)).unwrap();
        let bytes = std::fs::read(place(step)).unwrap();
        for from in [&[][..], &["--from", newest.to_str().unwrap()]] {
            let answer = workshop.call(&[&["resume", "r"], from].concat());
            assert_eq!(answer.code, 4, "{}", answer.stderr);
            assert!(answer.stderr.contains(words), "{}", answer.stderr);
        }
        assert_eq!(std::fs::read(place(step)).unwrap(), bytes);
        std::fs::remove_file(place(step)).unwrap();
    }
    // One under a name that is not its own is put aside, and nothing is removed for its sake.
    std::fs::copy(&newest, place(999)).unwrap();
    let answer = workshop.signet(&["resume", "r"]);
    let words = format!("damaged: it was taken at step {step}, which its name does not say");
    assert!(answer.stderr.contains(&words), "{}", answer.stderr);
    assert_same_end(&workshop, "r");
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
}

#[test]
fn files_of_others_beside_event_files_are_left_alone() {
    let workshop = demanding();
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "r",
        "-s",
        "log.tensorboard=true",
        "--until",
        "3",
    ]);
    workshop.write("r/tensorboard/notes.txt", "mine");
    workshop.signet(&["resume", "r"]);
    assert_eq!(workshop.text("r/tensorboard/notes.txt"), "mine");
}

#[test]
fn a_training_cannot_begin_with_a_damaged_checkpoint() {
    let workshop = demanding();
    straight(&workshop);
    let file = checkpoints(&workshop, "straight").pop().unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    workshop.write("flipped.safetensors", bytes);
    let answer = workshop.call(&[
        "train",
        "own.yaml",
        "-s",
        "train.init_from=flipped.safetensors",
    ]);
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("flipped.safetensors: damaged: its checksum is not that of its bytes"),
        "{}",
        answer.stderr
    );
}
