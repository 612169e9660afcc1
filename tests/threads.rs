//! How many threads compute, where they run, and how they wait.

mod support;

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use support::{AUTOMATIC, SMALL, Workshop};

/// A network whose steps, of 5 GFLOP, keep any number of threads busy.
const LARGE: &str =
    "model={kind: cnn, blocks: [{filters: 64, kernel: 5}, {filters: 64, kernel: 5}]}";

#[test]
#[cfg(target_os = "linux")]
fn threads_are_counted_before_a_library_pins_the_process() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    let counted = std::thread::available_parallelism().unwrap();
    let counted = format!(", {counted} thread(s);");
    let clean = [("OMP_NUM_THREADS", ""), ("SLURM_CPUS_PER_TASK", "")];
    for pinned in [
        ("OMP_PROC_BIND", "true"),
        ("OMP_PLACES", "cores"),
        ("GOMP_CPU_AFFINITY", "0-1023"),
    ] {
        let variables = [&clean[..], &[pinned]].concat();
        let answer = workshop.call_under(&variables, &["train", "own.yaml", "-s", LARGE]);
        assert_eq!(answer.code, 0, "{pinned:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(&counted),
            "{pinned:?}: {}",
            answer.stderr
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_pinned_process_gives_its_threads_all_processors_back() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    workshop.signet(&["train", "own.yaml", "--run", "r"]);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_signet"))
        .current_dir(workshop.path(""))
        .args(["predict", "r", "-"])
        .env("OMP_PROC_BIND", "true")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let allowed = |tasks: &str| -> Vec<String> {
        let tasks = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        let read = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("status")).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            Some(line.trim().to_owned())
        };
        tasks.filter_map(read).collect()
    };
    let own = allowed("/proc/self/task").swap_remove(0);
    let began = std::time::Instant::now();
    // All but the thread that libgomp pinned, where there is more than one processor.
    while allowed(&format!("/proc/{}/task", child.id()))
        .iter()
        .filter(|list| **list == own)
        .count()
        < std::thread::available_parallelism().unwrap().get()
    {
        assert!(began.elapsed().as_secs() < 60, "no threads with {own}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn automatic_threads_obey_the_environment_and_say_so() {
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    let cases = [
        ("3,2", "2", 3, ", 3 thread(s), as OMP_NUM_THREADS says;"),
        ("", "2", 2, ", 2 thread(s), as SLURM_CPUS_PER_TASK says;"),
        (
            "0",
            "2",
            2,
            "signet: OMP_NUM_THREADS is \"0\", which is not a number from 1 to 1024; threads: auto ignores it\n",
        ),
    ];
    for (omp, slurm, count, words) in cases {
        let run = format!("r{omp}");
        let variables = [("OMP_NUM_THREADS", omp), ("SLURM_CPUS_PER_TASK", slurm)];
        let answer = workshop.call_under(&variables, &["train", "own.yaml", "--run", &run]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        let resolved = workshop.text(&format!("{run}/resolved.yaml"));
        assert!(
            resolved.contains(&format!("\nthreads: {count}\n")),
            "{resolved}"
        );
        // What the experiment says comes first.
        let answer = workshop.call_under(&variables, &["train", "own.yaml", "-s", "threads=1"]);
        assert!(
            answer.stderr.contains(", 1 thread(s); into"),
            "{}",
            answer.stderr
        );
    }
    let answer = workshop.call_under(&[("OMP_NUM_THREADS", "5")], &["doctor"]);
    let line = "threads: auto takes up to 5 thread(s), as OMP_NUM_THREADS says\n";
    assert!(answer.stdout.contains(line), "{}", answer.stdout);
}

#[test]
#[cfg(target_os = "linux")]
fn a_user_who_may_start_no_more_threads_is_told_what_to_do() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", AUTOMATIC);
    let opened = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(workshop.path(""), opened).unwrap();
    // Root may start as many as it likes, so there another user tries; who that is does not matter.
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let visitor = |threads: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("prlimit");
        command.args([threads, env!("CARGO_BIN_EXE_signet")]);
        command.args(arguments).current_dir(workshop.path(""));
        if root {
            command.uid(65534).gid(65534);
        }
        command.output().unwrap()
    };
    if !visitor("--nproc=1000", &["doctor"]).status.success() {
        println!("left out: we are root, and another user cannot reach the binary under test");
        return;
    }
    let answer = visitor("--nproc=1", &["train", "own.yaml", "--dry-run"]);
    let said = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.code(), Some(4), "{said}");
    assert!(
        said.contains("cannot start ") && said.contains("ulimit -u"),
        "{said}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn waiting_threads_sleep_while_other_programs_want_the_processors() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    if cpus == 1 {
        println!("left out: threads do not wait awake on one processor");
        return;
    }
    let workshop = Workshop::new();
    workshop.write("own.yaml", AUTOMATIC);
    let never = "checkpoint.every=1000000 epochs";
    let settings = [
        "train.epochs=1000000",
        "threads=2",
        "model.hidden=[128]",
        never,
    ];
    let words = settings.iter().flat_map(|setting| ["-s", setting]);
    let train: Vec<&str> = ["train", "own.yaml", "--run", "r"]
        .into_iter()
        .chain(words)
        .collect();
    let training = Started(workshop.start(&train));
    let busy = || {
        Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
    };
    let _others: Vec<Started> = (0..cpus).map(|_| Started(busy().unwrap())).collect();
    let steps = || {
        let log = std::fs::read_to_string(workshop.path("r/metrics.jsonl")).unwrap_or_default();
        let records = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let steps = records.map(|record: serde_json::Value| record["step"].as_u64().unwrap());
        steps.max().unwrap_or(0)
    };
    let began = Instant::now();
    let wait_for = |step: u64| {
        while steps() < step {
            assert!(
                began.elapsed().as_secs() < 120,
                "{} steps in two minutes",
                steps()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for(1);
    std::thread::sleep(Duration::from_secs(1)); // to notice the others
    let before = (sleeps(training.0.id()), steps());
    wait_for(before.1 + 100);
    let (slept, steps) = (sleeps(training.0.id()) - before.0, steps() - before.1);
    // A step has dozens of pieces of work; threads that stay awake sleep in one step of thirty.
    assert!(
        slept > steps,
        "in {steps} steps threads slept {slept} times"
    );
}

/// How often the threads of a process let go of the processor to wait (proc_pid_status(5)).
#[cfg(target_os = "linux")]
fn sleeps(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")));
    let sleeps = |status: String| -> Option<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    status.filter_map(|status| sleeps(status.ok()?)).sum()
}

/// A process that ends with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
