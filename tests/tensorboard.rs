//! Promises about `log.tensorboard`: it changes no bit of a training, and a run that was interrupted has the events of one that
//! was not. What TensorBoard itself reads of them is tested in `tests/interop/events.py`.

mod support;

use std::path::Path;
use std::rc::Rc;

use signet::config::Experiment;
use signet::config::document::Document;
use signet::disk::Folder;
use signet::distributed::Ranks;
use signet::model::plan::check;
use signet::report::tensorboard::TensorBoard;
use signet::run::directory::RunDir;
use signet::run::session::Session;
use signet::train::progress::Progress;
use signet::train::trainer::Ended;
use signet::train::trainer::Pause;
use support::Workshop;

/// Augmented and mixed, with dropout and clipping; checkpoints in mid-epoch, and a short last batch.
const OWN: &str = "\
version: 1
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 20}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}, {kind: noise}, {kind: mixup}]
model: {kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true, dropout: 0.3}
train: {epochs: 6, batch_size: 6, clip_grad_norm: 1.0}
checkpoint: {every: 3 steps, keep_last: 99}
log: {tensorboard: true}
";

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("own.yaml", OWN);
    workshop
}

/// The events in the log of epochs of `run`, each without its time: eight bytes behind the number of that field.
fn events(run: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(run.join("tensorboard")).unwrap();
    let logs: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "signet"))
        .collect();
    let [log] = &logs[..] else {
        panic!("not one log: {logs:?}");
    };
    let bytes = std::fs::read(log).unwrap();
    let (mut at, mut events) = (0, Vec::new());
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let event = &bytes[at + 12..at + 12 + length];
        assert_eq!(event[0], 9, "the time comes first");
        events.push(event[9..].to_vec());
        at += 12 + length + 4;
    }
    events
}

#[test]
fn a_training_has_the_same_bits_with_and_without_event_files() {
    let workshop = workshop();
    for (shards, accumulate) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        let [on, off] = [true, false].map(|log| {
            let run = format!("r-{shards}-{accumulate}-{log}");
            let set = workshop.run(&run).set("train.shards", shards);
            let set = set.set("train.accumulate", accumulate);
            // Five images in the last batch, so that batch_norm has two in each of its shards.
            set.set("train.batch_size", 7)
                .set("log.tensorboard", log)
                .train();
            assert_eq!(workshop.path(&run).join("tensorboard").exists(), log);
            let metrics = workshop.text(&format!("{run}/metrics.jsonl"));
            (workshop.weights(&run), metrics)
        });
        assert_eq!(on, off, "{shards} shards, {accumulate} batches");
    }
}

#[test]
fn a_run_that_goes_on_has_the_events_of_one_that_was_never_interrupted() {
    let workshop = workshop();
    workshop.run("straight").train();
    let straight = events(&workshop.path("straight"));
    assert_eq!(straight.len(), 1 + 2 * 6, "a version, and two an epoch");

    workshop.run("paused").arguments(&["--until", "2"]).train();
    workshop.signet(&["resume", "paused", "--until", "5"]);
    workshop.signet(&["resume", "paused"]);
    assert_eq!(events(&workshop.path("paused")), straight, "paused");

    // From before the first step and from mid-epoch, with events behind.
    for step in [0, 3, 12] {
        let run = format!("again-{step}");
        workshop.run(&run).train();
        let from = format!("step-{step:08}.safetensors");
        workshop.signet(&["resume", &run, "--from", &from]);
        assert_eq!(events(&workshop.path(&run)), straight, "from step {step}");
    }

    let from = "step-00000009.safetensors";
    workshop.signet(&["resume", "straight", "--from", from, "--as", "branch"]);
    assert_eq!(events(&workshop.path("branch")), straight, "a branch");

    // Half an event that a killed process left, and whole ones that no checkpoint counts.
    workshop.run("killed").arguments(&["--until", "3"]).train();
    let files = std::fs::read_dir(workshop.path("killed/tensorboard")).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    let log = files.find(|path| path.extension().is_some_and(|end| end == "signet"));
    let log = log.unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_within(40..bytes.len() - 7);
    std::fs::write(&log, bytes).unwrap();
    workshop.signet(&["resume", "killed"]);
    assert_eq!(events(&workshop.path("killed")), straight, "killed");

    // A log that is gone begins anew, with a header.
    workshop.run("lost").arguments(&["--until", "3"]).train();
    std::fs::remove_dir_all(workshop.path("lost/tensorboard")).unwrap();
    workshop.signet(&["resume", "lost"]);
    let rest = [&straight[..1], &straight[7..]].concat();
    assert_eq!(events(&workshop.path("lost")), rest, "lost");

    // One that was emptied, too.
    workshop.run("empty").arguments(&["--until", "3"]).train();
    let files = std::fs::read_dir(workshop.path("empty/tensorboard")).unwrap();
    files.for_each(|entry| std::fs::write(entry.unwrap().path(), "").unwrap());
    workshop.signet(&["resume", "empty"]);
    assert_eq!(events(&workshop.path("empty")), rest, "empty");
}

/// A signal may come after the last step of an epoch and before it is evaluated: the launch that goes on evaluates, and has
/// no gradients of its own.
#[test]
fn a_pause_behind_the_last_step_of_an_epoch_loses_no_gradients() {
    let open = || {
        let document = Document::parse("own".into(), OWN.into(), &[]).unwrap();
        let experiment = Experiment::from_document(&document, Path::new("own.yaml"), &[check]);
        Session::open(experiment.unwrap(), Rc::new(Ranks::alone())).unwrap()
    };
    let behind_last_step = |progress: &Progress| (progress.epoch, progress.images) == (2, 28);
    let train = |interrupted: bool| {
        let scratch = tempfile::tempdir().unwrap();
        let folder = RunDir::at(Folder::open(scratch.path()).unwrap());
        let session = open();
        assert_eq!(session.split.train.len(), 28);
        let trainer = session.trainer();
        let mut state = trainer.begin();
        let mut launch = |pause: &dyn Fn(&Progress) -> bool| {
            let board = TensorBoard::open(&session, &folder, &state.progress);
            let mut board = board.unwrap().unwrap();
            let ended = trainer
                .run(&mut state, &mut [&mut board], &Pause::when(pause))
                .unwrap();
            state = trainer.restore(&state.snapshot().unwrap()).unwrap();
            ended
        };
        if interrupted {
            assert_eq!(launch(&behind_last_step), Ended::Paused(None));
        }
        assert_eq!(launch(&|_| false), Ended::Complete);
        events(scratch.path())
    };
    let straight = train(false);
    assert_eq!(straight.len(), 1 + 2 * 6);
    assert_eq!(train(true), straight);
}
