//! Promises about images that stay on the disk: wherever they are, a run has the same bits, and a cache is never trusted blindly.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use support::{Answer, Workshop};

/// 40 images, and everything that is chance is on.
const OWN: &str = "\
version: 1
name: streamed
threads: 1
data:
  source: {kind: class_folders, root: data}
  image: {height: 16, width: 16, channels: rgb}
  augment: [{kind: shift, max_px: 2}, {kind: noise}, {kind: mixup}]
  split: {kind: stratified, train: 0.6, val: 0.2, test: 0.2}
model: {kind: cnn, blocks: [{filters: 4}], hidden: [8], batch_norm: true, dropout: 0.2}
train: {epochs: 3, batch_size: 8, accumulate: 2, shards: 2}
checkpoint: {every: 1 step, keep_last: 1000}
export: {on_finish: false}
";

fn workshop() -> Workshop {
    let workshop = Workshop::with_folders(20);
    workshop.write("own.yaml", OWN);
    workshop
}

/// Trains with `residency` and `cache`; what it says, with all details.
fn train(workshop: &Workshop, run: &str, residency: &str, cache: &str) -> Answer {
    let run = workshop.run(run).set("data.residency", residency);
    run.set("data.cache", cache)
        .arguments(&["--verbose"])
        .train()
}

fn assert_equal(workshop: &Workshop, run: &str, other: &str) {
    for file in [
        "metrics.jsonl",
        "samples.jsonl",
        "last.json",
        "best.json",
        "split.json",
        "data.json",
    ] {
        let of = |run: &str| workshop.text(&format!("{run}/{file}"));
        assert_eq!(of(run), of(other), "{run} and {other}: {file}");
    }
}

/// The packs in a folder of the workshop.
fn packs(workshop: &Workshop, folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workshop.path(folder)).unwrap();
    let mut packs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    packs.retain(|path| path.extension().is_some_and(|end| end == "pixels"));
    packs.sort();
    packs
}

const TAKEN: &str = "prepared images are taken from ";

