//! What signet promises to a person at a terminal: curves, colours only where they are wanted, and no remains of bars.

mod support;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::{SMALL, Workshop};

const SIGNET: &str = env!("CARGO_BIN_EXE_signet");

/// What `signet ARGUMENTS`, under `variables` such as `A=1 B=2`, sends to the terminal that `script` of util-linux gives
/// it; none where there is no such program.
fn on_a_terminal(workshop: &Workshop, variables: &str, arguments: &str) -> Option<String> {
    let unset = "-u NO_COLOR -u CLICOLOR -u CLICOLOR_FORCE TERM=xterm-256color LC_ALL=C.UTF-8";
    let call = format!("env {unset} {variables} {SIGNET} {arguments}");
    let script = Command::new("script")
        .current_dir(workshop.path(""))
        .args(["-qec", &call, "/dev/null"])
        .output();
    let Ok(output) = script else {
        println!("left out: there is no `script` to make a terminal with");
        return None;
    };
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Whether `shown` sets a colour or a weight: SGR, ECMA-48, section 8.3.117.
fn is_coloured(shown: &str) -> bool {
    let parts = shown.split("\x1b[").skip(1);
    let mut ends = parts.filter_map(|part| {
        part.find(|c: char| c.is_ascii_alphabetic())
            .map(|at| &part[at..])
    });
    ends.any(|end| end.starts_with('m'))
}

#[test]
#[cfg(target_os = "linux")]
fn colours_are_shown_where_they_are_wanted() {
    let workshop = Workshop::small(10);
    workshop.run("r").train();
    let commands = [
        "--help",
        "trian",
        "eval nowhere",
        "train own.yaml",
        "cv own.yaml --folds 2",
        "runs show r",
        "eval r",
    ];
    let coloured = &commands[..5];
    let settings = [
        ("", "", true),
        ("NO_COLOR=1", "", false),
        ("CLICOLOR=0", "", false),
        ("TERM=dumb", "", false),
        ("NO_COLOR=1 CLICOLOR_FORCE=1", "", false),
        ("NO_COLOR=1", "--color always", true),
        ("", "--color never", false),
        ("CLICOLOR_FORCE=1", "--color=never", false),
    ];
    for (variables, option, wanted) in settings {
        for command in commands {
            let arguments = format!("{option} {command}");
            let Some(shown) = on_a_terminal(&workshop, variables, &arguments) else {
                return;
            };
            let expected = wanted && coloured.contains(&command);
            let coloured = is_coloured(&shown);
            assert_eq!(coloured, expected, "{variables} {arguments}: {shown:?}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn bars_show_the_curve_and_the_best_epoch_of_earlier_launches_too() {
    let workshop = Workshop::small(10);
    workshop.run("r").arguments(&["--until", "2"]).train();
    let best = workshop.json("r/best.json");
    let (epoch, accuracy) = (&best["record"]["epoch"], &best["record"]["val"]["accuracy"]);
    let percent = format!("{:.1}", 100.0 * accuracy.as_f64().unwrap());
    let percent = percent.trim_end_matches(".0");
    let Some(shown) = on_a_terminal(&workshop, "", "resume r") else {
        return;
    };
    let before_a_step = shown.split("\nstep ").next().unwrap();
    let words = format!("best {epoch} (val.accuracy {percent} %)");
    assert!(
        before_a_step.contains(&words),
        "no {words} in {before_a_step:?}"
    );
    let curve = shown.split("\nval   ").nth(1).unwrap();
    let cells = curve.chars().take_while(|c| ('▁'..='█').contains(c));
    assert_eq!(cells.count(), 2, "{curve}");
    let ascii = on_a_terminal(&workshop, "LC_ALL=C", "resume r --epochs 4 --extend hold");
    assert!(ascii.unwrap().is_ascii());
}

#[test]
fn plain_lines_say_which_epochs_are_the_best_so_far() {
    let workshop = Workshop::small(10);
    let said = workshop.run("r").set("train.epochs", 6).train().stderr;
    let marked: Vec<&str> = said
        .lines()
        .filter(|line| line.ends_with(" s  best"))
        .collect();
    let best = workshop.json("r/best.json")["record"]["epoch"].to_string();
    assert!(marked[0].starts_with("epoch 1/6 "), "{said}");
    assert!(
        marked
            .last()
            .unwrap()
            .starts_with(&format!("epoch {best}/6 ")),
        "{said}"
    );
}

#[test]
fn runs_show_draws_the_curves_of_a_run_and_of_the_trials_of_a_study() {
    let workshop = Workshop::small(10);
    workshop.run("r").train();
    let unicode = workshop.call_under(&[("LC_ALL", "C.UTF-8")], &["runs", "show", "r"]);
    let best = workshop.json("r/best.json")["record"]["epoch"].to_string();
    let chart = unicode.stdout.split("in all").nth(1).unwrap();
    for words in [
        "loss  ",
        "accuracy %",
        "⠒⠒⠒ val",
        "└──",
        &format!("^ best {best} (val.accuracy "),
    ] {
        assert!(chart.contains(words), "no {words} in {chart}");
    }
    assert!(
        unicode
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 80 || line.starts_with("on "))
    );
    let ascii = workshop.call_under(&[("LC_ALL", "C")], &["runs", "show", "r"]);
    assert!(ascii.stdout.is_ascii(), "{}", ascii.stdout);

    workshop.signet(&["cv", "own.yaml", "--folds", "2", "--run", "study"]);
    let study = workshop.call_under(&[("LC_ALL", "C.UTF-8")], &["runs", "show", "study"]);
    let trial = study
        .stdout
        .lines()
        .find(|line| line.starts_with("study/fold-00"))
        .unwrap();
    let cells = trial.chars().filter(|c| ('▁'..='█').contains(c));
    assert_eq!(cells.count(), 3, "{trial}");

    workshop.write("r/metrics.jsonl", "{\"epoch\": 1, \"loss\": NaN}\n");
    let damaged = workshop.signet(&["runs", "show", "r"]);
    assert!(
        damaged
            .stderr
            .starts_with("signet: no curve: cannot read r/metrics.jsonl: "),
        "{}",
        damaged.stderr
    );
}

/// A tmux of its own, which wraps lines anew when its window is resized.
struct Tmux<'a>(&'a Workshop);

impl Tmux<'_> {
    fn call(&self, arguments: &[&str]) -> Option<Output> {
        let mut command = Command::new("tmux");
        command
            .current_dir(self.0.path(""))
            .env("TMUX_TMPDIR", self.0.path(""))
            .env_remove("TMUX")
            .args(["-f", "/dev/null", "-u"])
            .args(arguments);
        command.output().ok()
    }

    /// What stands on the screen and above it, without the blanks at the end of lines.
    fn text(&self) -> String {
        let output = self.call(&["capture-pane", "-p", "-S", "-"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait_for(&self, words: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            if text.contains(words) {
                return text;
            }
            assert!(began.elapsed().as_secs() < 60, "no {words:?} in {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        self.call(&["kill-server"]);
    }
}

#[test]
fn a_terminal_that_is_resized_keeps_no_remains_of_bars() {
    let workshop = Workshop::with_folders(10);
    workshop.write("own.yaml", SMALL);
    let tmux = Tmux(&workshop);
    // As in a session that has been going on for a while.
    let command = format!(
        "seq 30; {SIGNET} train own.yaml --run r -s train.epochs=9999; echo behind; exec sleep 60"
    );
    let Some(_) = tmux.call(&["new-session", "-d", "-x", "120", "-y", "24", &command]) else {
        println!("left out: there is no tmux");
        return;
    };
    tmux.wait_for("(val.accuracy ");
    for columns in ["60", "80", "30", "200", "45", "100", "61", "120"] {
        tmux.call(&["resize-window", "-x", columns]);
        std::thread::sleep(Duration::from_millis(600));
        let text = tmux.text();
        for (name, count) in [("epoch ", 1), ("step ", 1), ("lr ", 1), ("val ", 1)] {
            let lines = text.lines().filter(|line| line.starts_with(name));
            assert_eq!(lines.count(), count, "{columns} columns: {text}");
        }
    }
    tmux.call(&["send-keys", "C-c"]);
    let text = tmux.wait_for("behind");
    assert!(text.contains("stopped by SIGINT"), "{text}");
    for remains in ["epoch ", "step ", "░", "^C"] {
        let lines = text.lines().filter(|line| !line.starts_with("signet:"));
        let found: Vec<&str> = lines.filter(|line| line.contains(remains)).collect();
        assert!(found.is_empty(), "{remains} in {text}");
    }
}
