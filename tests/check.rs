//! Promises about `signet data check`: what is wrong with a data set is found, with files and parts, and what is right is not.
//! Images that look alike are made by Pillow in `tests/interop/findings.py`, and doubtful labels are those of cleanlab in
//! `src/study/label_issues.rs`.

mod support;

use image::{GrayImage, Luma};
use serde_json::Value;
use support::Workshop;

/// The images of [`Workshop::small`], 20 of each class, and after a look at them what is wrong is put in.
fn workshop() -> Workshop {
    let workshop = Workshop::small(20);
    let said = workshop
        .signet(&["data", "check", "own.yaml", "--strict"])
        .stdout;
    assert_eq!(said, "40 images: nothing was found\n");
    workshop
}

/// The images of a table, in its parts.
const TABLE: [&str; 4] = [
    "-s",
    "data.source={kind: table, file: t.csv}",
    "-s",
    "data.split=null",
];

fn findings(workshop: &Workshop, arguments: &[&str]) -> Vec<Value> {
    let call = [&["data", "check", "own.yaml", "--json", "-"], arguments].concat();
    let said = workshop.signet(&call).stdout;
    let document: Value = serde_json::from_str(&said).unwrap();
    document["findings"].as_array().unwrap().clone()
}

/// Kind, names and detail of a finding.
fn words(finding: &Value) -> (String, Vec<String>, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = finding["images"].as_array().unwrap().iter();
    let names = names.map(|image| text(&image["name"])).collect();
    (text(&finding["kind"]), names, text(&finding["detail"]))
}

fn save(workshop: &Workshop, name: &str, image: &GrayImage) {
    image.save(workshop.path(name)).unwrap();
}

#[test]
fn images_that_show_nothing_or_are_of_an_odd_size_are_found_with_their_sizes() {
    let workshop = workshop();
    let noise = |width, height| {
        GrayImage::from_fn(width, height, |x, y| {
            Luma([(x * 89 + y * 151 + x * y * 7) as u8])
        })
    };
    save(
        &workshop,
        "data/0/blank.png",
        &GrayImage::from_pixel(24, 24, Luma([130])),
    );
    save(&workshop, "data/0/one.png", &noise(1, 1));
    save(&workshop, "data/1/small.png", &noise(5, 6));
    save(&workshop, "data/1/wide.png", &noise(120, 24));
    save(&workshop, "data/1/line.png", &noise(1, 2000));
    workshop.write(
        "data/1/broken.png",
        &workshop.read("data/1/0000.png")[..100],
    );
    workshop.write("data/1/nothing.png", "");
    save(&workshop, "data/1/longer.png", &noise(1, 20_000));
    let found = findings(&workshop, &[]);
    let mut found: Vec<_> = found.iter().map(words).collect();
    found.retain(|(kind, ..)| kind != "nearly_equal");
    let is = |kind: &str, name: &str, detail: &str| {
        let known = found.iter().any(|(known, names, words)| {
            known == kind && *names == [name.to_owned()] && words.starts_with(detail)
        });
        assert!(known, "{kind} {name} {detail}: {found:#?}");
    };
    is("blank", "0/blank.png", "all of it is of one level");
    is("blank", "0/one.png", "all of it is of one level");
    is(
        "tiny",
        "0/one.png",
        "1 x 1 pixels, made 16.0 times as large",
    );
    is(
        "tiny",
        "1/small.png",
        "5 x 6 pixels, made 3.2 times as large",
    );
    is(
        "tiny",
        "1/line.png",
        "1 x 2000 pixels, made 16.0 times as large",
    );
    is(
        "odd_shape",
        "1/wide.png",
        "120 x 24 pixels: 5.00 times as wide as high, where the middle of all is 1.00",
    );
    is(
        "odd_shape",
        "1/line.png",
        "1 x 2000 pixels: 0.00 times as wide as high",
    );
    is("unreadable", "1/broken.png", "is truncated or damaged");
    is("unreadable", "1/nothing.png", "is empty");
    is(
        "unreadable",
        "1/longer.png",
        "has 1 x 20000 pixels; up to 16384 pixels a side are read",
    );
    is("blank", "1/line.png", "all of it is of one level");
    assert_eq!(found.len(), 11, "{found:#?}");
}

#[test]
fn equal_images_are_found_within_and_across_parts_and_strict_is_an_error_of_those_across() {
    let workshop = workshop();
    let table = |parts: [&str; 3]| {
        let mut text = "path,label,part\n".to_owned();
        for image in 0..40 {
            let part = ["train", "val", "test"][image % 3];
            text += &format!(
                "data/{}/{:04}.png,{},{part}\n",
                image / 20,
                image % 20,
                image / 20
            );
        }
        for (copy, part) in parts.iter().enumerate() {
            workshop.write(&format!("copy{copy}.png"), workshop.read("data/0/0000.png"));
            text += &format!("copy{copy}.png,{},{part}\n", copy / 2);
        }
        workshop.write("t.csv", text);
    };
    table(["train", "train", "train"]);
    let found = findings(&workshop, &TABLE);
    let names = ["data/0/0000.png", "copy0.png", "copy1.png", "copy2.png"].map(str::to_owned);
    assert_eq!(
        words(&found[0]),
        (
            "equal".to_owned(),
            names.to_vec(),
            "of 2 classes".to_owned()
        )
    );
    assert_eq!(
        (found.len(), &found[0]["across_parts"]),
        (1, &Value::Bool(false))
    );
    workshop.signet(&[&["data", "check", "own.yaml", "--strict"], &TABLE[..]].concat());

    table(["train", "val", "test"]);
    let call = [&["data", "check", "own.yaml", "--strict"], &TABLE[..]].concat();
    let answer = workshop.call(&call);
    answer.assert_failed(
        3,
        "1 finding(s) across parts, which make metrics look better than they are",
    );
    let line = "equal images: data/0/0000.png (train), copy0.png (train), copy1.png (val), copy2.png (test): of 2 classes";
    assert!(answer.stdout.contains(line), "{}", answer.stdout);
    let call = [
        &["data", "check", "own.yaml", "--csv", "found.csv"],
        &TABLE[..],
    ]
    .concat();
    workshop.signet(&call);
    let expected = "finding,kind,across_parts,image,class,part,detail\n\
                    1,equal,true,data/0/0000.png,0,train,of 2 classes\n\
                    1,equal,true,copy0.png,0,train,of 2 classes\n\
                    1,equal,true,copy1.png,0,val,of 2 classes\n\
                    1,equal,true,copy2.png,1,test,of 2 classes\n";
    assert_eq!(workshop.text("found.csv"), expected);
}

