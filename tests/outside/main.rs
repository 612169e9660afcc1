//! Nothing outside the folder it works in is ever touched, whatever lies in a run that came from somebody else,
//! and no run is stuck by what lies there.

mod documents;
mod leftovers;
mod links;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use support::Workshop;

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
    workshop.run("r").arguments(&["--until", "2", "-q"]).train();
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

/// The name of the first trial of the study `st`.
fn first_trial(workshop: &Workshop) -> String {
    let study = workshop.json("st/study.json");
    study["trials"][0]["name"].as_str().unwrap().to_owned()
}