#[test]
fn every_residency_gives_the_same_bits_with_and_without_a_cache() {
    let workshop = workshop();
    train(&workshop, "memory", "memory", "none");
    let cases = [
        ("auto", "auto", "none", false),
        ("stream", "stream", "none", false),
        ("first", "stream", "cache", false),
        ("second", "stream", "cache", true),
        ("from-cache", "memory", "cache", true),
    ];
    for (run, residency, cache, taken) in cases {
        let said = train(&workshop, run, residency, cache).stderr;
        assert_eq!(said.contains(TAKEN), taken, "{run}: {said}");
        assert_equal(&workshop, run, "memory");
        for part in ["val", "all"] {
            let eval = |run: &str| workshop.signet(&["eval", run, "--part", part]).stdout;
            assert_eq!(eval(run), eval("memory"), "{run}");
        }
        workshop.signet(&["resume", run, "--prove"]);
    }
    assert_eq!(packs(&workshop, "cache").len(), 1);
    // The whole of it works on images that are streamed.
    let stream = ["-s", "data.residency=stream", "-s", "data.cache=cache"];
    for call in [
        &["data", "info", "own.yaml"][..],
        &["data", "check", "own.yaml"],
    ] {
        let said = |more: &[&str]| {
            let said = workshop.signet(&[call, more].concat()).stdout;
            let lines = said.lines();
            let lines =
                lines.filter(|line| !line.contains(TAKEN) && !line.starts_with("residency"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(said(&stream), said(&[]), "{call:?}");
    }
    for out in ["one", "other"] {
        let more = if out == "one" { &[][..] } else { &stream };
        workshop.signet(&[&["data", "npy", "own.yaml", out], more].concat());
    }
    assert_eq!(workshop.read("one/X.npy"), workshop.read("other/X.npy"));
    workshop.signet(&["export", "second", "--format", "torchscript,safetensors"]);
    workshop.signet(&["verify", "second/export/model.pt", "--against", "second"]);
}

#[test]
fn a_run_that_is_killed_while_it_streams_goes_on_with_the_same_bits_wherever_its_images_are_then() {
    let workshop = workshop();
    train(&workshop, "straight", "memory", "none");
    for (name, cache, killed, then) in [
        ("in-first", "none", 2, "stream"),
        ("cached", "cache", 3, "stream"),
        ("to-memory", "none", 5, "memory"),
        ("from-memory", "cache", 4, "memory"),
    ] {
        train(&workshop, name, "stream", cache);
        // Two steps an epoch; the start and six steps.
        for step in killed + 1..=6 {
            let file = format!("{name}/checkpoints/step-{step:08}.safetensors");
            std::fs::remove_file(workshop.path(&file)).unwrap();
        }
        let residency = format!("data.residency={then}");
        workshop.signet(&["resume", name, "-s", &residency]);
        assert_equal(&workshop, name, "straight");
    }
}

#[test]
fn a_process_that_is_killed_at_any_moment_leaves_a_cache_that_gives_the_same_bits() {
    let workshop = workshop();
    train(&workshop, "straight", "memory", "none");
    let mut finished = 0;
    for attempt in 0..25 {
        let name = format!("killed-{attempt}");
        let cache = format!("cache-{}", attempt % 5);
        let run = workshop.run(&name).set("data.residency", "stream");
        let mut child = run.set("data.cache", &cache).start();
        std::thread::sleep(Duration::from_millis(100 + 25 * attempt));
        child.kill().unwrap();
        child.wait().unwrap();
        if workshop.path(&name).join("last.json").exists() {
            workshop.signet(&["resume", &name]);
            assert_equal(&workshop, &name, "straight");
            finished += 1;
        }
    }
    assert!(finished > 3, "{finished} of 25 had begun to train");
    for cache in 0..5 {
        let cache = format!("cache-{cache}");
        let name = format!("after-{cache}");
        train(&workshop, &name, "stream", &cache);
        assert_equal(&workshop, &name, "straight");
    }
}

#[test]
fn two_processes_that_make_the_same_cache_both_train_to_the_same_bits() {
    let workshop = workshop();
    train(&workshop, "straight", "memory", "none");
    let begin = |name: &str| {
        let run = workshop.run(name).set("data.residency", "stream");
        run.set("data.cache", "cache").start()
    };
    let children = ["a", "b", "c"].map(|name| (name, begin(name)));
    for (name, mut child) in children {
        assert!(child.wait().unwrap().success());
        assert_equal(&workshop, name, "straight");
    }
    assert_eq!(packs(&workshop, "cache").len(), 1);
}

#[test]
fn a_cache_is_of_its_files_and_its_preprocessing_and_copies_what_did_not_change() {
    let workshop = workshop();
    train(&workshop, "first", "stream", "cache");
    let said = workshop
        .run("other")
        .set("data.residency", "stream")
        .set("data.cache", "cache");
    let said = said
        .set("data.image.fit", "crop")
        .arguments(&["--verbose"])
        .train()
        .stderr;
    assert!(!said.contains(TAKEN), "another preprocessing: {said}");
    assert_eq!(packs(&workshop, "cache").len(), 2);
    // One file changes: another pack, and other bits.
    workshop.write("data/0/0003.png", workshop.read("data/1/0003.png"));
    let said = train(&workshop, "changed", "stream", "cache").stderr;
    assert!(!said.contains(TAKEN), "{said}");
    train(&workshop, "plain", "memory", "none");
    assert_equal(&workshop, "changed", "plain");
    assert_ne!(
        workshop.text("changed/data.json"),
        workshop.text("first/data.json")
    );
}

#[test]
fn a_damaged_cache_is_noticed_and_changes_no_bit() {
    let workshop = workshop();
    train(&workshop, "straight", "stream", "cache");
    let [pack] = &packs(&workshop, "cache")[..] else {
        panic!("not one pack");
    };
    let whole = std::fs::read(pack).unwrap();
    let pixels = 40 * 3 * 16 * 16;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let every_image = (0..pixels).map(|at| whole[at] ^ u8::from(at % 768 == 5));
    let every_image = [&every_image.collect::<Vec<_>>(), &whole[pixels..]].concat();
    let cases = [
        (
            "pixels",
            every_image,
            "is damaged, so images are decoded again; remove ",
        ),
        (
            "record",
            flipped(pixels + 200),
            "is damaged, and is made anew",
        ),
        (
            "json",
            flipped(whole.len() - 60),
            "is damaged, and is made anew",
        ),
        (
            "length",
            flipped(whole.len() - 16),
            "is damaged, and is made anew",
        ),
        (
            "magic",
            flipped(whole.len() - 3),
            "is damaged, and is made anew",
        ),
        (
            "cut",
            whole[..whole.len() - 100].to_vec(),
            "is damaged, and is made anew",
        ),
        ("empty", Vec::new(), "is damaged, and is made anew"),
    ];
    for (name, bytes, words) in cases {
        std::fs::write(pack, bytes).unwrap();
        let said = train(&workshop, name, "stream", "cache").stderr;
        assert!(said.contains(words), "{name}: {said}");
        assert_equal(&workshop, name, "straight");
        if name != "pixels" {
            assert_eq!(std::fs::read(pack).unwrap(), whole, "{name}: made anew");
        }
    }
}

#[test]
fn a_damaged_place_and_a_file_that_is_gone_shift_no_other_image() {
    let workshop = workshop();
    let skip = [
        "-s",
        "data.on_bad_image=skip",
        "-s",
        "data.split={kind: stratified, train: 0.6, val: 0.2, test: 0.2}",
    ];
    let mut table = "path,label\nnowhere.png,0\n".to_owned();
    for image in 0..40 {
        table += &format!("data/{}/{:04}.png,{}\n", image / 20, image % 20, image / 20);
    }
    workshop.write("t.csv", table);
    let source = ["-s", "data.source={kind: table, file: t.csv}"];
    let npy = |out: &str, more: &[&str]| {
        let said = workshop
            .signet(&[&["data", "npy", "own.yaml", out], &source[..], &skip, more].concat());
        (workshop.read(&format!("{out}/X.npy")), said.stderr)
    };
    let (plain, _) = npy("plain", &[]);
    let cached = ["-s", "data.cache=cache"];
    let (first, said) = npy("first", &cached);
    assert_eq!(first, plain);
    let words = "images are not kept prepared: data.cache: a file cannot be read: No such file";
    assert!(said.contains(words), "{said}");
    // Whether a file is gone may be over in a moment, so nothing was kept.
    assert!(packs(&workshop, "cache").is_empty());

    let whole = workshop.text("t.csv").replace("nowhere.png,0\n", "");
    workshop.write("t.csv", whole);
    let (plain, _) = npy("plain-2", &[]);
    assert_eq!(npy("second", &cached).0, plain);
    let [pack] = &packs(&workshop, "cache")[..] else {
        panic!("not one pack");
    };
    let mut bytes = std::fs::read(pack).unwrap();
    for image in [3, 17] {
        bytes[image * 768 + 99] ^= 0x40;
    }
    std::fs::write(pack, bytes).unwrap();
    let (found, said) = npy("third", &cached);
    assert_eq!(found, plain);
    assert!(
        said.contains("images are not kept prepared: data.cache: cache/"),
        "{said}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_said_and_done_without() {
    let workshop = workshop();
    train(&workshop, "straight", "memory", "none");
    workshop.write("file", "");
    let said = train(&workshop, "no-folder", "stream", "file/cache").stderr;
    assert!(
        said.contains("images are not kept prepared: data.cache: file/cache: "),
        "{said}"
    );
    assert_equal(&workshop, "no-folder", "straight");

    std::fs::create_dir(workshop.path("mine")).unwrap();
    workshop.permit("mine", 0o555);
    workshop.permit("", 0o777);
    let call = [
        "train",
        "own.yaml",
        "--run",
        "others",
        "-s",
        "data.residency=stream",
        "-s",
        "data.cache=mine",
    ];
    if let Some(answer) = workshop.call_under_permissions(&call) {
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let words = "images are not kept prepared: data.cache: ";
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        assert_equal(&workshop, "others", "straight");
    }
}

#[test]
fn a_file_that_changes_while_it_trains_ends_the_run_and_it_goes_on_when_the_file_is_back() {
    let workshop = workshop();
    train(&workshop, "straight", "memory", "none");
    train(&workshop, "run", "stream", "none");
    let own = workshop.read("data/0/0003.png");
    for step in 2..=6 {
        let file = format!("run/checkpoints/step-{step:08}.safetensors");
        std::fs::remove_file(workshop.path(&file)).unwrap();
    }
    // What is read when a run begins is compared then; later it is met by the epoch. To change it in between takes a moment
    // that only the process knows, so it is a run of many epochs.
    let long = workshop
        .run("long")
        .set("data.residency", "stream")
        .set("data.cache", "none");
    let long = long
        .set("train.epochs", 5000)
        .set("checkpoint.keep_last", 2);
    let child = std::thread::scope(|scope| {
        let running = scope.spawn(|| long.call_to_its_end());
        let log = workshop.path("long/metrics.jsonl");
        while std::fs::metadata(&log).map_or(0, |found| found.len()) < 1000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        workshop.write("data/0/0003.png", workshop.read("data/1/0003.png"));
        running.join().unwrap()
    });
    child.assert_failed(3, "data/0/0003.png: shows something else than when the training began; bring it back, or start a new run");
    workshop
        .call(&["resume", "long"])
        .assert_failed(3, "0/0003.png");
    workshop.write("data/0/0003.png", own);
    workshop.signet(&["resume", "run", "-s", "data.residency=stream"]);
    assert_equal(&workshop, "run", "straight");
    std::fs::remove_file(workshop.path("data/1/0002.png")).unwrap();
    workshop
        .call(&["resume", "run", "--epochs", "4"])
        .assert_failed(3, "1/0002.png");
}

#[test]
fn images_that_are_left_out_are_left_out_by_a_cache_too() {
    let workshop = workshop();
    workshop.write(
        "data/1/broken.png",
        &workshop.read("data/1/0000.png")[..100],
    );
    let call = ["data", "info", "own.yaml", "-s", "data.on_bad_image=skip"];
    let expected = workshop.signet(&call).stdout;
    assert!(
        expected.contains("left out     1\n  1/broken.png is truncated or damaged"),
        "{expected}"
    );
    let cached = ["-s", "data.cache=cache", "-s", "data.residency=stream"];
    for note in ["prepared images are kept in ", TAKEN] {
        let said = workshop.signet(&[&call[..], &cached].concat()).stdout;
        let (notes, rest): (Vec<&str>, Vec<&str>) =
            said.lines().partition(|line| line.contains(note));
        let on_disk = expected.replace(
            "in memory, 0.03 MiB",
            "on the disk, read when they are needed",
        );
        assert_eq!((notes.len(), rest), (1, on_disk.lines().collect()));
    }
    assert_eq!(packs(&workshop, "cache").len(), 1);
    let strict = [&["data", "info", "own.yaml"][..], &cached].concat();
    workshop
        .call(&strict)
        .assert_failed(3, "data/1/broken.png is truncated or damaged");
}

#[test]
fn what_cannot_be_streamed_is_refused_by_key() {
    let workshop = workshop();
    let source = "data.source={kind: generated}";
    let cases = [
        (
            ["data.residency=stream", source],
            "data.residency: stream applies to image files only",
        ),
        (
            ["data.cache=here", source],
            "data.cache: here applies to image files only",
        ),
        (
            ["data.residency=disk", "seed=1"],
            "data.residency: disk is not one of auto, device, memory, stream",
        ),
        (
            ["data.cache=''", "seed=1"],
            "data.cache: expected auto, none or a folder, found \"\"",
        ),
    ];
    for (set, words) in cases {
        let call = ["config", "check", "own.yaml", "-s", set[0], "-s", set[1]];
        workshop.call(&call).assert_failed(2, words);
    }
}
