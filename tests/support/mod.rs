//! A folder to work in, a signet to call, and images to call it on.
#![allow(dead_code)] // each file of tests uses its own share

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use signet::disk::Folder;
use signet::run::checkpoint::Checkpoint;
use tempfile::TempDir;

/// What a call of signet left behind.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A temporary folder that is the current directory of every call.
pub struct Workshop(TempDir);

impl Workshop {
    pub fn new() -> Workshop {
        Workshop(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text files are UTF-8")
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The names in the workshop, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Calls signet and returns whatever it answered.
    pub fn call(&self, arguments: &[&str]) -> Answer {
        self.call_with("", &[], arguments)
    }

    /// Calls signet in a folder of the workshop.
    pub fn call_in(&self, folder: &str, arguments: &[&str]) -> Answer {
        self.call_with(folder, &[], arguments)
    }

    /// Calls signet with environment variables.
    pub fn call_under(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
        self.call_with("", variables, arguments)
    }

    fn call_with(&self, folder: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
        let output = Command::new(env!("CARGO_BIN_EXE_signet"))
            .current_dir(self.path(folder))
            .envs(variables.iter().copied())
            .args(arguments)
            .output()
            .expect("the binary was built beside this test");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("signet prints UTF-8");
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Starts signet and does not wait for it; what it says is thrown away.
    pub fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_signet"))
            .current_dir(self.0.path())
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary was built beside this test")
    }

    /// A JSON file.
    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The digest of the newest weights of a run.
    pub fn weights(&self, run: &str) -> String {
        let pointer = self.json(&format!("{run}/last.json"));
        pointer["weights_sha256"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }

    /// Calls signet, which must succeed.
    pub fn signet(&self, arguments: &[&str]) -> Answer {
        let answer = self.call(arguments);
        assert_eq!(
            answer.code,
            0,
            "signet {}: {}",
            arguments.join(" "),
            answer.stderr
        );
        answer
    }

    /// Two classes of small generated images in folders: `data/0/0000.png` and so on.
    pub fn with_folders(images: usize) -> Workshop {
        let workshop = Workshop::new();
        let images = images.to_string();
        workshop.signet(&[
            "data", "generate", "data", "--images", &images, "--side", "24",
        ]);
        workshop
    }
}

/// A small, quick experiment on the images of [`Workshop::with_folders`].
pub const SMALL: &str = "\
version: 1
name: small
threads: 1
data:
  source: {kind: class_folders, root: data}
  image: {height: 16, width: 16}
  split: {kind: stratified, train: 0.6, val: 0.2, test: 0.2}
model: {kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true, dropout: 0.2}
train: {epochs: 3, batch_size: 8}
";

/// Writes a checkpoint where a test wants it.
pub fn save(checkpoint: &Checkpoint, file: &Path) {
    let (folder, name) = Folder::above(file).unwrap();
    checkpoint.save(&folder, name).unwrap();
}

/// A JPEG of 24 x 24 pixels of noise by Pillow, which no truncation can hide in.
pub fn jpeg() -> Vec<u8> {
    include_bytes!("noise.jpg").to_vec()
}
