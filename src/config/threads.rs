//! How many threads compute, and who said so.
//!
//! `auto` is one thread for each processor, which processes of one run share, but no more than a step has work for: measured on two processors, networks of
//! 8 MFLOP a step and less are as fast on one thread, and those of 50 a quarter faster on two.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_yaml::Value;

use super::key::{Rule, Shape};
use super::setting::{Setting, describe};
use crate::bridge::process;

/// The most threads that can be asked for.
const MOST: usize = 1024;

/// Work of a training step that is worth a thread, in floating point operations.
const WORTH_A_THREAD: f64 = 8e6;

/// Variables by which a machine's owner or its batch system settles the number, the first that does so first.
const VARIABLES: [&str; 2] = ["OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"];

/// Threads of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// As many as the environment says, or else one per processor that this process may use, if there is work for them.
    Auto,
    /// This number of threads, from 1 to 1024.
    Count(usize),
}

/// A number of threads with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// From 1 to 1024.
    pub count: usize,
    /// Processors that this process may use.
    pub cpus: usize,
    /// Whether a step has no work for more.
    pub enough: bool,
    /// The environment variable that says so, if one does.
    pub variable: Option<&'static str>,
    /// Variables that say something else than a number of threads, with what they say.
    pub passed_over: Vec<(&'static str, String)>,
}

impl Threads {
    /// The number to use on this machine for training steps of `work` floating point operations, where so many processes
    /// are `sharing` its processors, this one included.
    pub fn settle(self, work: f64, sharing: usize) -> Settled {
        let cpus = (process::cpus() / sharing).max(1);
        match self {
            Threads::Count(count) => Settled {
                count,
                cpus,
                enough: false,
                variable: None,
                passed_over: Vec::new(),
            },
            Threads::Auto => automatic(cpus, work, |variable| {
                let value = std::env::var_os(variable)?;
                Some(value.to_string_lossy().into_owned())
            }),
        }
    }
}

/// What `auto` comes to on `cpus` processors in an environment.
fn automatic(cpus: usize, work: f64, environment: impl Fn(&str) -> Option<String>) -> Settled {
    let busy = (work / WORTH_A_THREAD).clamp(1.0, MOST as f64) as usize;
    let mut settled = Settled {
        count: cpus.min(busy),
        cpus,
        enough: busy < cpus,
        variable: None,
        passed_over: Vec::new(),
    };
    for variable in VARIABLES {
        let value = environment(variable).filter(|value| !value.trim().is_empty());
        let Some(value) = value else { continue };
        if value == "1" && is_of_torchrun(&environment) {
            continue;
        }
        // OpenMP takes a list, a number for each level of nesting; there is one level here.
        let first = value.split(',').next().unwrap_or_default().trim();
        match first.parse() {
            Ok(count @ 1..=MOST) => {
                settled.count = count;
                settled.enough = false;
                settled.variable = Some(variable);
                break;
            }
            _ => settled.passed_over.push((variable, value)),
        }
    }
    settled
}

/// Whether an OMP_NUM_THREADS of 1 is what torchrun sets for each of several processes where nobody else has.
fn is_of_torchrun(environment: impl Fn(&str) -> Option<String>) -> bool {
    let several = environment("LOCAL_WORLD_SIZE").is_some_and(|count| count != "1");
    several && environment("TORCHELASTIC_RUN_ID").is_some()
}

impl Settled {
    /// A sentence for every variable that was passed over, and one where there are more threads than processors.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        let remark = |(variable, value): &(&str, String)| {
            let value = describe(&Value::from(value.as_str()));
            format!(
                "{variable} is {value}, which is not a number from 1 to {MOST}; threads: auto ignores it"
            )
        };
        let crowd = (self.count > self.cpus).then(|| {
            format!(
                "{} threads share {} processor(s) and wait for each other; use threads: {}, or auto",
                self.count, self.cpus, self.cpus
            )
        });
        self.passed_over.iter().map(remark).chain(crowd)
    }
}

/// `2 thread(s)`, and where the number comes from if not from the experiment or the processors.
impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} thread(s)", self.count)?;
        match self.variable {
            Some(variable) => write!(f, ", as {variable} says"),
            None if self.enough => f.write_str(", enough for steps so small"),
            None => Ok(()),
        }
    }
}

