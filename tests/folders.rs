//! Promises about folders of images: what is read, what is left out and named, where they may lie.

mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use support::{SMALL, Workshop, jpeg};

/// The beginning of a WebP file.
const WEBP: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L";

fn info(workshop: &Workshop) -> String {
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["data", "info", "own.yaml"]).stdout
}

#[test]
fn training_data_info_eval_and_predict_look_at_a_folder_alike() {
    let workshop = Workshop::with_folders(20);
    for (at, to) in [("0000", "deep/deeper/a"), ("0001", "deep/b")] {
        let bytes = workshop.read(&format!("data/1/{at}.png"));
        std::fs::remove_file(workshop.path(&format!("data/1/{at}.png"))).unwrap();
        workshop.write(&format!("data/1/{to}.png"), bytes);
    }
    workshop.write("data/1/x.webp", WEBP);
    workshop.write("data/1/._0002.png", b"what a Mac leaves behind");
    workshop.write(
        "data/1/.ipynb_checkpoints/0002.png",
        b"what a notebook leaves behind",
    );
    workshop.write("data/__MACOSX/1/._0002.png", b"what a Mac leaves behind");
    workshop.write("data/beside.jpg", jpeg());
    symlink(workshop.path("data/0"), workshop.path("data/0/round")).unwrap();
    let said = info(&workshop);
    assert!(said.starts_with("images       40 of "), "{said}");
    for line in [
        "left out     3",
        "  1/x.webp is a WebP image; JPEG and PNG are read",
        "  beside.jpg lies beside the class folders and in none of them",
    ] {
        assert!(said.lines().any(|found| found == line), "{line} in {said}");
    }
    let round = "  0/round leads to data/0/ again";
    assert!(said.contains(round), "{said}");
    let trained = workshop.run("r").train();
    assert!(
        trained
            .stderr
            .contains("signet: left out 3: 0/round leads to "),
        "{}",
        trained.stderr
    );
    let tested = workshop.signet(&["eval", "r", "--data", "data", "--json", "-"]);
    let tested: serde_json::Value = serde_json::from_str(&tested.stdout).unwrap();
    assert_eq!(tested["images"], 40);
    let found = workshop.signet(&["predict", "r", "data/0", "data/1", "--format", "jsonl"]);
    assert_eq!(found.stdout.lines().count(), 40, "{}", found.stdout);
    assert!(
        found
            .stderr
            .contains("left out data/1/x.webp is a WebP image"),
        "{}",
        found.stderr
    );
}

#[test]
fn a_link_to_a_folder_above_brings_in_no_other_class() {
    let workshop = Workshop::with_folders(10);
    symlink("..", workshop.path("data/1/up")).unwrap();
    let said = info(&workshop);
    assert!(said.starts_with("images       20 of "), "{said}");
    assert!(said.contains("  1/up leads to "), "{said}");
}

#[test]
fn parts_are_not_taken_for_classes() {
    let workshop = Workshop::with_folders(4);
    for part in ["train", "val"] {
        std::fs::create_dir(workshop.path(part)).unwrap();
        for class in ["0", "1"] {
            let from = workshop.path(&format!("data/{class}"));
            symlink(from, workshop.path(&format!("{part}/{class}"))).unwrap();
        }
    }
    std::fs::create_dir(workshop.path("parts")).unwrap();
    for part in ["train", "val"] {
        std::fs::rename(workshop.path(part), workshop.path(&format!("parts/{part}"))).unwrap();
    }
    workshop.write("own.yaml", SMALL);
    let root = "data.source.root=parts";
    workshop
        .call(&["data", "info", "own.yaml", "-s", root])
        .assert_failed(3, "data.source.root: parts/train");
    let named = [
        "data",
        "info",
        "own.yaml",
        "-s",
        root,
        "-s",
        "data.classes=[train, val]",
    ];
    let said = workshop.signet(&named).stdout;
    assert!(said.contains("class train  8 "), "{said}");
}

