//! What may change between two launches, and what may not.

use crate::support::Workshop;
use crate::{DEMANDING, assert_same_end, checkpoints, demanding, interrupted_at, straight};
use signet::run::checkpoint::Checkpoint;

#[test]
fn images_that_came_went_or_changed_are_named() {
    let workshop = Workshop::with_folders(20);
    let on_folders = DEMANDING.replace(
        "{kind: generated, pictures: 20}",
        "{kind: class_folders, root: data}",
    );
    workshop.write("own.yaml", on_folders);
    interrupted_at(&workshop, "r", 5);
    let [first, second] = ["data/0/0001.png", "data/1/0001.png"].map(|name| workshop.path(name));
    let kept = std::fs::read(&first).unwrap();
    let cases: [(&dyn Fn(), &str); 3] = [
        (
            &|| std::fs::remove_file(&first).unwrap(),
            "0/0001.png is gone",
        ),
        (
            &|| assert!(std::fs::copy(&second, &first).is_ok()),
            "0/0001.png has changed",
        ),
        (
            &|| assert!(std::fs::copy(&second, workshop.path("data/1/0999.png")).is_ok()),
            "1/0999.png is new",
        ),
    ];
    for (damage, words) in cases {
        damage();
        workshop.call(&["resume", "r"]).assert_failed(3, words);
        std::fs::write(&first, &kept).unwrap();
    }
    std::fs::remove_file(workshop.path("data/1/0999.png")).unwrap();
    // Where they lie does not matter.
    std::fs::rename(workshop.path("data"), workshop.path("images")).unwrap();
    workshop.run("r").set("data.source.root", "images").resume();
    // A split that was tampered with is not the run's.
    let split = workshop.text("r/split.json");
    let split = split.replace("\"test\"", "\"other\"");
    let split = split
        .replace("\"val\"", "\"test\"")
        .replace("\"other\"", "\"val\"");
    workshop.write("r/split.json", split);
    workshop
        .call(&["eval", "r"])
        .assert_failed(3, "the split is not the one this run was trained with");
}

