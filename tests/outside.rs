//! Nothing outside the folder it was asked to work in is ever touched, whatever lies in a run that came from somebody else,
//! and no run is stuck by what lies there.

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use support::{SMALL, Workshop};

const TINY: &str = "\
version: 1
name: tiny
threads: 1
device: cpu
data: {source: {kind: generated, pictures: 12}, image: {height: 16, width: 16}}
model: {kind: ann, hidden: [6]}
train: {epochs: 4, batch_size: 6}
log: {tensorboard: true}
export: {formats: [safetensors]}
";

/// What is forged in a document.
type Change = fn(&mut serde_json::Value);

/// Everything below a folder: what it is and what it holds, without following links.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        let held = match () {
            () if kind.is_dir() => {
                found.extend(contents(&path));
                Vec::new()
            }
            () if kind.is_file() => std::fs::read(&path).unwrap(),
            () if kind.is_fifo() => b"a pipe".to_vec(),
            () => std::fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes(),
        };
        found.insert(path, held);
    }
    found
}

/// A run of two of four epochs, exported, with a victim's folder beside it.
fn workshop() -> Workshop {
    static FIRST: OnceLock<Workshop> = OnceLock::new();
    let workshop = Workshop::new();
    let first = FIRST.get_or_init(make).path(".");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(first)
        .arg(workshop.path("."))
        .status();
    assert!(copied.unwrap().success());
    workshop
}

fn make() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", TINY);
    workshop.signet(&["train", "own.yaml", "--run", "r", "--until", "2", "-q"]);
    workshop.signet(&["export", "r", "-q"]);
    workshop.write("victim/file", "precious\n".repeat(50));
    workshop.write("victim/folder/step-00000001.safetensors", "precious");
    workshop.write("victim/folder/.unfinished-1", "precious");
    workshop.write("victim/folder/events.out.tfevents.1.signet", "precious");
    workshop
}

/// Changes the document of every checkpoint of a run, and makes its checksum right again.
fn forge(run: &Path, change: impl Fn(&mut serde_json::Value)) {
    for entry in std::fs::read_dir(run.join("checkpoints")).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let text = header["__metadata__"]["signet"].as_str().unwrap();
        let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
        change(&mut document);
        header["__metadata__"]["signet"] = document.to_string().into();
        header["__metadata__"]["sha256"] = "0".repeat(64).into();
        let mut header = header.to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut forged = (header.len() as u64).to_le_bytes().to_vec();
        forged.extend(&header);
        forged.extend(&bytes[8 + length..]);
        let key = b"\"sha256\":\"";
        let at = forged
            .windows(key.len())
            .position(|found| found == key)
            .unwrap()
            + key.len();
        let sum: String = Sha256::digest(&forged)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        forged[at..at + 64].copy_from_slice(sum.as_bytes());
        std::fs::write(&file, forged).unwrap();
    }
}

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
    // Each name with one kind of lead and two verbs, so that all meet; or each with each (scripts/test --long).
    let all = std::env::var_os("SIGNET_LONG").is_some();
    for (index, name) in names.iter().enumerate() {
        let pairs = leads.iter().enumerate().flat_map(|(lead, to)| {
            let verbs = verbs.iter().enumerate();
            verbs.map(move |(verb, words)| (lead, to, verb, words))
        });
        for (at, lead, verb, words) in pairs {
            let chosen = at == index % leads.len()
                && [index % verbs.len(), (index + 3) % verbs.len()].contains(&verb);
            if !all && !chosen {
                continue;
            }
            let verb = *words;
            let workshop = workshop();
            let place = workshop.path("r").join(name);
            let _ = std::fs::remove_file(&place);
            let _ = std::fs::remove_dir_all(&place);
            let target = match lead.strip_prefix("victim/") {
                Some(_) => workshop.path(lead),
                None => PathBuf::from(lead),
            };
            symlink(target, &place).unwrap();
            let before = contents(&workshop.path("victim"));
            let answer = workshop.call(verb);
            assert_eq!(
                contents(&workshop.path("victim")),
                before,
                "{} -> {lead}: {verb:?}: {} {}",
                name.display(),
                answer.code,
                answer.stderr
            );
            assert_ne!(
                answer.code,
                1,
                "{} -> {lead}: {verb:?}: {}",
                name.display(),
                answer.stderr
            );
            assert!(answer.stderr.lines().count() < 4, "{}", answer.stderr);
        }
    }
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
    workshop.signet(&["train", "own.yaml", "--run", "shared/mine", "-q"]);
    assert_eq!(contents(&workshop.path("victim")), before);
}

