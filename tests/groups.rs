//! Promises about images that belong together: a group is never on two sides of a split, whatever names it and whoever
//! splits. Random groups are in `src/data/split/grouped.rs`.

mod support;

use std::collections::BTreeMap;

use support::Workshop;

/// Ten films of four frames each in two classes; film 9 is of both.
fn films() -> Workshop {
    let workshop = Workshop::with_folders(20);
    let mut table = "path,label,group\n".to_owned();
    for image in 0..40 {
        let (class, film, frame) = (image / 20, image / 4, image % 4);
        let class = if film == 9 && frame < 2 { 0 } else { class };
        let from = format!("data/{}/{:04}.png", image / 20, image % 20);
        for to in [
            format!("named/{class}/film{film}_{frame}.png"),
            format!("nested/{class}/film{film}/{frame}.png"),
        ] {
            workshop.write(&to, workshop.read(&from));
        }
        table += &format!("named/{class}/film{film}_{frame}.png,{class},film{film}\n");
    }
    workshop.write("t.csv", table);
    workshop.write("own.yaml", OWN);
    workshop
}

const OWN: &str = "\
version: 1
name: films
threads: 1
data:
  source: {kind: class_folders, root: named}
  group: {pattern: ^(film\\d)_}
  image: {height: 12, width: 12}
  split: {kind: stratified, train: 0.6, val: 0.2, test: 0.2}
model: {kind: ann, hidden: [4]}
train: {epochs: 2, batch_size: 8}
export: {on_finish: false}
";

/// The film of an image, by its name.
fn film(name: &str) -> String {
    let at = name.find("film").expect("a film");
    name[at..at + 5].to_owned()
}

/// The parts of each film in a run, which must be one, and the number of films in each part.
fn assert_whole(workshop: &Workshop, run: &str) -> [usize; 3] {
    let split = workshop.json(&format!("{run}/split.json"));
    let mut part_of = BTreeMap::new();
    for part in ["train", "val", "test"] {
        for name in split[part].as_array().unwrap() {
            let film = film(name.as_str().unwrap());
            let known = *part_of.entry(film.clone()).or_insert(part);
            assert_eq!(known, part, "{run}: {film} is in two parts");
        }
    }
    assert_eq!(part_of.len(), 10, "{run}");
    ["train", "val", "test"].map(|part| part_of.values().filter(|known| **known == part).count())
}

#[test]
fn groups_are_found_by_column_by_pattern_and_by_folder_and_stay_in_one_part() {
    let workshop = films();
    let table = "data.source={kind: table, file: t.csv}";
    let cases: [(&str, &[&str]); 4] = [
        ("pattern", &[]),
        ("folder", &["data.source.root=nested", "data.group=folder"]),
        ("column", &[table, "data.group={column: group}"]),
        ("usual-column", &[table, "data.group=null"]),
    ];
    for (name, set) in cases {
        let run = set.iter().fold(workshop.run(name), |run, set| {
            let (key, value) = set.split_once('=').unwrap();
            run.set(key, value)
        });
        let said = run.train().stderr;
        // A folder of a film is in its class, so the film of two classes is two groups.
        let groups = if name == "folder" { 11 } else { 10 };
        let note = format!("the images of each of {groups} groups (data.group) stay in one part");
        assert!(said.contains(&note), "{name}: {said}");
        if name != "folder" {
            assert_eq!(assert_whole(&workshop, name), [6, 2, 2], "{name}");
        }
        workshop.signet(&["eval", name]);
        // Other images, of which nobody has to know what belongs together.
        workshop.signet(&["eval", name, "--data", "data"]);
        workshop.signet(&["resume", name, "--epochs", "3"]);
    }
    let resolved = workshop.text("usual-column/resolved.yaml");
    assert!(
        resolved.contains("group:\n    column: group\n"),
        "{resolved}"
    );
    workshop.run("none").set("data.group", "none").train();
    let split = workshop.json("none/split.json");
    let held = split["test"].as_array().unwrap().iter();
    let films: Vec<String> = held.map(|name| film(name.as_str().unwrap())).collect();
    let trained = split["train"].to_string();
    assert!(
        films.iter().any(|film| trained.contains(film)),
        "without groups films are cut"
    );
}

