//! Processes that die, hang, never come, or fail: the others say who it was, and nothing is lost.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use signet::rng::{Purpose, Stream};

use crate::support::Workshop;
use crate::together::{End, ends, free_port, start, start_one, train};
use crate::{KINDS, assert_same, demanding};

/// Waits until `run` has ended so many epochs.
pub fn wait_for_epoch(workshop: &Workshop, run: &str, epochs: usize) {
    let began = Instant::now();
    let log = workshop.path(&format!("{run}/metrics.jsonl"));
    while std::fs::read_to_string(&log)
        .unwrap_or_default()
        .lines()
        .count()
        < epochs
    {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{run} does not get on"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says one line and no more, which ends the process with the code of a run that cannot go on.
#[track_caller]
fn assert_lost(end: &End, who: &str) {
    assert_eq!(end.code, Some(4), "{}", end.stderr);
    let complaints = end
        .stderr
        .lines()
        .filter(|line| line.starts_with("signet: rank "));
    let complaints: Vec<&str> = complaints.collect();
    assert_eq!(complaints.len(), 1, "{}", end.stderr);
    assert!(complaints[0].contains(who), "{}", end.stderr);
    assert!(
        !end.stderr.contains("c10d") && !end.stderr.contains("frame #"),
        "{}",
        end.stderr
    );
}

const LONG: [&str; 4] = ["-s", "train.epochs=40", "-s", "run.timeout=4"];

#[test]
fn a_process_that_is_killed_at_any_moment_is_named_and_every_kind_goes_on_to_the_same_bits() {
    let workshop = demanding();
    let mut chance = Stream::new(17, Purpose::Order, &[]);
    for (number, (kind, model, optimizer)) in KINDS.into_iter().enumerate() {
        let (run, straight) = (format!("{kind}-killed"), format!("{kind}-straight"));
        let arguments = |run| {
            let set = ["-s", model, "-s", optimizer, "--run", run];
            [&["train", "own.yaml"][..], &set, &LONG].concat()
        };
        workshop.signet(&arguments(&straight));
        let ranks = start(&workshop, 4, &arguments(&run));
        wait_for_epoch(&workshop, &run, 1);
        std::thread::sleep(Duration::from_secs_f64(chance.uniform(0.0, 0.5)));
        let victim = number % 4;
        ranks[victim].signal("KILL");
        for (rank, end) in ends(ranks).iter().enumerate() {
            match (rank, victim) {
                (rank, victim) if rank == victim => assert_eq!(end.code, None),
                (_, 0) => assert_lost(end, "rank 0, which held the store, is gone"),
                _ => {
                    assert_lost(end, &format!(": rank {victim} is gone"));
                    assert!(end.after < Duration::from_secs(4), "{:?}", end.after);
                }
            }
        }
        train(&workshop, 2, &["resume", &run]);
        assert_same(&workshop, &run, &straight);
    }
}

#[test]
fn a_process_that_hangs_is_named_when_the_time_is_over() {
    let workshop = demanding();
    for (victim, who) in [
        (1, "rank 1 is gone, or did not answer within 4 s"),
        (0, "rank 0, which held the store, is gone"),
    ] {
        let run = format!("run-{victim}");
        let arguments = [&["train", "own.yaml", "--run", &run][..], &LONG].concat();
        let mut ranks = start(&workshop, 2, &arguments);
        wait_for_epoch(&workshop, &run, 1);
        ranks[victim].signal("STOP");
        let stopped = ranks.remove(victim);
        let end = &ends(ranks)[0];
        stopped.signal("KILL");
        assert_lost(end, who);
        // Four seconds, and two in which it is found out who it was; the rest is for a busy machine.
        assert!(end.after < Duration::from_secs(9), "{:?}", end.after);
        assert_eq!(ends(vec![stopped])[0].code, None);
    }
}

#[test]
fn processes_that_never_come_are_named_by_those_that_did() {
    let workshop = demanding();
    let arguments = ["train", "own.yaml", "--run", "run", "-s", "run.timeout=2"];
    let port = free_port();
    let first = start_one(&workshop, [0, 4], port, &[], &arguments);
    let second = start_one(&workshop, [2, 4], port, &[], &arguments);
    let both = ends(vec![first, second]);
    assert_lost(&both[0], "ranks 1, 3 did not come within 2 s (run.timeout)");
    assert_lost(&both[1], "ranks 1, 3 did not come within 2 s (run.timeout)");
    let alone = start_one(&workshop, [1, 2], free_port(), &[], &arguments);
    let alone = &ends(vec![alone])[0];
    assert_lost(alone, "rank 0 cannot be reached at 127.0.0.1:");
    assert!(!workshop.path("run").exists());
}

#[test]
fn a_port_that_is_taken_is_named_with_the_variable_that_names_another() {
    let workshop = demanding();
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let arguments = ["train", "own.yaml", "--run", "run", "-s", "run.timeout=2"];
    let ranks = [0, 1].map(|rank| start_one(&workshop, [rank, 2], port, &[], &arguments));
    let both = ends(ranks.into());
    assert_lost(
        &both[0],
        &format!("port {port} of this machine is taken; set MASTER_PORT"),
    );
    assert_eq!(both[1].code, Some(4), "{}", both[1].stderr);
}

#[test]
fn processes_may_come_in_any_order_and_one_after_the_other() {
    let workshop = demanding();
    let port = free_port();
    let arguments = ["train", "own.yaml", "--run", "run"];
    let mut ranks = Vec::new();
    for rank in [3, 1, 0, 2] {
        ranks.push(start_one(&workshop, [rank, 4], port, &[], &arguments));
        std::thread::sleep(Duration::from_millis(700));
    }
    assert!(ends(ranks).iter().all(|end| end.code == Some(0)));
    workshop.signet(&["train", "own.yaml", "--run", "alone"]);
    assert_same(&workshop, "run", "alone");
}

#[test]
fn a_process_that_fails_tells_the_others_why() {
    let workshop = Workshop::small(24);
    let arguments = [
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "data.source.root=${DATA}",
        "-s",
        "run.timeout=5",
    ];
    let port = free_port();
    let ranks = [("0", "data"), ("1", "elsewhere")].map(|(rank, data)| {
        let rank = rank.parse().unwrap();
        start_one(&workshop, [rank, 2], port, &[("DATA", data)], &arguments)
    });
    let both = ends(ranks.into());
    assert_eq!(both[1].code, Some(3), "{}", both[1].stderr);
    assert!(
        both[1].stderr.contains("elsewhere cannot be read"),
        "{}",
        both[1].stderr
    );
    assert_lost(
        &both[0],
        "rank 1 failed: data.source.root: elsewhere cannot be read",
    );
    assert!(
        both[0].after < Duration::from_secs(5),
        "{:?}",
        both[0].after
    );
    assert!(!workshop.path("run").exists());
}

#[test]
fn a_training_that_diverges_does_so_in_all_processes() {
    let workshop = demanding();
    let arguments = [
        "train",
        "own.yaml",
        "--run",
        "run",
        "-s",
        "train.optimizer={kind: sgd, lr: 1e30}",
        "-s",
        "train.clip_grad_norm=null",
    ];
    for end in ends(start(&workshop, 2, &arguments)) {
        assert_eq!(end.code, Some(6), "{}", end.stderr);
        assert!(end.stderr.contains("training diverged"), "{}", end.stderr);
    }
}
