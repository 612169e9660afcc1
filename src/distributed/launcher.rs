//! What a launcher told this process in its environment: torchrun tells all of it, and under srun, mpirun or by hand one
//! exports `WORLD_SIZE` and where rank 0 is.

use std::fmt;

use anyhow::{Result, anyhow, bail};

use crate::fault::{Blame, Fault};

/// The number of processes; without it nothing is distributed, whatever launcher there is. Not for processes that this one
/// starts itself.
pub const WORLD: &str = "WORLD_SIZE";

/// Where launchers tell the number of a process, and which they are; the first that tells counts.
const RANKS: [(&str, &str); 4] = [
    ("RANK", "the environment"),
    ("OMPI_COMM_WORLD_RANK", "mpirun"),
    ("PMI_RANK", "mpirun"),
    ("SLURM_PROCID", "srun"),
];

/// The port of PyTorch's stores, where `MASTER_PORT` names none.
const PORT: u16 = 29500;

/// One of the processes that a launcher has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// What told the number of the process.
    pub name: &'static str,
    /// The number of this process, from 0.
    pub rank: usize,
    /// The number of processes.
    pub world: usize,
    /// The number of this process among those of its machine, if it was told.
    pub local_rank: Option<usize>,
    /// The host of the store, where they meet.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the launcher holds the store, and not rank 0.
    pub holds_store: bool,
    /// Whether it has started processes of this run before.
    pub restarted: bool,
}

impl Launcher {
    /// Of this process, if it is one of several, or may be one day: torchrun goes on with fewer.
    ///
    /// # Errors
    /// Variables that are missing or make no sense together: a fault of the config.
    pub fn here() -> Result<Option<Launcher>> {
        Launcher::read(|name| {
            let value = std::env::var_os(name)?.to_string_lossy().into_owned();
            Some(value).filter(|value| !value.trim().is_empty())
        })
        .blame(Fault::Config)
    }

    /// What one should know of a launcher that has started several processes without telling any of them of the others.
    pub fn remark() -> Option<String> {
        remark(|name| std::env::var(name).ok())
    }