#[test]
fn groups_and_classes_that_a_split_treats_badly_are_found() {
    let workshop = workshop();
    let mut text = "path,label,part,group\n".to_owned();
    for image in 0..40 {
        let part = if image < 30 { "train" } else { "test" };
        let (class, group) = (image / 20, if image == 35 { 2 } else { image });
        text += &format!(
            "data/{class}/{:04}.png,{class},{part},g{group}\n",
            image % 20
        );
    }
    workshop.write("t.csv", text);
    let found = findings(&workshop, &TABLE);
    let found: Vec<_> = found.iter().map(words).collect();
    let cut = ["data/0/0002.png", "data/1/0015.png"]
        .map(str::to_owned)
        .to_vec();
    let expected = [
        ("cut_group".to_owned(), cut, "all of \"g2\"".to_owned()),
        (
            "small_class".to_owned(),
            Vec::new(),
            "the test part has none of the 20 images of \"0\"".to_owned(),
        ),
    ];
    assert_eq!(found, expected);
    // A split that cannot be made is a finding, too.
    let split = "data.split={kind: folds, folds: 30}";
    let found = findings(&workshop, &["-s", split]);
    let call = ["data", "check", "own.yaml", "--strict", "-s", split];
    workshop
        .call(&call)
        .assert_failed(3, "parts cannot be compared: data.split.folds: 30 folds");
    let detail = "data.split.folds: 30 folds need 30 images of each class, but \"0\" has 20";
    assert_eq!(
        words(&found[0]),
        ("no_split".to_owned(), Vec::new(), detail.to_owned())
    );
}

#[test]
fn labels_that_a_finished_study_contradicts_are_found_and_named() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", support::SMALL);
    // Shades across and shades down, which are easy to tell, and two images of each class in the folder of the other.
    for image in 0..24u32 {
        for class in [0, 1] {
            let shade = GrayImage::from_fn(16, 16, |x, y| {
                let noise = (x * 7919 + y * 104_729 + (image * 2 + class) * 1_299_709) % 89;
                Luma([(if class == 0 { x } else { y } * 10 + noise) as u8])
            });
            let (folder, name) = match image {
                3 | 11 => (1 - class, "moved-"),
                _ => (class, ""),
            };
            workshop.write(&format!("data/{folder}/note.txt"), "");
            save(
                &workshop,
                &format!("data/{folder}/{name}{class}-{image:02}.png"),
                &shade,
            );
        }
    }
    let study = ["cv", "own.yaml", "--folds", "4", "--run", "study", "-q"];
    let easy = [
        "-s",
        "train.epochs=30",
        "-s",
        "train.optimizer={kind: adamw, lr: 0.01}",
        "-s",
        "model.dropout=0",
        "-s",
        "export.on_finish=false",
    ];
    workshop.signet(&[&study[..], &easy].concat());
    let found = findings(&workshop, &["--cv", "study"]);
    let found: Vec<_> = found.iter().map(words).collect();
    let moved = |(kind, names, _): &&(String, Vec<String>, String)| {
        kind == "doubtful_label" && names[0].contains("moved-")
    };
    assert_eq!(found.iter().filter(moved).count(), 4, "{found:#?}");
    let words = found.iter().find(moved).unwrap().2.clone();
    assert!(words.contains("with a probability of 0."), "{words}");
    let doubtful = found.iter().filter(|(kind, ..)| kind == "doubtful_label");
    assert!(doubtful.count() <= 7, "{found:#?}");

    // What is no finished study of these images.
    let call = ["data", "check", "own.yaml", "--cv"];
    let with = |study| workshop.call(&[&call[..], &[study]].concat());
    with("data").assert_failed(4, "--cv: data is no study: it has no study.json");
    std::fs::rename(
        workshop.path("study/summary.json"),
        workshop.path("summary.json"),
    )
    .unwrap();
    with("study").assert_failed(
        4,
        "--cv: study is not finished; call the same signet cv again, and then this",
    );
    std::fs::rename(
        workshop.path("summary.json"),
        workshop.path("study/summary.json"),
    )
    .unwrap();
    let other = [
        &call[..],
        &["study", "-s", "data.source={kind: generated, pictures: 20}"],
    ]
    .concat();
    workshop
        .call(&other)
        .assert_failed(4, "study was made on other images or classes");
}