#[test]
fn logs_that_a_sealed_checkpoint_names_are_only_those_that_signet_writes() {
    for resume in [
        &["resume", "r", "-q"][..],
        &[
            "resume",
            "r",
            "--as",
            "b",
            "-s",
            "train.optimizer.lr=0.01",
            "-q",
        ],
    ] {
        let workshop = workshop();
        let victim = workshop.path("victim/file").display().to_string();
        for (name, length) in [
            (victim.as_str(), 5u64),
            ("../victim/file", 0),
            ("../victim/file", 1u64 << 40),
        ] {
            forge(&workshop.path("r"), |document| {
                document["logs"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|log, _| !log.contains("victim"));
                document["logs"][name] = length.into();
            });
            let before = contents(&workshop.path("victim"));
            let answer = workshop.call(resume);
            assert_eq!(answer.code, 4, "{}", answer.stderr);
            assert!(
                answer.stderr.contains("which signet does not write"),
                "{}",
                answer.stderr
            );
            assert_eq!(contents(&workshop.path("victim")), before);
        }
    }
}

#[test]
fn trials_of_a_study_lie_in_the_study() {
    let workshop = workshop();
    workshop.signet(&[
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "st",
        "-s",
        "train.epochs=1",
        "-q",
    ]);
    workshop.signet(&[
        "train",
        "own.yaml",
        "--run",
        "other",
        "-s",
        "checkpoint.keep_last=9",
        "-q",
    ]);
    let study = workshop.text("st/study.json");
    let before = contents(&workshop.path("other"));
    let trial = workshop.json("st/study.json")["trials"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    workshop.write(
        "st/study.json",
        study.replace(&format!("\"{trial}\""), "\"../other\""),
    );
    let gc = ["runs", "gc", "st", "--keep-last", "1", "--yes"];
    let answer = workshop.call(&gc);
    assert!(
        answer
            .stderr
            .contains("which is no folder of its own there"),
        "{}",
        answer.stderr
    );
    assert_eq!(contents(&workshop.path("other")), before);
    // The same by a link.
    workshop.write("st/study.json", study);
    std::fs::remove_dir_all(workshop.path("st").join(&trial)).unwrap();
    symlink(workshop.path("other"), workshop.path("st").join(&trial)).unwrap();
    workshop.call(&gc);
    workshop.call(&[
        "cv",
        "own.yaml",
        "--holdout",
        "2",
        "--run",
        "st",
        "-s",
        "train.epochs=1",
        "-q",
    ]);
    assert_eq!(contents(&workshop.path("other")), before);
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
    symlink(workshop.path("victim/file"), workshop.path("figures.json")).unwrap();
    let before = contents(&workshop.path("victim"));
    let answer = workshop.call(&["eval", "r", "--json", "figures.json"]);
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("it is a link; name the file itself"),
        "{}",
        answer.stderr
    );
    assert_eq!(contents(&workshop.path("victim")), before);
    let device = workshop.signet(&["eval", "r", "--json", "/dev/stdout"]);
    assert!(device.stdout.contains("\"accuracy\""), "{}", device.stdout);
}

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
fn a_complete_run_gets_what_a_kill_kept_from_it() {
    let workshop = workshop();
    workshop.signet(&["resume", "r", "-q", "-s", "export.on_finish=true"]);
    let whole = contents(&workshop.path("r"));
    // As a kill leaves it between the rename of the last checkpoint and its pruning, and between two renames of an export.
    let last = workshop.read("last.json".replace("last", "r/last").as_str());
    let newest = workshop.json("r/last.json")["checkpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    forge_older(&workshop, &newest);
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

/// Puts a checkpoint of an earlier step beside `newest`, as one that should have been removed.
fn forge_older(workshop: &Workshop, newest: &str) {
    let run = workshop.path("r");
    let copy = run.join("checkpoints/step-00000001.safetensors");
    std::fs::copy(run.join(newest), copy).unwrap();
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
    let trial = workshop.json("st/study.json")["trials"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
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
    let workshop = Workshop::with_folders(20);
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["train", "own.yaml", "--run", "r", "-q"]);
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
fn one_odd_run_is_a_row_with_its_reason() {
    let workshop = workshop();
    let odd: [(&str, Change); 4] = [
        ("epoch", |document| document["progress"]["epoch"] = 0.into()),
        ("step", |document| {
            document["progress"]["step"] = (1u64 << 60).into()
        }),
        ("mean", |document| {
            document["normalization"]["mean"] = serde_json::json!([])
        }),
        ("classes", |document| {
            document["classes"] = serde_json::json!([])
        }),
    ];
    for (name, change) in odd {
        let copied = Command::new("cp")
            .args(["-r", "r", name])
            .current_dir(workshop.path(""))
            .status();
        assert!(copied.unwrap().success());
        forge(&workshop.path(name), change);
        let answer = workshop.call(&["eval", name]);
        assert_eq!(answer.code, 4, "{name}: {}", answer.stderr);
        assert_eq!(
            answer.stderr.lines().count(),
            1,
            "{name}: {}",
            answer.stderr
        );
    }
    let listed = workshop.signet(&["runs", "list", "."]).stdout;
    for name in ["./r", "./epoch", "./step", "./mean", "./classes"] {
        assert!(
            listed
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name)),
            "{name}: {listed}"
        );
    }
    assert_eq!(listed.matches("damaged").count(), 4, "{listed}");
}
