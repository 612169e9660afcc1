//! The processes that train a run together, as one of them sees them, and what they exchange.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tch::{Device, Tensor};

use super::launcher::Launcher;
use super::meeting::Meeting;
use crate::bridge::process_group::{Place, ProcessGroup, Store};
use crate::fault::{self, Blame, Fault};

/// How many times as long as for a step processes wait for each other at the start, when they read images.
const AT_START: u32 = 10;

/// This process among those that train a run together.
pub struct Ranks {
    rank: usize,
    world: usize,
    /// Its number among those of its machine.
    local_rank: usize,
    /// How many share its processors, itself included.
    sharing: usize,
    /// How long another process is waited for.
    patience: Duration,
    /// Whether their launcher has started others before them.
    restarted: bool,
    /// Where they met; none without a launcher.
    meeting: Option<Meeting>,
    /// How long exchanges have taken so far.
    exchanged: Cell<Duration>,
    /// Whether the training has begun.
    training: Cell<bool>,
    /// None before they are [connected](Ranks::connect), and once one of them is lost.
    group: RefCell<Option<ProcessGroup>>,
}

/// What is said where another process is the reason to stop.
#[derive(Debug)]
pub struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

impl Ranks {
    /// One process, which trains by itself.
    pub fn alone() -> Ranks {
        Ranks {
            rank: 0,
            world: 1,
            local_rank: 0,
            sharing: 1,
            patience: Duration::ZERO,
            restarted: false,
            meeting: None,
            exchanged: Cell::new(Duration::ZERO),
            training: Cell::new(false),
            group: RefCell::new(None),
        }
    }

    /// Those that a `launcher` has started, each of which waits for the others as long as `patience`.
    ///
    /// # Errors
    /// Processes that do not come: a fault of the run.
    pub fn meet(launcher: &Launcher, patience: Duration) -> Result<Ranks> {
        let meeting = Meeting::of(launcher, patience).blame(Fault::Run)?;
        let (sharing, before) = meeting.neighbours(launcher.rank);
        Ok(Ranks {
            rank: launcher.rank,
            world: launcher.world,
            local_rank: launcher.local_rank.unwrap_or(before),
            sharing,
            patience,
            restarted: launcher.restarted,
            meeting: Some(meeting),
            exchanged: Cell::new(Duration::ZERO),
            training: Cell::new(false),
            group: RefCell::new(None),
        })
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of processes.
    pub fn world(&self) -> usize {
        self.world
    }

    /// Whether their launcher has started others before them, of whose run it may keep no word.
    pub fn restarted(&self) -> bool {
        self.restarted
    }

    /// Whether this process owns the run directory and the terminal.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// The number of this process among those of its machine, from 0.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// How many processes share the processors of this one, itself included.
    pub fn sharing(&self) -> usize {
        self.sharing
    }

    /// The part of `range` that this process has to do; all parts together are `range`, in the order of ranks.
    pub fn share(&self, range: Range<usize>) -> Range<usize> {
        self.share_of(self.rank, range)
    }

    /// The part of `range` that `rank` has to do.
    pub fn share_of(&self, rank: usize, range: Range<usize>) -> Range<usize> {
        let at = |rank: usize| range.start + rank * range.len() / self.world;
        at(rank)..at(rank + 1)
    }

    /// Has tensors exchanged from now on: between CPUs, or between the GPUs called `device`.
    ///
    /// # Errors
    /// Processes that cannot be reached.
    pub fn connect(&self, device: Device) -> Result<()> {
        let Some(meeting) = self.meeting.as_ref().filter(|_| self.world > 1) else {
            return Ok(());
        };
        let (rank, world, patience) = (self.rank, self.world, self.patience);
        // c10d would wait to the end for one that has failed meanwhile.
        self.leave(&format!("ready/{rank}"), "")?;
        (0..world).try_for_each(|other| self.find(&format!("ready/{other}"), other).map(drop))?;
        let (prefix, address) = (meeting.prefix.clone(), meeting.address);
        let join = move |store: &Store| {
            let place = Place {
                prefix: &prefix,
                rank,
                world,
            };
            let interface = std::env::var("GLOO_SOCKET_IFNAME").ok();
            match device {
                Device::Cuda(gpu) => ProcessGroup::nccl(store, place, gpu, patience),
                _ => ProcessGroup::gloo(store, place, address, interface.as_deref(), patience),
            }
        };
        let group = meeting.store.ask(patience * AT_START, join);
        *self.group.borrow_mut() = Some(group.map_err(|error| self.lost(&error))?);
        Ok(())
    }

    /// Takes the training for begun from now on.
    pub fn begin(&self) {
        self.training.set(true);
    }

    /// How long exchanges have taken so far, with what the others were waited for.
    pub fn exchanged(&self) -> Duration {
        self.exchanged.get()
    }

    /// The numbers of all processes, `[world, n]`, by rank; this one has `own`, `[n]`.
    ///
    /// # Errors
    /// A process that is gone or does not answer, by name: [`Lost`].
    pub fn all_gather(&self, own: &Tensor) -> Result<Tensor> {
        self.gather(own, self.patience)
    }

    /// The same at the start, when one process may have more to read than another.
    ///
    /// # Errors
    /// As of [`Ranks::all_gather`].
    pub(super) fn gather_patiently(&self, own: &Tensor) -> Result<Tensor> {
        self.gather(own, self.patience * AT_START)
    }

    fn gather(&self, own: &Tensor, patience: Duration) -> Result<Tensor> {
        self.exchange(|| own.unsqueeze(0), |group| group.all_gather(own, patience))
    }

    /// The sum of `own`, of any shape, over all processes; its bits depend on their number.
    ///
    /// # Errors
    /// As of [`Ranks::all_gather`].
    pub fn all_reduce(&self, own: &Tensor) -> Result<Tensor> {
        self.exchange(
            || own.shallow_clone(),
            |group| group.all_reduce(own, self.patience),
        )
    }

    /// What rank 0 has as `own`, of the same shape everywhere.
    ///
    /// # Errors
    /// As of [`Ranks::all_gather`].
    pub fn broadcast(&self, own: &Tensor) -> Result<Tensor> {
        self.exchange(
            || own.shallow_clone(),
            |group| group.broadcast(own, self.patience),
        )
    }

    /// Waits until all processes are here.
    ///
    /// # Errors
    /// As of [`Ranks::all_gather`].
    pub fn barrier(&self) -> Result<()> {
        self.all_gather(&Tensor::from_slice(&[0u8])).map(drop)
    }

    /// What `work` gives, which leaves something on the disk that makes it easier for the others of the same machine: the first
    /// of them does it first.
    ///
    /// # Errors
    /// Those of `work`, and as of [`Ranks::all_gather`].
    pub fn one_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = || self.gather_patiently(&Tensor::from_slice(&[0u8])).map(drop);
        if self.local_rank == 0 {
            let own = work()?;
            done()?;
            Ok(own)
        } else {
            done()?;
            work()
        }
    }

