//! How the processes of a run find each other: in a store, under a name that no earlier attempt has used.
//!
//! A launcher that starts processes anew keeps its store, with all that those before them have left there. So rank 0 makes an
//! offer that is new each time; the others come to it, and it goes on with those whose coming it has seen. Who came to the
//! offer of an earlier attempt does not find itself among them, and looks again.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, bail, ensure};
use rustix::system::uname;
use serde::{Deserialize, Serialize};

use super::launcher::Launcher;
use super::lost::{PATIENCE, named};
use super::store::PatientStore;
use crate::bridge::process;

/// How long a process waits before it looks into the store again.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// The latest offer.
const OFFER: &str = "signet/offer";

/// The run directory that an earlier attempt has made.
const RUN: &str = "signet/run";

/// What a process tells when it comes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Arrival {
    /// What no other arrival has.
    own: String,
    version: String,
    world: usize,
    /// Its machine.
    host: String,
    /// The processors it may use.
    cpus: String,
}

impl Arrival {
    fn here(world: usize) -> Arrival {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_nanos());
        let host = uname().nodename().to_string_lossy().into_owned();
        Arrival {
            own: format!("{host}-{}-{now:x}", std::process::id()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            world,
            host,
            cpus: process::cpu_list(),
        }
    }
}

/// A store in which all processes of one attempt have met.
pub(super) struct Meeting {
    pub(super) store: PatientStore,
    /// What its keys begin with.
    pub(super) prefix: String,
    /// Every process, by rank.
    pub(super) arrivals: Vec<Arrival>,
    /// Whether this process holds the store.
    pub(super) serves: bool,
    /// Where the others reach this one.
    pub(super) address: IpAddr,
}