impl Serialize for Threads {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Threads::Auto => serializer.serialize_str("auto"),
            Threads::Count(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl Setting for Threads {
    fn shape(_: Rule) -> Shape {
        Shape::Form("a number of threads from 1 to 1024, or auto", &["auto"])
    }

    fn read(value: &Value) -> Result<Threads, String> {
        let count = value.as_u64().and_then(|count| count.try_into().ok());
        match (count, value.as_str()) {
            (Some(count @ 1..=MOST), _) => Ok(Threads::Count(count)),
            (_, Some("auto")) => Ok(Threads::Auto),
            _ => Err(format!(
                "expected auto or a number of threads from 1 to {MOST}, found {}",
                describe(value)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_obeys_the_first_variable_that_holds_a_number_and_names_the_others() {
        // OMP_NUM_THREADS, SLURM_CPUS_PER_TASK; the count on 8 processors, what is said
        let cases = [
            (None, None, 8, "8 thread(s)"),
            (Some(""), None, 8, "8 thread(s)"),
            (
                Some("2"),
                Some("3"),
                2,
                "2 thread(s), as OMP_NUM_THREADS says",
            ),
            (
                Some(" 4 ,2"),
                None,
                4,
                "4 thread(s), as OMP_NUM_THREADS says",
            ),
            (
                None,
                Some("3"),
                3,
                "3 thread(s), as SLURM_CPUS_PER_TASK says",
            ),
            (
                Some("0"),
                Some("3"),
                3,
                "3 thread(s), as SLURM_CPUS_PER_TASK says",
            ),
            (Some("many"), Some("1025"), 8, "8 thread(s)"),
        ];
        for (omp, slurm, count, words) in cases {
            let found = automatic(8, f64::INFINITY, |variable| {
                let value = if variable.starts_with("OMP") {
                    omp
                } else {
                    slurm
                };
                value.map(str::to_owned)
            });
            assert_eq!((found.count, found.to_string()), (count, words.to_owned()));
        }
        let found = automatic(8, f64::INFINITY, |_| Some("many".to_owned()));
        assert_eq!(
            found.remarks().next().unwrap(),
            "OMP_NUM_THREADS is \"many\", which is not a number from 1 to 1024; threads: auto ignores it"
        );
        assert_eq!(found.remarks().count(), 2);
    }

    #[test]
    fn auto_takes_no_more_threads_than_a_step_has_work_for() {
        // Floating point operations of a step, processors; threads, what is said
        let cases = [
            (0.0, 2, 1, "1 thread(s), enough for steps so small"),
            (15e6, 2, 1, "1 thread(s), enough for steps so small"),
            (16e6, 2, 2, "2 thread(s)"),
            (48e6, 64, 6, "6 thread(s), enough for steps so small"),
            (1e12, 64, 64, "64 thread(s)"),
            (
                1e30,
                4096,
                1024,
                "1024 thread(s), enough for steps so small",
            ),
            (0.0, 1, 1, "1 thread(s)"),
        ];
        for (work, cpus, count, words) in cases {
            let found = automatic(cpus, work, |_| None);
            assert_eq!((found.count, found.to_string()), (count, words.to_owned()));
        }
        let told = automatic(8, 0.0, |variable| {
            (variable == "OMP_NUM_THREADS").then(|| "3".to_owned())
        });
        assert_eq!(told.to_string(), "3 thread(s), as OMP_NUM_THREADS says");
        assert_eq!(told.remarks().count(), 0);
    }

    #[test]
    fn the_one_thread_that_torchrun_sets_for_each_process_is_nobodys_wish() {
        let settled = |threads: &str, by_torchrun: bool| {
            let found = automatic(4, f64::INFINITY, |variable| match variable {
                "OMP_NUM_THREADS" => Some(threads.to_owned()),
                "TORCHELASTIC_RUN_ID" if by_torchrun => Some("none".to_owned()),
                "LOCAL_WORLD_SIZE" if by_torchrun => Some("2".to_owned()),
                _ => None,
            });
            found.count
        };
        assert_eq!(settled("1", true), 4);
        assert_eq!(settled("2", true), 2);
        assert_eq!(settled("1", false), 1);
    }

    #[test]
    fn more_threads_than_processors_are_remarked_upon() {
        let told = automatic(2, 0.0, |_| Some("3".to_owned()));
        let remarks: Vec<String> = told.remarks().collect();
        assert_eq!(
            remarks,
            ["3 threads share 2 processor(s) and wait for each other; use threads: 2, or auto"]
        );
    }
}