#[test]
fn folds_inner_folds_repeats_and_holdouts_keep_groups_whole() {
    let workshop = films();
    let studies: [(&str, &[&str], usize); 3] = [
        ("folds", &["--folds", "3", "--repeats", "2"], 6),
        ("inner", &["--folds", "2", "--inner"], 2),
        ("holdout", &["--holdout", "3"], 3),
    ];
    for (study, arguments, trials) in studies {
        workshop.signet(&[&["cv", "own.yaml", "--run", study, "-q"], arguments].concat());
        let entries = std::fs::read_dir(workshop.path(study)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let runs: Vec<String> = names
            .map(|name| format!("{study}/{name}"))
            .filter(|run| workshop.path(&format!("{run}/split.json")).exists())
            .collect();
        assert_eq!(runs.len(), trials, "{study}: {runs:?}");
        for run in runs {
            assert_whole(&workshop, &run);
        }
    }
}

#[test]
fn a_split_that_cuts_a_group_is_refused_with_its_images() {
    let workshop = films();
    workshop.run("cut").set("data.group", "none").train();
    for (split, words) in [
        (
            "{kind: manifest, file: cut/split.json}",
            "both belong to \"film",
        ),
        ("{kind: manifest, file: nowhere.json}", "nowhere.json"),
    ] {
        let split = format!("data.split={split}");
        let call = ["train", "own.yaml", "--run", "refused", "-s", &split];
        workshop.call(&call).assert_failed(3, words);
        assert!(!workshop.path("refused").exists());
    }
    // The parts of a table.
    let table = workshop
        .text("t.csv")
        .replacen("group\n", "group,part\n", 1);
    let lines: Vec<String> = table
        .lines()
        .enumerate()
        .map(|(number, line)| match number {
            0 => line.to_owned(),
            7 => format!("{line},test"),
            _ => format!("{line},train"),
        })
        .collect();
    workshop.write("parts.csv", lines.join("\n"));
    let call = [
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.source={kind: table, file: parts.csv}",
        "-s",
        "data.group=null",
        "-s",
        "data.split=null",
    ];
    let words = "data.group: \"named/0/film1_0.png\" and \"named/0/film1_2.png\" both belong to \"film1\", and data.split puts them into train and test";
    workshop.call(&call).assert_failed(3, words);
}

#[test]
fn groups_that_cannot_be_are_refused_by_key() {
    let workshop = films();
    let cases = [
        (
            2,
            &["data.group={pattern: '('}"][..],
            "data.group.pattern: not a regular expression: ",
        ),
        (
            2,
            &["data.group={}"],
            "data.group.column: needs either column or pattern to tell images apart, found neither",
        ),
        (
            2,
            &["data.group={column: a, pattern: b}"],
            "data.group.column: needs either column or pattern to tell images apart, found both",
        ),
        (
            2,
            &["data.group={column: film}"],
            "data.group.column: only a source of kind table has columns; use pattern or folder",
        ),
        (
            2,
            &["data.group=film"],
            "data.group: film is not one of none, folder",
        ),
        (
            2,
            &["data.split={kind: sklearn}"],
            "data.group: train_test_split knows no groups; use data.split.kind: stratified, or group: none",
        ),
        (
            2,
            &["data.source={kind: generated}"],
            "data.group: applies to image files only; other sources come prepared",
        ),
        (
            3,
            &["data.group={pattern: film0}"],
            "data.group.pattern: film0 does not match \"film1_0.png\" (0/film1_0.png); each image needs a group",
        ),
        (
            3,
            &[
                "data.source={kind: table, file: t.csv}",
                "data.group={column: film}",
            ],
            "t.csv: has no column \"film\"; it has path, label, group; name the one with -s data.group.column=COLUMN",
        ),
        (
            3,
            &["data.group={pattern: film}"],
            "data.split: the val part of 40 images in 1 groups is empty",
        ),
        (
            3,
            &["data.split={kind: folds, folds: 6}"],
            "data.split.folds: 6 folds need 6 groups with images of each class, but \"1\" has 5",
        ),
    ];
    for (code, set, words) in cases {
        let set: Vec<&str> = set.iter().flat_map(|set| ["-s", set]).collect();
        let call = [&["train", "own.yaml", "--run", "refused"], &set[..]].concat();
        workshop.call(&call).assert_failed(code, words);
        assert!(!workshop.path("refused").exists(), "{words}");
    }
    let table = workshop.text("t.csv").replacen(",film3\n", ", \n", 1);
    workshop.write("t.csv", table);
    let call = [
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.source={kind: table, file: t.csv}",
        "-s",
        "data.group=null",
    ];
    workshop
        .call(&call)
        .assert_failed(3, "t.csv: line 14: group: nothing stands there");
}

#[test]
fn a_group_that_is_larger_than_a_part_is_told_of() {
    let workshop = films();
    let pattern = "data.group={pattern: '^film(8|9|[0-7])'}";
    let coarse = "data.group={pattern: '^(?:film[0-7]|film(.))'}";
    let words = "groups allow no better parts than 32, 4, 4 images, where 24, 8, 8 were asked for (train, val, test); the largest group";
    let said = workshop
        .call(&["data", "info", "own.yaml", "-s", pattern])
        .stdout;
    assert!(!said.contains("groups allow"), "{said}");
    // Films 0 to 7 have nothing in their group, which is no group.
    workshop
        .call(&["data", "info", "own.yaml", "-s", coarse])
        .assert_failed(3, "matches nothing in \"film0_0.png\"");
    let mut table = workshop.text("t.csv");
    for film in 0..8 {
        table = table.replace(&format!(",film{film}\n"), ",reel\n");
    }
    workshop.write("reel.csv", table);
    let call = [
        "data",
        "info",
        "own.yaml",
        "-s",
        "data.source={kind: table, file: reel.csv}",
        "-s",
        "data.group=null",
    ];
    let said = workshop.signet(&call).stdout;
    assert!(
        said.contains(words) && said.contains("\"reel\", has 32"),
        "{said}"
    );
}