impl Meeting {
    /// Meets the other processes, which are waited for as long as `patience`.
    ///
    /// # Errors
    /// A port that is taken, processes that do not come, or come as another version; each by name.
    pub(super) fn of(launcher: &Launcher, patience: Duration) -> Result<Meeting> {
        // Rank 0 knows who is missing, so the others let it speak first.
        let longer = if launcher.rank == 0 {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let until = Instant::now() + patience + longer;
        let serves = launcher.rank == 0 && !launcher.holds_store;
        let own = Arrival::here(launcher.world);
        let (address, store) = open(launcher, serves, until, patience)?;
        let mut meeting = Meeting {
            store,
            prefix: format!("signet/{}", own.own),
            arrivals: Vec::new(),
            serves,
            address,
        };
        if launcher.rank == 0 {
            let received = meeting.receive(own, launcher.world, until, patience);
            received.inspect_err(|why| {
                meeting.fail(0, &why.to_string());
                std::thread::sleep(PATIENCE / 2); // or the others would find the store gone
            })?;
        } else {
            meeting.come(own, launcher, until, patience)?;
        }
        Ok(meeting)
    }

    /// Rank 0 makes an offer and waits until everybody has come.
    fn receive(
        &mut self,
        own: Arrival,
        world: usize,
        until: Instant,
        patience: Duration,
    ) -> Result<()> {
        self.store.set(OFFER, &self.prefix)?;
        let mut missing: BTreeSet<usize> = (1..world).collect();
        let mut arrivals = vec![own; world];
        loop {
            for rank in missing.clone() {
                let Some(text) = self.get(&format!("here/{rank}"))? else {
                    continue;
                };
                arrivals[rank] = fitting(rank, &text, &arrivals[0])?;
                missing.remove(&rank);
            }
            if missing.is_empty() {
                break;
            }
            if Instant::now() > until {
                bail!(
                    "{} did not come within {} s (run.timeout); {} started?",
                    named(&missing),
                    patience.as_secs(),
                    if missing.len() == 1 {
                        "was it"
                    } else {
                        "were they"
                    },
                );
            }
            std::thread::sleep(PAUSE);
        }
        self.set("go", &serde_json::to_string(&arrivals)?)?;
        self.arrivals = arrivals;
        Ok(())
    }

    /// Comes to the latest offer of rank 0, until it is taken in.
    fn come(
        &mut self,
        own: Arrival,
        launcher: &Launcher,
        until: Instant,
        patience: Duration,
    ) -> Result<()> {
        let (rank, text) = (launcher.rank, serde_json::to_string(&own)?);
        let mut came_to = None;
        loop {
            if let Some(offer) = self.store.get(OFFER)?
                && came_to.as_ref() != Some(&offer)
            {
                self.prefix.clone_from(&offer);
                // Rank 0 of an earlier attempt may have given up long ago.
                if self.failure(0)?.is_none() {
                    self.set(&format!("here/{rank}"), &text)?;
                    came_to = Some(offer);
                }
            }
            if came_to.is_some() {
                if let Some(go) = self.get("go")? {
                    let arrivals: Vec<Arrival> = serde_json::from_str(&go)
                        .map_err(|_| anyhow!("rank 0 is another version of signet"))?;
                    if arrivals.get(rank).is_some_and(|known| known.own == own.own) {
                        self.arrivals = arrivals;
                        return Ok(());
                    }
                }
                if let Some(why) = self.failure(0)? {
                    bail!("rank 0 gave up: {why}");
                }
            }
            ensure!(
                Instant::now() < until,
                "rank 0 did not take this process in within {} s (run.timeout); was it started, and has no other process the \
                 rank {rank}?",
                patience.as_secs()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Puts `value` under a `key` of this attempt.
    pub(super) fn set(&self, key: &str, value: &str) -> Result<()> {
        self.store.set(&format!("{}/{key}", self.prefix), value)
    }

    /// What lies under a `key` of this attempt, if anything does.
    pub(super) fn get(&self, key: &str) -> Result<Option<String>> {
        self.store.get(&format!("{}/{key}", self.prefix))
    }

    /// The run directory that was made in this store's time.
    pub(super) fn run(&self) -> Result<Option<String>> {
        self.store.get(RUN)
    }

    /// Remembers the run directory for attempts to come.
    pub(super) fn remember_run(&self, folder: &str) -> Result<()> {
        self.store.set(RUN, folder)
    }

    /// What lies under `key`, for which this process waits as long as `patience`, or until one of `ranks` has failed.
    pub(super) fn wait(&self, key: &str, ranks: &[usize], patience: Duration) -> Result<String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(value) = self.get(key)? {
                return Ok(value);
            }
            for &rank in ranks {
                if let Some(why) = self.failure(rank)? {
                    bail!("rank {rank} failed: {why}");
                }
            }
            ensure!(
                Instant::now() < until,
                "{} did not answer within {} s",
                named(ranks.iter()),
                patience.as_secs()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// How many processes share the processors of the one called `rank`, itself included, and how many of its machine come
    /// before it.
    pub(super) fn neighbours(&self, rank: usize) -> (usize, usize) {
        let own = &self.arrivals[rank];
        let sharing = self
            .arrivals
            .iter()
            .filter(|other| other.host == own.host && other.cpus == own.cpus);
        let before = self.arrivals[..rank]
            .iter()
            .filter(|other| other.host == own.host);
        (sharing.count(), before.count())
    }
}

/// The arrival of `rank`, if it is one of the same kind as that of rank 0.
fn fitting(rank: usize, text: &str, first: &Arrival) -> Result<Arrival> {
    let Ok(arrival) = serde_json::from_str::<Arrival>(text) else {
        bail!(
            "rank {rank} is another version of signet than rank 0 ({})",
            first.version
        );
    };
    ensure!(
        arrival.version == first.version,
        "rank {rank} is signet {}, and rank 0 {}; start the same program everywhere",
        arrival.version,
        first.version
    );
    ensure!(
        arrival.world == first.world,
        "rank {rank} was told of {} processes (WORLD_SIZE), and rank 0 of {}",
        arrival.world,
        first.world
    );
    Ok(arrival)
}

/// Opens the store, and tells where other machines reach this one.
fn open(
    launcher: &Launcher,
    serves: bool,
    until: Instant,
    patience: Duration,
) -> Result<(IpAddr, PatientStore)> {
    let Launcher { host, port, .. } = launcher;
    let place = format!("{host}:{port}");
    let left = || until.saturating_duration_since(Instant::now()).max(PAUSE);
    if !serves {
        // c10d would try for longer, and say less.
        while !is_there(&place, left().min(Duration::from_secs(1))) {
            ensure!(
                Instant::now() < until,
                "{} cannot be reached at {place} (MASTER_ADDR, MASTER_PORT) within {} s (run.timeout); was it started?",
                if launcher.holds_store {
                    "the launcher"
                } else {
                    "rank 0"
                },
                patience.as_secs()
            );
            std::thread::sleep(PAUSE);
        }
    }
    let store = PatientStore::open(launcher, serves, left(), patience).map_err(|error| {
        let taken = serves && format!("{error:#}").contains("EADDRINUSE");
        if taken {
            anyhow!("port {port} of this machine is taken; set MASTER_PORT to another one for all processes")
        } else {
            error.context(format!("cannot meet at {place} (MASTER_ADDR, MASTER_PORT)"))
        }
    })?;
    Ok((own_address(&place), store))
}

fn is_there(place: &str, patience: Duration) -> bool {
    let addresses = place.to_socket_addrs().into_iter().flatten();
    addresses
        .into_iter()
        .any(|address| TcpStream::connect_timeout(&address, patience).is_ok())
}

/// The address of this machine in the network in which `place` is. Nothing is sent there.
fn own_address(place: &str) -> IpAddr {
    let address = || {
        let there = place.to_socket_addrs().ok()?.next()?;
        let any = if there.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(there).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    address().unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_of_another_version_or_of_another_number_of_processes_is_named() {
        let first = Arrival::here(2);
        let as_text = |arrival: &Arrival| serde_json::to_string(arrival).unwrap();
        assert!(fitting(1, &as_text(&Arrival::here(2)), &first).is_ok());
        let says = |text: &str| fitting(1, text, &first).unwrap_err().to_string();
        let mut older = Arrival::here(2);
        older.version = "0.1.0".to_owned();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            says(&as_text(&older)),
            format!(
                "rank 1 is signet 0.1.0, and rank 0 {version}; start the same program everywhere"
            )
        );
        assert!(says(&as_text(&Arrival::here(3))).contains("told of 3 processes (WORLD_SIZE)"));
        assert!(says("{}").contains("another version"));
    }
}