    fn read(told: impl Fn(&str) -> Option<String>) -> Result<Option<Launcher>> {
        let number = |name: &str| -> Result<Option<usize>> {
            let Some(value) = told(name) else {
                return Ok(None);
            };
            let number = value.trim().parse();
            let number = number.map_err(|_| anyhow!("{name} is {value:?}, which is no number"))?;
            Ok(Some(number))
        };
        let Some(world) = number(WORLD)? else {
            return Ok(None);
        };
        if world == 0 {
            bail!("{WORLD} is 0; it is the number of processes, from 1");
        }
        let elastic = told("TORCHELASTIC_RUN_ID").is_some();
        let mut found = None;
        for (variable, name) in RANKS {
            if let Some(rank) = number(variable)? {
                found = Some((rank, variable, if elastic { "torchrun" } else { name }));
                break;
            }
        }
        let Some((rank, variable, name)) = found else {
            if world == 1 {
                return Ok(None);
            }
            bail!(
                "{WORLD} is {world}, and nothing says which of them this process is: set RANK from 0 to {}, or start it with \
                 torchrun, srun or mpirun; unset {WORLD} to train in one process",
                world - 1
            );
        };
        if rank >= world {
            bail!(
                "{variable} is {rank}, and {WORLD} {world}: ranks count from 0 to {}",
                world - 1
            );
        }
        let holds_store = told("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|told| told == "True");
        if world == 1 && !holds_store {
            return Ok(None);
        }
        let host = match (told("MASTER_ADDR"), number("LOCAL_WORLD_SIZE")?) {
            (Some(host), _) => host,
            (None, Some(local)) if local == world => "127.0.0.1".to_owned(),
            (None, _) => bail!(
                "{WORLD} is {world}, and MASTER_ADDR is not set: name the machine of rank 0, 127.0.0.1 if there is no other"
            ),
        };
        let port = match number("MASTER_PORT")? {
            None => PORT,
            Some(port) => u16::try_from(port)
                .map_err(|_| anyhow!("MASTER_PORT is {port}; ports end at {}", u16::MAX))?,
        };
        Ok(Some(Launcher {
            name,
            rank,
            world,
            local_rank: number("LOCAL_RANK")?,
            host,
            port,
            holds_store,
            restarted: number("TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0) > 0,
        }))
    }
}

/// Where launchers tell how many processes they have started, beside [`RANKS`].
const COUNTS: [(&str, &str); 3] = [
    ("OMPI_COMM_WORLD_SIZE", "mpirun"),
    ("PMI_SIZE", "mpirun"),
    ("SLURM_STEP_NUM_TASKS", "srun"),
];

fn remark(told: impl Fn(&str) -> Option<String>) -> Option<String> {
    if told(WORLD).is_some() {
        return None;
    }
    let count = |name: &str| told(name)?.parse::<usize>().ok().filter(|count| *count > 1);
    let (count, name) = COUNTS
        .iter()
        .find_map(|(variable, name)| Some((count(variable)?, name)))?;
    Some(format!(
        "this is one of {count} processes that {name} has started, and each of them trains by itself; export {WORLD}={count} \
         and MASTER_ADDR to train together"
    ))
}

/// `rank 1 of 4, by torchrun, which holds the store at 127.0.0.1:29500`.
impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Launcher {
            name,
            rank,
            world,
            host,
            port,
            ..
        } = self;
        let holder = if self.holds_store {
            "which holds the store"
        } else {
            "where rank 0 holds the store"
        };
        write!(
            f,
            "rank {rank} of {world}, by {name}, {holder} at {host}:{port}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Launcher>> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Launcher::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn every_launcher_is_understood_and_none_without_a_world_size() {
        let torchrun = [
            ("WORLD_SIZE", "4"),
            ("RANK", "3"),
            ("LOCAL_RANK", "1"),
            ("MASTER_ADDR", "node-0"),
            ("MASTER_PORT", "1234"),
            ("TORCHELASTIC_RUN_ID", "none"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
        ];
        let expected = Launcher {
            name: "torchrun",
            rank: 3,
            world: 4,
            local_rank: Some(1),
            host: "node-0".to_owned(),
            port: 1234,
            holds_store: true,
            restarted: false,
        };
        assert_eq!(read(&torchrun).unwrap(), Some(expected));
        let by = |variable, name| {
            let told = [("WORLD_SIZE", "2"), (variable, "1"), ("MASTER_ADDR", "a")];
            let found = read(&told).unwrap().unwrap();
            assert_eq!((found.name, found.rank, found.port), (name, 1, 29500));
            assert!(!found.holds_store);
        };
        by("RANK", "the environment");
        by("OMPI_COMM_WORLD_RANK", "mpirun");
        by("PMI_RANK", "mpirun");
        by("SLURM_PROCID", "srun");
        // What batch systems tell every process, and what people leave behind.
        for told in [
            &[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "2")][..],
            &[("RANK", "1"), ("MASTER_ADDR", "a")],
            &[("WORLD_SIZE", "1"), ("RANK", "0")],
            &[("WORLD_SIZE", "1")],
            &[],
        ] {
            assert_eq!(read(told).unwrap(), None, "{told:?}");
        }
        // A torchrun of one process may have been one of two, whose run goes on.
        let last = [
            ("WORLD_SIZE", "1"),
            ("RANK", "0"),
            ("MASTER_ADDR", "a"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
        ];
        assert_eq!(read(&last).unwrap().unwrap().world, 1);
    }

    #[test]
    fn several_processes_that_are_not_told_of_each_other_are_remarked_upon() {
        let remark = |told: &'static [(&str, &str)]| {
            remark(|name| {
                let found = told.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let said = remark(&[("SLURM_STEP_NUM_TASKS", "4")]).unwrap();
        assert!(said.contains("4 processes that srun") && said.contains("WORLD_SIZE=4"));
        assert!(remark(&[("OMPI_COMM_WORLD_SIZE", "2")]).is_some());
        // A batch script knows the number of tasks, too, and is one process.
        assert_eq!(remark(&[("SLURM_NTASKS", "4")]), None);
        assert_eq!(remark(&[("SLURM_STEP_NUM_TASKS", "1")]), None);
        assert_eq!(
            remark(&[("SLURM_STEP_NUM_TASKS", "4"), ("WORLD_SIZE", "4")]),
            None
        );
    }

    #[test]
    fn variables_that_are_half_set_name_the_next_one_to_set() {
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[("WORLD_SIZE", "2")], "set RANK from 0 to 1"),
            (&[("WORLD_SIZE", "two")], "WORLD_SIZE is \"two\""),
            (&[("WORLD_SIZE", "0")], "from 1"),
            (
                &[("WORLD_SIZE", "2"), ("RANK", "2")],
                "ranks count from 0 to 1",
            ),
            (
                &[("WORLD_SIZE", "2"), ("RANK", "1")],
                "MASTER_ADDR is not set",
            ),
            (
                &[
                    ("WORLD_SIZE", "2"),
                    ("RANK", "1"),
                    ("MASTER_ADDR", "a"),
                    ("MASTER_PORT", "70000"),
                ],
                "ports end at 65535",
            ),
        ];
        for (told, expected) in cases {
            let error = read(told).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
