//! Promises about folders of images: what is read, what is left out and named, where they may lie.

mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use support::{SMALL, Workshop, jpeg};

/// The beginning of an AVIF file.
const AVIF: &[u8] = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf";

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
    workshop.write("data/1/x.avif", AVIF);
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
        "  1/x.avif is in AVIF; JPEG, PNG, WebP, BMP, GIF and TIFF are read",
        "passed over  3 that are no images: 3 hidden",
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
        found.stderr.contains("left out data/1/x.avif is in AVIF"),
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

/// Folders `parts/train`, `parts/valid` and `parts/test`, each with the images of `numbers` of both classes.
fn in_parts(workshop: &Workshop) {
    for (part, numbers) in [("train", 0..6), ("valid", 6..8), ("test", 8..10)] {
        for (class, number) in numbers.flat_map(|number| [("0", number), ("1", number)]) {
            let bytes = workshop.read(&format!("data/{class}/{number:04}.png"));
            workshop.write(&format!("parts/{part}/{class}/{number:04}.png"), bytes);
        }
    }
}

#[test]
fn parts_that_lie_in_folders_are_taken_as_they_are_unless_another_split_is_asked_for() {
    let workshop = Workshop::with_folders(10);
    in_parts(&workshop);
    let own = "version: 1\ndata: {source: {kind: class_folders, root: parts}, image: {height: 8, width: 8}}\nmodel: {kind: ann}\ntrain: {epochs: 1, batch_size: 4}\n";
    workshop.write("own.yaml", own);
    let said = |extra: &[&str]| {
        let call = [&["data", "info", "own.yaml"], extra].concat();
        workshop.signet(&call).stdout
    };
    let found = said(&[]);
    for line in [
        "class 0      10 (train 6, val 2, test 2)",
        "note         the parts are as they were found: train, val, test",
    ] {
        assert!(
            found.lines().any(|known| known == line),
            "{line} in {found}"
        );
    }
    workshop.signet(&["train", "own.yaml", "--run", "r", "-q"]);
    let split = workshop.json("r/split.json");
    let names = [
        "test/0/0008.png",
        "test/0/0009.png",
        "test/1/0008.png",
        "test/1/0009.png",
    ];
    assert_eq!(split["test"], serde_json::json!(names));
    assert!(workshop.text("r/resolved.yaml").contains("kind: as_found"));
    let anew = said(&["-s", "data.split={train: 0.8, val: 0.1, test: 0.1}"]);
    assert!(
        anew.contains("class 0      10 (train 8, val 1, test 1)"),
        "{anew}"
    );
    assert!(
        anew.contains("train, val, test, and are split anew, as data.split says"),
        "{anew}"
    );
    // Whoever names classes means classes.
    let named = said(&["-s", "data.classes=[train, valid]"]);
    assert!(named.contains("class train  12 "), "{named}");
    // Folders of images are classes, whatever they are called.
    for (part, class) in [("train", "0"), ("test", "1")] {
        for number in 0..10 {
            let bytes = workshop.read(&format!("data/{class}/{number:04}.png"));
            workshop.write(&format!("flat/{part}/{number}.png"), bytes);
        }
    }
    let flat = said(&["-s", "data.source.root=flat"]);
    assert!(flat.contains("class train  10 (train 6, "), "{flat}");
    // Half a split is no split to be guessed.
    std::fs::remove_dir_all(workshop.path("parts/train")).unwrap();
    let asked = [
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.split={kind: as_found}",
    ];
    workshop.call(&asked).assert_failed(
        3,
        "data.split: as_found takes the parts that a source gives",
    );
}

#[test]
fn a_class_that_only_a_part_held_back_has_and_a_part_given_twice_are_refused() {
    let workshop = Workshop::with_folders(10);
    in_parts(&workshop);
    workshop.write("own.yaml", SMALL);
    let info = [
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.source.root=parts",
        "-s",
        "data.split={kind: as_found}",
    ];
    let bytes = workshop.read("data/0/0000.png");
    workshop.write("parts/test/2/0000.png", &bytes);
    workshop
        .call(&info)
        .assert_failed(3, "the training part has no image of \"2\"");
    workshop.write("parts/val/0/0000.png", &bytes);
    workshop.call(&info).assert_failed(
        3,
        "both parts/val and parts/valid are the val part; rename one of them",
    );
}

#[test]
fn classes_are_found_behind_a_folder_that_holds_nothing_else_and_at_the_depth_that_is_asked_for() {
    let workshop = Workshop::with_folders(4);
    for (class, number) in [("0", 0), ("0", 1), ("1", 0), ("1", 1)] {
        let bytes = workshop.read(&format!("data/{class}/000{number}.png"));
        workshop.write(&format!("archive/Dataset/{class}/{number}.png"), &bytes);
        workshop.write(&format!("sites/site-{number}/{class}/a.png"), &bytes);
        workshop.write(&format!("sites/site-{number}/beside.png"), &bytes);
    }
    workshop.write("own.yaml", SMALL);
    let said = |extra: &[&str]| {
        let call = [
            &["data", "info", "own.yaml", "-s", "data.classes=null"][..],
            &["-s", "data.split={train: 0.5, val: 0.0, test: 0.5}"],
            extra,
        ]
        .concat();
        workshop.signet(&call).stdout
    };
    let wrapped = said(&["-s", "data.source.root=archive"]);
    assert!(wrapped.contains("class 0      2 "), "{wrapped}");
    assert!(
        wrapped.contains("the classes are in archive/Dataset"),
        "{wrapped}"
    );
    let deep = said(&["-s", "data.source.root=sites", "-s", "data.source.depth=2"]);
    assert!(deep.contains("class 1      2 "), "{deep}");
    let beside = "site-1/beside.png lies beside the class folders and in none of them";
    assert!(deep.contains(beside), "{deep}");
}

#[test]
fn transparent_images_and_profiles_are_remarked_upon_once() {
    let workshop = Workshop::with_folders(4);
    let mut image = image::RgbaImage::from_pixel(8, 8, image::Rgba([200, 100, 50, 255]));
    image.put_pixel(3, 3, image::Rgba([200, 100, 50, 0]));
    image.save(workshop.path("data/0/clear.png")).unwrap();
    let said = info(&workshop);
    let note = "note         1 image(s) are transparent in places, where black is seen (data.image.background)";
    assert!(said.lines().any(|line| line == note), "{said}");
    let none = [
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.image.background=none",
    ];
    let said = workshop.signet(&none).stdout;
    assert!(!said.contains("transparent"), "{said}");
    let wrong = [
        "config",
        "check",
        "own.yaml",
        "-s",
        "data.image.background='#12345g'",
    ];
    workshop.call(&wrong).assert_failed(
        2,
        "data.image.background: expected black, white, \"#rrggbb\" or none, found \"#12345g\"",
    );
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