    /// What `exchange` makes of a group, or what one process has `alone`.
    fn exchange(
        &self,
        alone: impl FnOnce() -> Tensor,
        exchange: impl FnOnce(&ProcessGroup) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if self.world == 1 {
            return Ok(alone());
        }
        let began = Instant::now();
        let done = match &*self.group.borrow() {
            Some(group) => exchange(group),
            None => Err(anyhow!("the processes are not connected")),
        };
        self.exchanged.set(self.exchanged.get() + began.elapsed());
        done.map_err(|error| self.lost(&error))
    }

    /// Leaves a `text` under `key` for the others.
    ///
    /// # Errors
    /// The process that holds the store is gone: [`Lost`].
    pub fn leave(&self, key: &str, text: &str) -> Result<()> {
        match &self.meeting {
            Some(meeting) => meeting.set(key, text).map_err(|error| self.lost(&error)),
            None => Ok(()),
        }
    }

    /// The text that `rank` leaves under `key`, for which is waited.
    ///
    /// # Errors
    /// It leaves none in time: [`Lost`].
    pub fn find(&self, key: &str, rank: usize) -> Result<String> {
        let meeting = self.meeting.as_ref();
        let meeting = meeting.ok_or_else(|| anyhow!("one process alone leaves no texts"))?;
        let patience = self.patience * AT_START;
        let found = meeting.wait(key, &[rank], patience);
        found.map_err(|error| self.lost(&error))
    }

    /// The directory that an earlier attempt of this launcher has made for the run.
    ///
    /// # Errors
    /// The store is gone: [`Lost`].
    pub fn run_of_earlier_attempt(&self) -> Result<Option<PathBuf>> {
        let Some(meeting) = &self.meeting else {
            return Ok(None);
        };
        let run = meeting.run().map_err(|error| self.lost(&error))?;
        Ok(run.map(PathBuf::from))
    }

    /// Remembers the directory of the run for attempts to come.
    ///
    /// # Errors
    /// The store is gone: [`Lost`].
    pub fn remember_run(&self, folder: &Path) -> Result<()> {
        let Some(meeting) = &self.meeting else {
            return Ok(());
        };
        let folder = std::path::absolute(folder)?;
        let run = meeting.remember_run(&folder.to_string_lossy());
        run.map_err(|error| self.lost(&error))
    }

    /// Passes `result` on. An error of this process's own is told to the others, and where it holds the store, it stays until
    /// they have heard.
    ///
    /// # Errors
    /// The same.
    pub fn told<T>(&self, result: Result<T>) -> Result<T> {
        let (Err(error), Some(meeting)) = (&result, &self.meeting) else {
            return result;
        };
        let stopped = matches!(
            fault::fault_of(error),
            Some(Fault::Interrupted | Fault::Terminated)
        );
        if stopped {
            return result; // with all others
        }
        if fault::cause::<Lost>(error).is_some() {
            return result; // another process has told it
        }
        meeting.fail(self.rank, &format!("{error:#}"));
        drop(self.group.borrow_mut().take());
        if meeting.serves {
            let _ = meeting.word_of_others(self.rank);
        }
        result
    }

    /// The error of a process for which an exchange with others has failed: who of them is the reason.
    fn lost(&self, error: &anyhow::Error) -> anyhow::Error {
        drop(self.group.borrow_mut().take()); // who is still connected notices at once
        let who = match &self.meeting {
            Some(meeting) => meeting.who_is_lost(self.rank, self.patience, error),
            None => format!("{error:#}"),
        };
        let lost = Lost(if self.training.get() {
            format!("{who}; the newest checkpoint is kept, and `signet resume` goes on from it")
        } else {
            who
        });
        match Err::<(), _>(lost).blame(Fault::Run) {
            Err(error) => error,
            Ok(()) => unreachable!("it is an error"),
        }
    }
}
