//! What a killed process left, or somebody put, into a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::support::Workshop;
use crate::{contents, first_trial, workshop};

#[test]
fn what_a_killed_process_left_in_a_run_is_cleared_by_the_next_one() {
    let undisturbed = workshop();
    undisturbed.signet(&["resume", "r", "-q"]);
    let workshop = workshop();
    // An export into the run itself, killed: a folder with a lock that nobody holds; and halves of files.
    workshop.write("r/.unfinished-1-2-3/lock", "process 1");
    workshop.write("r/.unfinished-1-2-3/model.safetensors", "half");
    workshop.write("r/.unfinished-4", "half");
    workshop.write("r/checkpoints/.unfinished-5", "half");
    // A copy under a name that signet does not give, and something of somebody else's.
    let newest = workshop.json("r/last.json")["checkpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    let step: usize = newest["checkpoints/step-".len()..][..8].parse().unwrap();
    std::fs::copy(
        workshop.path("r").join(&newest),
        workshop.path(&format!("r/checkpoints/step-{step}.safetensors")),
    )
    .unwrap();
    workshop.write("r/notes/mine.txt", "not signet's");
    workshop.signet(&["resume", "r", "-q"]);
    assert_eq!(workshop.weights("r"), undisturbed.weights("r"));
    let left: Vec<PathBuf> = contents(&workshop.path("r")).into_keys().collect();
    assert!(
        !left
            .iter()
            .any(|path| path.display().to_string().contains(".unfinished-")),
        "{left:?}"
    );
    assert_eq!(workshop.text("r/notes/mine.txt"), "not signet's");
}

#[test]
fn what_killed_processes_left_where_one_works_is_cleared() {
    let workshop = workshop();
    let abandoned = [
        "r/export/.unfinished-1",
        "out/.unfinished-2",
        ".unfinished-3",
    ];
    for folder in abandoned {
        workshop.write(&format!("{folder}/lock"), "process 1");
        workshop.write(&format!("{folder}/model.pt"), "half");
    }
    // Somebody is at work there.
    workshop.write("out/.unfinished-4/lock", "");
    let held = std::fs::File::open(workshop.path("out/.unfinished-4/lock")).unwrap();
    held.lock().unwrap();
    workshop.signet(&["export", "r", "-q"]);
    workshop.signet(&["export", "r", "--out", "out", "-q"]);
    workshop.run("other").arguments(&["-q"]).train();
    for folder in abandoned {
        assert!(!workshop.path(folder).exists(), "{folder}");
    }
    assert!(workshop.path("out/.unfinished-4/lock").exists());
}

#[test]
fn a_complete_run_gets_what_a_kill_kept_from_it() {
    let workshop = workshop();
    workshop
        .run("r")
        .arguments(&["-q"])
        .set("export.on_finish", true)
        .resume();
    let whole = contents(&workshop.path("r"));
    // As a kill leaves it between the rename of the last checkpoint and its pruning, and between two renames of an export.
    let last = workshop.read("last.json".replace("last", "r/last").as_str());
    let newest = workshop.json("r/last.json")["checkpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    let older = workshop.path("r/checkpoints/step-00000001.safetensors");
    std::fs::copy(workshop.path("r").join(&newest), older).unwrap();
    workshop.write("r/last.json", "");
    std::fs::remove_file(workshop.path("r/best.json")).unwrap();
    std::fs::remove_file(workshop.path("r/export/model.json")).unwrap();
    workshop.signet(&["resume", "r", "-q"]);
    assert_eq!(workshop.read("r/last.json"), last);
    let now = contents(&workshop.path("r"));
    let names = |all: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
        let run = |path: &&PathBuf| !path.starts_with(workshop.path("r/tensorboard"));
        all.keys().filter(run).cloned().collect()
    };
    let relative = |all: Vec<PathBuf>| -> Vec<String> {
        all.iter()
            .map(|path| {
                path.strip_prefix(workshop.path("r"))
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect()
    };
    assert_eq!(relative(names(&now)), relative(names(&whole)));
}

#[test]
fn a_study_mends_the_pointers_that_a_power_cut_took_from_its_trials() {
    let workshop = workshop();
    let cv = [
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "st",
        "-s",
        "train.epochs=1",
        "-q",
    ];
    workshop.signet(&cv);
    let trial = first_trial(&workshop);
    let last = workshop.read(&format!("st/{trial}/last.json"));
    workshop.write(&format!("st/{trial}/last.json"), "");
    workshop.signet(&cv);
    assert_eq!(workshop.read(&format!("st/{trial}/last.json")), last);
}

#[test]
fn who_looks_at_a_run_does_not_stop_who_works_on_it() {
    let workshop = workshop();
    let lock = std::fs::File::open(workshop.path("r/lock")).unwrap();
    lock.lock_shared().unwrap();
    let looks = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        drop(lock);
    });
    workshop.signet(&["resume", "r", "-q"]);
    looks.join().unwrap();
}

#[test]
fn two_exports_at_once_keep_both_verdicts() {
    let workshop = Workshop::small(20);
    workshop.run("r").arguments(&["-q"]).train();
    let one = |format: &'static str| {
        workshop.start(&["export", "r", "--format", format, "--out", "out", "-q"])
    };
    let both = [one("torchscript"), one("safetensors")];
    for mut export in both {
        assert!(export.wait().unwrap().success());
    }
    let verdicts = workshop.json("out/parity.json");
    let known: Vec<&String> = verdicts.as_object().unwrap().keys().collect();
    assert_eq!(known, ["safetensors", "torchscript"]);
    assert!(!workshop.path("out").read_dir().unwrap().any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".unfinished-")
    }));
}

#[test]
fn what_is_called_as_a_checkpoint_and_is_none_is_passed_over() {
    let undisturbed = workshop();
    undisturbed.signet(&["resume", "r", "-q"]);
    let workshop = workshop();
    std::fs::create_dir(workshop.path("r/checkpoints/step-00000099.safetensors")).unwrap();
    // Weights of somebody else's, without a document of signet.
    let weights = workshop.read("r/export/model.safetensors");
    workshop.write("r/checkpoints/step-00000098.safetensors", weights);
    let answer = workshop.signet(&["resume", "r"]);
    let words = "step-00000098.safetensors: damaged: no checkpoint of signet";
    assert!(answer.stderr.contains(words), "{}", answer.stderr);
    assert_eq!(workshop.weights("r"), undisturbed.weights("r"));
}

#[test]
fn a_pipe_in_a_runs_place_for_a_file_keeps_nobody_waiting() {
    let names = [
        "lock",
        "last.json",
        "environment.json",
        "data.json",
        "export/parity.json",
        "train.log",
        "checkpoints/step-00000099.safetensors",
    ];
    for name in names {
        let workshop = workshop();
        let _ = std::fs::remove_file(workshop.path("r").join(name));
        let made = Command::new("mkfifo")
            .arg(workshop.path("r").join(name))
            .status();
        assert!(made.unwrap().success());
        for verb in [
            &["runs", "list", "."][..],
            &["eval", "r"],
            &["export", "r"],
            &["resume", "r"],
        ] {
            let answer = workshop.call(verb);
            assert_ne!(answer.code, 1, "{name}: {verb:?}: {}", answer.stderr);
        }
    }
}
