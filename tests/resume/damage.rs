//! Files that are damaged, missing, foreign or cannot be written: named, passed over, never made worse.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Workshop, save};
use crate::{assert_same_end, checkpoints, demanding, interrupted_at, straight, wait_until};
use signet::run::checkpoint::Checkpoint;

#[test]
fn a_damaged_checkpoint_is_named_and_passed_over() {
    for damage in ["truncated", "flipped", "empty"] {
        let workshop = demanding();
        straight(&workshop);
        workshop.run("r").set("checkpoint.keep_last", 4).train();
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
    let valid = std::fs::read(&file).unwrap();
    let altered = workshop.path("altered.safetensors");
    // Every byte of the header, where a flip might go unnoticed, and a sample of the numbers.
    let header = 8 + u64::from_le_bytes(valid[..8].try_into().unwrap()) as usize;
    let places = (0..header).chain((header..valid.len()).step_by(97));
    for place in places {
        let mut bytes = valid.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&altered, bytes).unwrap();
        assert!(
            Checkpoint::load(&altered).is_err(),
            "byte {place} of {}",
            valid.len()
        );
    }
    for length in (0..valid.len()).step_by(211) {
        std::fs::write(&altered, &valid[..length]).unwrap();
        assert!(
            Checkpoint::load(&altered).is_err(),
            "cut to {length} of {}",
            valid.len()
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
    save(&newer, &workshop.path("newer.safetensors"));
    workshop
        .run("other")
        .set("model.hidden", "[9]")
        .set("train.epochs", 3)
        .train();
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
        workshop
            .call(&[
                "resume", "straight", "--from", from, "--epochs", "20", "--extend", "hold",
            ])
            .assert_failed(4, words);
    }
}

#[test]
fn a_checkpoint_that_is_valid_and_cannot_be_used_stops_the_run_and_stays() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    let newest = checkpoints(&workshop, "r").pop().unwrap();
    let valid = Checkpoint::load(&newest).unwrap();
    let step = valid.document.progress.step;
    let place = |step: usize| workshop.path(&format!("r/checkpoints/step-{step:08}.safetensors"));
    let mut newer = Checkpoint::load(&newest).unwrap();
    newer.document.format = 2;
    newer.document.progress.step = step + 1;
    save(&newer, &place(step + 1));
    let mut foreign = Checkpoint::load(&newest).unwrap();
    foreign.document.config = foreign.document.config.replace("seed: 42", "seed: 99");
    foreign.document.progress.step = step + 2;
    let cases = [
        (&newer, step + 1, "its format is 2, but this signet reads 1"),
        (
            &foreign,
            step + 2,
            "belongs to another run: seed is 99 there, but 42 in r",
        ),
    ];
    for (checkpoint, step, words) in cases {
        save(checkpoint, &place(step));
        let bytes = std::fs::read(place(step)).unwrap();
        for from in [&[][..], &["--from", newest.to_str().unwrap()]] {
            workshop
                .call(&[&["resume", "r"], from].concat())
                .assert_failed(4, words);
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
    // One that may not be opened is not taken for an empty one.
    mode("r/checkpoints", 0o000);
    let said = String::from_utf8(visitor(&["eval", "r"]).unwrap().stderr).unwrap();
    mode("r/checkpoints", 0o755);
    assert!(
        said.contains("cannot list r/checkpoints: Permission denied"),
        "{said}"
    );
    assert_eq!(checkpoints(&workshop, "r"), before);
    assert!(!workshop.path("runs").exists());
    workshop.signet(&["resume", "r"]);
}

#[test]
fn files_of_others_beside_event_files_are_left_alone() {
    let workshop = demanding();
    workshop
        .run("r")
        .set("log.tensorboard", true)
        .arguments(&["--until", "3"])
        .train();
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
    workshop
        .call(&[
            "train",
            "own.yaml",
            "-s",
            "train.init_from=flipped.safetensors",
        ])
        .assert_failed(
            4,
            "flipped.safetensors: damaged: its checksum is not that of its bytes",
        );
}

#[test]
fn an_event_file_that_lost_its_end_keeps_whole_events() {
    let workshop = demanding();
    let events = ["-s", "log.tensorboard=true"];
    workshop
        .run("r")
        .arguments(&["--until", "5"])
        .arguments(&events)
        .train();
    let files = std::fs::read_dir(workshop.path("r/tensorboard")).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "signet"));
    let file = file.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let said = workshop.signet(&["resume", "r"]).stderr;
    assert!(said.contains("of the "), "{said}");
    // One frame after the other, each as long as it says: the version, and two for each epoch but the one that was lost.
    let bytes = std::fs::read(&file).unwrap();
    let (mut at, mut frames) = (0, 0);
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        at += 8 + 4 + length + 4;
        frames += 1;
    }
    assert_eq!((at, frames), (bytes.len(), 1 + 2 * 12 - 1));
}