#[test]
fn a_longer_run_asks_what_becomes_of_its_schedule() {
    let workshop = demanding();
    straight(&workshop);
    workshop
        .call(&["resume", "straight", "--epochs", "16"])
        .assert_failed(2, "choose how with --extend");
    // Stretched at its start, a run is what it would have been with that length.
    workshop.run("long").set("train.epochs", 16).train();
    workshop
        .run("stretched")
        .set("checkpoint.keep_last", 1000)
        .train();
    let begin = "step-00000000.safetensors";
    workshop.signet(&[
        "resume",
        "stretched",
        "--from",
        begin,
        "--epochs",
        "16",
        "--extend",
        "stretch",
    ]);
    assert_eq!(workshop.weights("stretched"), workshop.weights("long"));
    assert_eq!(
        workshop.text("stretched/metrics.jsonl"),
        workshop.text("long/metrics.jsonl")
    );
    for (how, rate) in [("hold", 12), ("restart", 0)] {
        workshop.run(how).train();
        let answer = workshop.signet(&["resume", how, "--epochs", "16", "--extend", how]);
        assert!(
            answer.stderr.contains("train.epochs  12   16   free"),
            "{}",
            answer.stderr
        );
        let lines: Vec<serde_json::Value> = workshop
            .text(&format!("{how}/metrics.jsonl"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 16, "{how}");
        if how == "hold" {
            assert_eq!(lines[15]["lr"], lines[rate - 1]["lr"]);
        } else {
            assert!(lines[12]["lr"].as_f64() > lines[11]["lr"].as_f64());
        }
    }
    let complete = workshop.signet(&["resume", "hold"]);
    assert!(
        complete
            .stdout
            .starts_with("hold is complete: finished after 16 of 16 epochs"),
        "{}",
        complete.stdout
    );
}

#[test]
fn changes_are_free_branch_off_or_are_refused() {
    let workshop = demanding();
    straight(&workshop);
    interrupted_at(&workshop, "r", 5);
    let cases = [
        (
            "model.hidden=[9]",
            2,
            "model.hidden: [8] -> [9] cannot change",
        ),
        ("seed=1", 2, "seed: 42 -> 1 cannot change"),
        (
            "train.optimizer={kind: sgd}",
            2,
            "train.optimizer.kind: adamw -> sgd",
        ),
        (
            "train.optimizer.lr=0.01",
            2,
            "would make it another run; add --as NEW_RUN",
        ),
        (
            "train.batch_size=5",
            2,
            "train.batch_size: 6 -> 5 would make it another run",
        ),
        ("train.epoch=9", 2, "did you mean epochs?"),
    ];
    for (change, code, words) in cases {
        workshop
            .call(&["resume", "r", "-s", change])
            .assert_failed(code, words);
    }
    let lonely = ["resume", "r", "-s", "train.batch_size=5", "--as", "lonely"];
    workshop.call(&lonely).assert_failed(
        2,
        "leaves a batch of one image out of 16, and batch_norm cannot normalise one",
    );
    let old = workshop.text("r/metrics.jsonl");
    workshop
        .run("r")
        .set("train.optimizer.lr", "0.01")
        .set("train.batch_size", 4)
        .arguments(&["--as", "branch"])
        .resume();
    assert_eq!(
        workshop.text("r/metrics.jsonl"),
        old,
        "the parent stays as it is"
    );
    let parent = workshop.json("branch/parent.json");
    assert_eq!(parent["run"], "r");
    assert_eq!(parent["changes"][1]["key"], "train.optimizer.lr");
    let lines = workshop.text("branch/metrics.jsonl");
    assert_eq!(lines.lines().count(), 12);
    assert!(old.starts_with(lines.lines().next().unwrap()));
    workshop.signet(&["eval", "branch"]);
    workshop.signet(&["resume", "branch", "--prove"]);
    // Free: logging and retention change nothing that was or will be learned.
    workshop
        .run("r")
        .set("log.csv", false)
        .set("checkpoint.keep_last", 1)
        .resume();
    assert_eq!(workshop.weights("r"), workshop.weights("straight"));
    assert_eq!(
        workshop.text("r/metrics.jsonl"),
        workshop.text("straight/metrics.jsonl")
    );
}

#[test]
fn train_with_resume_begins_or_goes_on_and_holds_to_the_policies() {
    let workshop = demanding();
    straight(&workshop);
    for _ in 0..2 {
        workshop.run("r").arguments(&["--resume"]).train();
        assert_same_end(&workshop, "r");
    }
    workshop
        .call(&[
            "train", "own.yaml", "--run", "r", "--resume", "-s", "seed=3",
        ])
        .assert_failed(2, "seed: 42 -> 3 cannot change");
    let taken = workshop.call(&["train", "own.yaml", "--run", "r"]);
    assert_eq!(taken.code, 4, "{}", taken.stderr);
}

#[test]
fn patience_and_the_best_epoch_survive_a_pause() {
    let workshop = demanding();
    let waiting = [
        "-s",
        "train.early_stopping.patience=3",
        "-s",
        "train.optimizer.lr=1.0e-30",
        "-s",
        "model.batch_norm=false",
        "-s",
        "checkpoint.keep_last=1000",
    ];
    workshop.run("straight").arguments(&waiting).train();
    let epochs = workshop.text("straight/metrics.jsonl").lines().count();
    assert!(epochs < 12, "it did not stop early");
    workshop.run("r").arguments(&waiting).train();
    let answer = workshop.signet(&["resume", "r"]);
    assert!(
        answer.stdout.contains("r is complete: stopped early after"),
        "{}",
        answer.stdout
    );
    workshop.signet(&["resume", "r", "--from", "step-00000009.safetensors"]);
    assert_same_end(&workshop, "r");
}

#[test]
fn training_can_begin_with_the_weights_of_another() {
    let workshop = demanding();
    let more = "data.classes=['2', '3', '4']";
    workshop
        .run("pre")
        .arguments(&["-s", more])
        .set("train.epochs", 3)
        .train();
    let strict = workshop.call(&[
        "train",
        "own.yaml",
        "--run",
        "fine",
        "-s",
        "train.init_from=pre",
    ]);
    assert_eq!(strict.code, 4, "{}", strict.stderr);
    assert!(
        strict
            .stderr
            .contains("2 tensor(s) of this model are not to be had from pre/"),
        "{}",
        strict.stderr
    );
    assert!(
        strict.stderr.contains("is [3, 8] there, but [2, 8] here"),
        "{}",
        strict.stderr
    );
    let lenient = "train.init_from={path: pre, strict: false}";
    let answer = workshop
        .run("fine")
        .arguments(&["-s", lenient])
        .set("checkpoint.keep_last", 1000)
        .train();
    assert!(
        answer.stderr.contains("initialised at random: "),
        "{}",
        answer.stderr
    );
    let best = workshop.json("pre/best.json");
    let offered = Checkpoint::load(
        &workshop
            .path("pre")
            .join(best["checkpoint"].as_str().unwrap()),
    )
    .unwrap();
    let begun =
        Checkpoint::load(&workshop.path("fine/checkpoints/step-00000000.safetensors")).unwrap();
    for (name, tensor) in &begun.tensors {
        if name.starts_with("optimizer.") {
            continue;
        }
        let same =
            offered.tensors[name].size() == tensor.size() && offered.tensors[name].equal(tensor);
        let head = tensor.size().first() == Some(&2);
        assert_eq!(same, !head, "{name}");
    }
    // Its parent is not needed to go on.
    std::fs::remove_dir_all(workshop.path("pre")).unwrap();
    let end = workshop.weights("fine");
    let begun_with = workshop.json("fine/init_from.json");
    assert_eq!(begun_with["missing"].as_array().unwrap().len(), 2);
    workshop.signet(&["resume", "fine", "--from", "step-00000009.safetensors"]);
    assert_eq!(workshop.weights("fine"), end);
    assert_eq!(workshop.json("fine/init_from.json"), begun_with);
    workshop
        .call(&[
            "train",
            "own.yaml",
            "-s",
            "train.init_from=nowhere.safetensors",
        ])
        .assert_failed(4, "train.init_from: nowhere.safetensors");
}

#[test]
fn the_best_epoch_is_the_best_by_the_rule_that_holds_now() {
    let workshop = demanding();
    let kept = [
        "checkpoint.keep_best=1000",
        "checkpoint.metric=train.loss",
        "checkpoint.every=1 epoch",
    ];
    let kept: Vec<&str> = kept.iter().flat_map(|key| ["-s", key]).collect();
    workshop
        .run("r")
        .arguments(&["--until", "6"])
        .arguments(&kept)
        .train();
    workshop
        .run("r")
        .arguments(&["--until", "7"])
        .set("checkpoint.mode", "max")
        .resume();
    let newest = checkpoints(&workshop, "r").pop().unwrap();
    let ranking = Checkpoint::load(&newest).unwrap().document.progress.ranking;
    let losses: Vec<f64> = ranking.iter().map(|record| record.train.loss).collect();
    assert_eq!(losses.len(), 7);
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    assert_eq!(workshop.json("r/best.json")["step"], ranking[0].step);

    // A pointer that is valid and names another epoch is no reason to use that.
    let expected = workshop.signet(&["eval", "r", "--json", "-"]).stdout;
    std::fs::copy(workshop.path("r/last.json"), workshop.path("r/best.json")).unwrap();
    assert_eq!(
        workshop.signet(&["eval", "r", "--json", "-"]).stdout,
        expected
    );

    // And where the best one is damaged, that is said.
    let best = workshop.path(&format!(
        "r/checkpoints/step-{:08}.safetensors",
        ranking[0].step
    ));
    let mut bytes = std::fs::read(&best).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&best, bytes).unwrap();
    for command in [&["eval", "r"][..], &["predict", "r", "image.png"]] {
        let said = workshop.call(command).stderr;
        assert!(
            said.contains("passed over r/checkpoints/"),
            "{command:?}: {said}"
        );
    }
}
