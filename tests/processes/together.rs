//! Processes that are told of each other by variables, as a launcher would, on this machine.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Workshop;

/// Longest that a test waits for processes to end by themselves.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a process ended.
#[derive(Debug)]
pub struct End {
    /// None where a signal ended it.
    pub code: Option<i32>,
    /// All that it said on standard error.
    pub stderr: String,
    /// When, from the moment on at which the processes were waited for.
    pub after: Duration,
}

/// A process among several, whose standard error goes to a file.
pub struct Rank {
    child: Child,
    said: PathBuf,
}

impl Rank {
    /// Sends a signal to it.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }
}

/// A port that nobody uses.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts signet as `rank` of `world` that meet at `port`, with further variables.
pub fn start_one(
    workshop: &Workshop,
    [rank, world]: [usize; 2],
    port: u16,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Rank {
    let said = workshop.path(&format!("stderr-{port}-{rank}"));
    let child = Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(workshop.path(""))
        .env("WORLD_SIZE", world.to_string())
        .env("RANK", rank.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .envs(variables.iter().copied())
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .expect("the binary was built beside this test");
    Rank { child, said }
}

/// Starts all of `world` with the same arguments.
pub fn start(workshop: &Workshop, world: usize, arguments: &[&str]) -> Vec<Rank> {
    let port = free_port();
    (0..world)
        .map(|rank| start_one(workshop, [rank, world], port, &[], arguments))
        .collect()
}

/// Waits for `ranks` to end; what does not end is killed and fails the test.
pub fn ends(ranks: Vec<Rank>) -> Vec<End> {
    let began = Instant::now();
    let end = |mut rank: Rank| {
        let code = loop {
            if let Some(status) = rank.child.try_wait().unwrap() {
                break status.code();
            }
            if began.elapsed() > PATIENCE {
                rank.child.kill().unwrap();
                panic!("a process hangs that has said: {}", rank.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        End {
            code,
            stderr: rank.said(),
            after: began.elapsed(),
        }
    };
    ranks.into_iter().map(end).collect()
}

/// Trains on `world` processes, which must succeed, and all but the first be silent.
pub fn train(workshop: &Workshop, world: usize, arguments: &[&str]) -> String {
    let mut ends = ends(start(workshop, world, arguments));
    for (rank, end) in ends.iter().enumerate() {
        assert_eq!(end.code, Some(0), "rank {rank}: {}", end.stderr);
        assert!(
            rank == 0 || end.stderr.is_empty(),
            "rank {rank}: {}",
            end.stderr
        );
    }
    ends.swap_remove(0).stderr
}