#[test]
fn evaluation_on_other_folders_says_which_classes_it_does_not_know_and_which_are_not_there() {
    let workshop = Workshop::small(20);
    workshop.run("r").arguments(&["-q"]).train();
    workshop.signet(&[
        "data", "generate", "other", "--digits", "0,7", "--images", "6",
    ]);
    let answer = workshop.signet(&["eval", "r", "--data", "other"]);
    let unknown = "signet: left out the 6 image(s) of 7, a class that the model does not know";
    let absent = "signet: there is no image of 1, so nothing is said of that";
    for note in [unknown, absent] {
        assert!(
            answer.stderr.lines().any(|line| line == note),
            "{note} in {}",
            answer.stderr
        );
    }
    assert!(answer.stdout.contains(" of 6 right"), "{}", answer.stdout);
    let none = workshop.call(&["eval", "r", "--data", "other/7"]);
    assert_eq!(none.code, 3);
    assert!(
        none.stderr
            .starts_with("signet: --data: other/7 holds no folder"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_name_that_is_not_utf8_is_one_bad_image() {
    let workshop = Workshop::with_folders(10);
    let name = std::ffi::OsStr::from_bytes(b"gr\xFC\xDFe.png");
    let file = workshop.path("data/1").join(name);
    std::fs::copy(workshop.path("data/1/0000.png"), file).unwrap();
    workshop.write("own.yaml", SMALL);
    let answer = workshop.call(&["train", "own.yaml", "--dry-run"]);
    assert_eq!(answer.code, 3);
    let words = "has a name that is not UTF-8; rename it; repair or remove it, or set data.on_bad_image: skip";
    assert!(answer.stderr.contains(words), "{}", answer.stderr);
    let skip = [
        "train",
        "own.yaml",
        "--run",
        "r",
        "-s",
        "data.on_bad_image=skip",
    ];
    assert!(workshop.signet(&skip).stderr.contains("left out 1: 1/gr"));
    assert_eq!(
        workshop.json("r/split.json")["train"]
            .as_array()
            .unwrap()
            .len(),
        12
    );
}

#[test]
fn a_class_is_found_however_its_accents_are_written() {
    let workshop = Workshop::with_folders(10);
    // As HFS+ and some archives write it: a letter and a combining mark.
    std::fs::rename(
        workshop.path("data/1"),
        workshop.path("data/e\u{301}te\u{301}"),
    )
    .unwrap();
    workshop.write("own.yaml", SMALL);
    let said = workshop.signet(&[
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.classes=['0', \u{e9}t\u{e9}]",
    ]);
    assert!(
        said.stdout.contains("class \u{e9}t\u{e9}    10 "),
        "{}",
        said.stdout
    );
}

#[test]
fn classes_that_are_numbers_come_in_the_order_of_numbers() {
    let workshop = Workshop::with_folders(4);
    for class in ["2", "10"] {
        symlink(
            workshop.path("data/0"),
            workshop.path(&format!("data/{class}")),
        )
        .unwrap();
    }
    workshop.write("own.yaml", SMALL);
    let said = workshop.signet(&["data", "npy", "own.yaml", "out"]).stdout;
    assert!(said.contains("Y numbers the classes 0, 1, 2, 10"), "{said}");
}

#[test]
fn equal_images_in_two_classes_or_on_both_sides_of_the_split_are_warned_of() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let dry = ["train", "own.yaml", "--dry-run"];
    assert_eq!(workshop.signet(&dry).stderr, "");
    std::fs::copy(
        workshop.path("data/0/0003.png"),
        workshop.path("data/1/copy.png"),
    )
    .unwrap();
    let said = workshop.signet(&dry).stderr;
    let words = "signet: equal images lie in two classes (once), such as 0/0003.png and 1/copy.png; one of the two is wrong";
    assert!(said.lines().any(|line| line == words), "{said}");
    std::fs::remove_file(workshop.path("data/1/copy.png")).unwrap();
    for copy in 0..10 {
        let from = workshop.path(&format!("data/1/000{copy}.png"));
        std::fs::copy(from, workshop.path(&format!("data/1/copy-{copy}.png"))).unwrap();
    }
    let said = workshop.signet(&dry).stderr;
    assert!(
        said.contains(
            "signet: equal images lie in the train part and in a part that is held back ("
        ),
        "{said}"
    );
}

#[test]
fn data_that_has_moved_is_found_where_one_says_it_lies() {
    let workshop = Workshop::small(20);
    let export = "export={formats: [torchscript, safetensors]}";
    workshop
        .run("r")
        .arguments(&["--until", "2", "-q", "-s", export])
        .train();
    let before = workshop.signet(&["eval", "r"]).stdout;
    std::fs::rename(workshop.path("data"), workshop.path("moved")).unwrap();
    let moved = "data.source.root=moved";
    let lost = workshop.call(&["eval", "r"]);
    assert_eq!(lost.code, 3);
    assert!(
        lost.stderr.contains("-s data.source.root=DIR"),
        "{}",
        lost.stderr
    );
    assert!(!lost.stderr.contains("fetch"), "{}", lost.stderr);
    assert!(
        lost.stderr
            .contains("data.source.root: data cannot be read from /"),
        "{}",
        lost.stderr
    );
    assert_eq!(workshop.signet(&["eval", "r", "-s", moved]).stdout, before);
    workshop.signet(&["export", "r", "-s", moved]);
    workshop.signet(&["verify", "r/export/model.pt", "--against", "r", "-s", moved]);
    assert_eq!(
        workshop
            .signet(&["eval", "r/export/model.pt", "-s", moved])
            .stdout,
        before
    );
    workshop
        .call(&["eval", "r", "-s", "seed=3"])
        .assert_failed(2, "only keys of data.source");
    // A run that goes on there remembers it, and so does what becomes of it.
    workshop
        .run("r")
        .arguments(&["-s", moved, "-q"])
        .set("export.on_finish", true)
        .resume();
    workshop.signet(&["eval", "r"]);
    workshop.signet(&["export", "r"]);
}

#[test]
fn a_run_of_signet_0_1_says_that_it_read_jpeg_to_other_pixels() {
    let workshop = Workshop::small(20);
    std::fs::remove_file(workshop.path("data/0/0000.png")).unwrap();
    workshop.write("data/0/a.jpg", jpeg());
    workshop.run("r").arguments(&["--until", "2", "-q"]).train();
    // Another step of quantisation, and so other pixels.
    let mut other = jpeg();
    other[30] = 99;
    workshop.write("data/0/a.jpg", other);
    let said = workshop.call(&["resume", "r"]);
    assert!(
        said.stderr.contains("bring the old ones back"),
        "{}",
        said.stderr
    );
    let mut environment = workshop.json("r/environment.json");
    environment["signet"] = "0.1.0".into();
    workshop.write("r/environment.json", environment.to_string());
    workshop
        .call(&["resume", "r"])
        .assert_failed(3, "signet 0.1 trained it");
}

#[test]
fn a_study_goes_on_with_data_that_has_moved() {
    let workshop = Workshop::small(20);
    let cv = ["cv", "own.yaml", "--holdout", "2", "--run", "st", "-q"];
    let whole = workshop.signet(&cv).stdout;
    let trials = workshop.json("st/study.json")["trials"].clone();
    let trial = |index: usize| trials[index]["name"].as_str().unwrap().to_owned();
    // One trial has to be judged again, the other trained from its beginning.
    std::fs::remove_file(workshop.path(&format!("st/{}/test.json", trial(0)))).unwrap();
    std::fs::remove_dir_all(workshop.path(&format!("st/{}", trial(1)))).unwrap();
    std::fs::rename(workshop.path("data"), workshop.path("moved")).unwrap();
    assert_ne!(workshop.call(&cv).code, 0);
    let moved = [&cv[..], &["-s", "data.source.root=moved"]].concat();
    assert_eq!(workshop.signet(&moved).stdout, whole);
    assert_eq!(workshop.signet(&moved).stdout, whole);
}

#[test]
fn relative_paths_mean_what_they_meant_where_the_run_was_started() {
    let workshop = Workshop::small(20);
    workshop.run("r").arguments(&["--until", "2", "-q"]).train();
    let before = workshop.signet(&["eval", "r"]).stdout;
    std::fs::create_dir(workshop.path("elsewhere")).unwrap();
    let there = |arguments: &[&str]| {
        let answer = workshop.call_in("elsewhere", arguments);
        assert_eq!(answer.code, 0, "{arguments:?}: {}", answer.stderr);
        answer.stdout
    };
    assert_eq!(there(&["eval", "../r"]), before);
    there(&["resume", "../r", "-q"]);
    there(&["export", "../r"]);
    there(&["resume", "../r", "--prove", "-q"]);
    workshop.signet(&["eval", "r"]);
}
