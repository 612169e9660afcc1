//! What processes are told that do not fit together is refused before anything is made.

use crate::demanding;
use crate::support::Workshop;
use crate::together::{End, ends, free_port, start_one};

/// Two processes with arguments of their own, behind those of a training, and what they said.
fn two(workshop: &Workshop, own: [&[&str]; 2]) -> Vec<End> {
    let port = free_port();
    let common = ["train", "own.yaml", "--run", "run", "-s", "run.timeout=5"];
    let ranks = [0, 1].map(|rank| {
        let arguments = [&common[..], own[rank]].concat();
        start_one(workshop, [rank, 2], port, &[], &arguments)
    });
    let both = ends(ranks.into());
    assert!(!workshop.path("run").exists(), "{both:?}");
    both
}

#[track_caller]
fn assert_said(end: &End, code: i32, words: &str) {
    assert_eq!(end.code, Some(code), "{}", end.stderr);
    assert!(end.stderr.contains(words), "{}", end.stderr);
}

#[test]
fn settings_that_do_not_fit_the_number_of_processes_are_refused_by_all_of_them() {
    let workshop = demanding();
    let cases: [(&[&str], &str); 4] = [
        (
            &["-s", "train.shards=3"],
            "train.shards: 3 shards cannot be shared by 2 processes; start 1 or 3 of them",
        ),
        (
            &["-s", "train.batch_size=7"],
            "train.shards: 8 shards are too many for a batch of",
        ),
        (
            &["-s", "train.reduction=flat"],
            "train.shards: 8 has no effect with train.reduction: flat",
        ),
        (
            &["-s", "device=cuda"],
            "device: cuda:0 cannot be used: there is no NVIDIA driver",
        ),
    ];
    for (own, words) in cases {
        if own[1] == "device=cuda" && std::path::Path::new("/proc/driver/nvidia").exists() {
            continue; // scripts/check-cuda tells of those
        }
        for end in two(&workshop, [own, own]) {
            assert_said(&end, 2, words);
        }
    }
}

#[test]
fn processes_that_were_told_different_things_say_which_and_where() {
    let workshop = demanding();
    let cases: [([&[&str]; 2], [&str; 2]); 3] = [
        (
            [&[], &["-s", "train.epochs=5"]],
            [
                "rank 1 failed: train.epochs is 5 here, and 2 in rank 0",
                "train.epochs is 5 here, and 2 in rank 0; start all processes with the same experiment",
            ],
        ),
        (
            [&[], &["--live"]],
            ["the command lines of the processes differ: "; 2],
        ),
        (
            [&[], &["-s", "threads=2"]],
            [
                "rank 1 failed: threads is 2 here, and 1 in rank 0",
                "threads is 2 here, and 1 in rank 0",
            ],
        ),
    ];
    for (own, words) in cases {
        let both = two(&workshop, own);
        for (end, words) in both.iter().zip(words) {
            assert!(end.stderr.contains(words), "{}", end.stderr);
            assert!([Some(2), Some(4)].contains(&end.code), "{:?}", end.code);
        }
    }
}

#[test]
fn processes_with_other_images_say_so() {
    let workshop = Workshop::small(24);
    let other = Workshop::small(26);
    let port = free_port();
    let [here, there] = [&workshop, &other].map(|own| own.path("data").display().to_string());
    let arguments = [
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "data.source.root=${DATA}",
        "-s",
        "train.batch_size=full",
        "-s",
        "run.timeout=5",
    ];
    let ranks = [(0, &here), (1, &there)]
        .map(|(rank, data)| start_one(&workshop, [rank, 2], port, &[("DATA", data)], &arguments));
    for end in ends(ranks.into()) {
        assert_said(&end, 4, "the images of the processes differ: ");
        assert_said(&end, 4, "in rank 1");
    }
    assert!(!workshop.path("run").exists());
}

#[test]
fn variables_that_are_half_set_are_refused_by_what_trains_and_shown_by_doctor() {
    let workshop = demanding();
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("WORLD_SIZE", "2")], "set RANK from 0 to 1"),
        (
            &[("WORLD_SIZE", "2"), ("RANK", "1")],
            "MASTER_ADDR is not set",
        ),
        (
            &[("WORLD_SIZE", "2"), ("RANK", "2")],
            "ranks count from 0 to 1",
        ),
    ];
    for (variables, words) in cases {
        for call in [&["train", "own.yaml"][..], &["resume", "none"]] {
            let answer = workshop.call_under(variables, call);
            answer.assert_failed(2, words);
        }
        let doctor = workshop.call_under(variables, &["doctor"]);
        assert!(
            doctor.code == 0 && doctor.stdout.contains(words),
            "{}",
            doctor.stdout
        );
    }
    let variables = [
        ("WORLD_SIZE", "4"),
        ("RANK", "1"),
        ("MASTER_ADDR", "node-0"),
    ];
    let doctor = workshop.call_under(&variables, &["doctor"]).stdout;
    assert!(
        doctor.contains(
            "rank 1 of 4, by the environment, where rank 0 holds the store at node-0:29500"
        ),
        "{doctor}"
    );
}
