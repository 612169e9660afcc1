//! A link in a run, or beside one, leads nobody out of it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{contents, workshop};

#[test]
fn no_verb_follows_a_link_out_of_a_run() {
    let first = workshop();
    let run = first.path("r");
    let mut names: Vec<PathBuf> = contents(&run)
        .into_keys()
        .map(|path| path.strip_prefix(&run).unwrap().to_owned())
        .collect();
    // Names that signet makes on its way.
    names.extend(["test.json", ".unfinished-0", "tensorboard/more"].map(PathBuf::from));
    assert!(names.len() > 18, "{names:?}");
    let verbs: [&[&str]; 7] = [
        &["resume", "r", "-q"],
        &["export", "r", "-q", "--format", "torchscript,safetensors"],
        &["eval", "r", "-q"],
        &["runs", "list", "-q", "."],
        &["runs", "gc", "r", "--yes"],
        &[
            "resume",
            "r",
            "--as",
            "branch",
            "-s",
            "train.optimizer.lr=0.01",
            "-q",
        ],
        &["train", "own.yaml", "--run", "r", "--resume", "-q"],
    ];
    let leads = ["victim/file", "victim/folder", "victim/none", "/dev/null"];
    let mut cases = Vec::new();
    for name in &names {
        for lead in leads {
            cases.extend(verbs.map(|verb| (name, lead, verb)));
        }
    }
    assert!(cases.len() > 500, "{}", cases.len());
    let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    std::thread::scope(|scope| {
        for worker in 0..at_once {
            let own = cases.iter().skip(worker).step_by(at_once);
            scope.spawn(move || own.for_each(|(name, lead, verb)| stays(name, lead, verb)));
        }
    });
}

/// `verb` on a run in which `name` is a link to `lead` leaves the victim as it is, and says what is wrong in a line or three.
fn stays(name: &Path, lead: &str, verb: &[&str]) {
    let workshop = workshop();
    let place = workshop.path("r").join(name);
    let _ = std::fs::remove_file(&place);
    let _ = std::fs::remove_dir_all(&place);
    let target = if lead.starts_with("victim/") {
        workshop.path(lead)
    } else {
        PathBuf::from(lead)
    };
    symlink(target, &place).unwrap();
    let before = contents(&workshop.path("victim"));
    let answer = workshop.call(verb);
    let case = format!("{} -> {lead}: {verb:?}: {}", name.display(), answer.stderr);
    assert_eq!(contents(&workshop.path("victim")), before, "{case}");
    assert_ne!(answer.code, 1, "{case}");
    assert!(answer.stderr.lines().count() < 4, "{case}");
}

#[test]
fn a_link_planted_beside_a_new_run_empties_no_file() {
    let workshop = workshop();
    std::fs::create_dir_all(workshop.path("shared/.unfinished-x")).unwrap();
    symlink(
        workshop.path("victim/file"),
        workshop.path("shared/.unfinished-x/lock"),
    )
    .unwrap();
    symlink(
        workshop.path("victim/folder"),
        workshop.path("shared/.unfinished-y"),
    )
    .unwrap();
    let before = contents(&workshop.path("victim"));
    workshop.run("shared/mine").arguments(&["-q"]).train();
    assert_eq!(contents(&workshop.path("victim")), before);
}

#[test]
fn a_log_that_has_another_name_elsewhere_is_copied_before_it_grows() {
    let workshop = workshop();
    let kept = workshop.read("r/metrics.jsonl");
    std::fs::hard_link(
        workshop.path("r/metrics.jsonl"),
        workshop.path("backup.jsonl"),
    )
    .unwrap();
    workshop.signet(&["resume", "r", "-q"]);
    assert_eq!(workshop.read("backup.jsonl"), kept);
    assert_eq!(workshop.text("r/metrics.jsonl").lines().count(), 4);
}

#[test]
fn a_file_named_for_figures_is_replaced_and_no_link_followed() {
    let workshop = workshop();
    symlink(workshop.path("victim/file"), workshop.path("metrics.json")).unwrap();
    let before = contents(&workshop.path("victim"));
    workshop
        .call(&["eval", "r", "--json", "metrics.json"])
        .assert_failed(4, "it is a link; name the file itself");
    assert_eq!(contents(&workshop.path("victim")), before);
    let device = workshop.signet(&["eval", "r", "--json", "/dev/stdout"]);
    assert!(device.stdout.contains("\"accuracy\""), "{}", device.stdout);
}

#[test]
fn a_lock_that_has_another_name_elsewhere_locks_and_keeps_its_words() {
    let workshop = workshop();
    workshop.write("r/lock", "kept");
    std::fs::hard_link(workshop.path("r/lock"), workshop.path("backup")).unwrap();
    let held = std::fs::File::open(workshop.path("backup")).unwrap();
    held.lock().unwrap();
    workshop
        .call(&["resume", "r", "-q"])
        .assert_failed(4, "r is in use by kept");
    drop(held);
    workshop.signet(&["resume", "r", "-q"]);
    assert_eq!(workshop.text("backup"), "kept");
}
