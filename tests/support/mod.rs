//! A folder to work in, a signet to call, and images to call it on.
#![allow(dead_code)] // each file of tests uses its own share

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use signet::disk::Folder;
use signet::run::checkpoint::Checkpoint;
use tempfile::TempDir;

/// What a call of signet left behind.
pub struct Answer {
    /// The arguments of the call.
    pub call: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    fn of(arguments: &[&str], output: Output) -> Answer {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("signet prints UTF-8");
        Answer {
            call: arguments.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The call failed with this exit code, and these words are part of what it said.
    #[track_caller]
    pub fn assert_failed(&self, code: i32, words: &str) {
        let Answer { call, stderr, .. } = self;
        assert_eq!(self.code, code, "signet {call}: {stderr}");
        assert!(
            stderr.contains(words),
            "signet {call} does not say {words:?}: {stderr}"
        );
    }
}

/// An experiment that leaves device and threads to this machine.
pub const AUTOMATIC: &str = "version: 1\nname: auto\ndata: {source: {kind: generated, pictures: 20}}\n\
                         model: {kind: ann}\ntrain: {epochs: 1, batch_size: 8}\nexport: {on_finish: true}\n";

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
        Answer::of(arguments, output)
    }

    /// Lets only some do something with a file or folder: its mode, such as 0o755.
    pub fn permit(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), permissions).unwrap();
    }

    /// Calls signet as somebody whom permissions bind: root, whom they do not, becomes another user. None, with a note, where
    /// that user cannot reach the binary under test.
    pub fn call_under_permissions(&self, arguments: &[&str]) -> Option<Answer> {
        let probe = self.path("probe");
        std::fs::write(&probe, "").unwrap();
        self.permit("probe", 0o000);
        let root = std::fs::File::open(&probe).is_ok();
        std::fs::remove_file(&probe).unwrap();
        let call = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
            command.current_dir(self.0.path()).args(arguments);
            if root {
                command.uid(65534).gid(65534);
            }
            command.output()
        };
        if !call(&["--version"]).is_ok_and(|output| output.status.success()) {
            println!("left out: we are root, and another user cannot reach the binary under test");
            return None;
        }
        Some(Answer::of(arguments, call(arguments).unwrap()))
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

    /// Starts signet, does not wait for it, and keeps what it says.
    pub fn start_heard(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_signet"))
            .current_dir(self.0.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built beside this test")
    }

    /// Calls signet several times at the same moment and returns what each call answered.
    pub fn at_once(&self, calls: &[Vec<&str>]) -> Vec<Answer> {
        let started: Vec<Child> = calls.iter().map(|call| self.start_heard(call)).collect();
        let answer = |(call, child): (&Vec<&str>, Child)| {
            Answer::of(call, child.wait_with_output().expect("it has ended"))
        };
        calls.iter().zip(started).map(answer).collect()
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

    /// The same with [`SMALL`] as `own.yaml`.
    pub fn small(images: usize) -> Workshop {
        let workshop = Workshop::with_folders(images);
        workshop.write("own.yaml", SMALL);
        workshop
    }

    /// A run of `own.yaml`, named and not yet begun.
    pub fn run(&self, name: &str) -> Run<'_> {
        Run {
            workshop: self,
            name: name.to_owned(),
            arguments: Vec::new(),
        }
    }
}

/// What is to be said about a run to `signet train` or `signet resume`:
/// `workshop.run("r").set("train.epochs", 2).train()`.
pub struct Run<'a> {
    workshop: &'a Workshop,
    name: String,
    arguments: Vec<String>,
}

impl Run<'_> {
    /// Overrides a key of the experiment.
    pub fn set(self, key: &str, value: impl std::fmt::Display) -> Self {
        self.arguments(&["-s", &format!("{key}={value}")])
    }

    pub fn arguments(mut self, more: &[&str]) -> Self {
        self.arguments
            .extend(more.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Trains `own.yaml`, which must succeed.
    pub fn train(self) -> Answer {
        self.workshop
            .signet(&self.call(&["train", "own.yaml", "--run"]))
    }

    /// Trains `own.yaml`, whatever comes of it.
    pub fn call_to_its_end(self) -> Answer {
        self.workshop
            .call(&self.call(&["train", "own.yaml", "--run"]))
    }

    /// Begins to train `own.yaml` and does not wait for it.
    pub fn start(self) -> Child {
        self.workshop
            .start(&self.call(&["train", "own.yaml", "--run"]))
    }

    /// Resumes the run, which must succeed.
    pub fn resume(self) -> Answer {
        self.workshop.signet(&self.call(&["resume"]))
    }

    fn call<'b>(&'b self, command: &[&'b str]) -> Vec<&'b str> {
        let arguments = self.arguments.iter().map(String::as_str);
        let named = command.iter().copied().chain([self.name.as_str()]);
        named.chain(arguments).collect()
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
