//! Who is lost: a process that cannot go on leaves word in the store, and so do all others that notice. Who has left none in a
//! while is gone, or hangs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::meeting::{Meeting, PAUSE};

/// What processes have left.
pub(super) struct Word {
    /// Who failed, and why.
    failed: Vec<(usize, String)>,
    /// Who has left none.
    silent: BTreeSet<usize>,
}

/// How long a process that cannot go on waits for word of the others.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl Meeting {
    /// Leaves word that `rank` goes on no longer, and why; nobody may be left to read it.
    pub(super) fn fail(&self, rank: usize, why: &str) {
        let _ = self.set(&format!("failed/{rank}"), why);
    }

    /// Why `rank` goes on no longer, if it has left word.
    pub(super) fn failure(&self, rank: usize) -> Result<Option<String>> {
        self.get(&format!("failed/{rank}"))
    }

    /// Who is the reason that the process called `rank` cannot go on, for which an exchange has failed with `error`. Everybody
    /// who is left leaves word; who has left none in a while is gone, or hangs.
    pub(super) fn who_is_lost(
        &self,
        rank: usize,
        patience: Duration,
        error: &anyhow::Error,
    ) -> String {
        self.store.hurry(PATIENCE); // its process may be the one that hangs
        let left = self.set(&format!("lost/{rank}"), "");
        let Word { failed, silent } = match left.and_then(|()| self.word_of_others(rank)) {
            Ok(word) => word,
            Err(gone) => return gone.to_string(),
        };
        let mut reasons: Vec<String> = failed
            .into_iter()
            .map(|(rank, why)| format!("rank {rank} failed: {why}"))
            .collect();
        if !silent.is_empty() {
            reasons.push(format!(
                "{} {} gone, or did not answer within {} s (run.timeout)",
                named(&silent),
                if silent.len() == 1 { "is" } else { "are" },
                patience.as_secs()
            ));
        }
        if reasons.is_empty() {
            reasons.push(format!(
                "the connection to another process was lost ({error:#})"
            ));
        }
        reasons.join("; ")
    }

    /// The word that the others leave the process called `rank` within [`PATIENCE`].
    pub(super) fn word_of_others(&self, rank: usize) -> Result<Word> {
        let until = Instant::now() + PATIENCE;
        let mut silent: BTreeSet<usize> = (0..self.arrivals.len()).collect();
        silent.remove(&rank);
        let mut failed = Vec::new();
        while !silent.is_empty() && Instant::now() < until {
            for other in silent.clone() {
                let heard = self.failure(other).and_then(|failure| {
                    let left = failure.is_some() || self.get(&format!("lost/{other}"))?.is_some();
                    Ok((failure, left))
                });
                match heard {
                    Ok((failure, left)) => {
                        if left {
                            silent.remove(&other);
                        }
                        failed.extend(failure.map(|why| (other, why)));
                    }
                    // It has left word, and then the store with it.
                    Err(_) if !silent.contains(&0) => return Ok(Word { failed, silent }),
                    Err(gone) => return Err(gone),
                }
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Word { failed, silent })
    }
}

/// `rank 1`, or `ranks 1, 3`.
pub(super) fn named<'r>(ranks: impl IntoIterator<Item = &'r usize>) -> String {
    let ranks: Vec<String> = ranks.into_iter().map(usize::to_string).collect();
    match &ranks[..] {
        [one] => format!("rank {one}"),
        all => format!("ranks {}", all.join(", ")),
    }
}
