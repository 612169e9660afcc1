//! The store as processes use it. c10d's waits for ever where the process that holds it hangs; so a thread of its own asks it,
//! and who wants the answer waits no longer than it should.

use std::cell::Cell;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::launcher::Launcher;
use crate::bridge::process_group::Store;

type Question = Box<dyn FnOnce(&Store) + Send>;

/// A store that answers in time, or not at all.
pub(super) struct PatientStore {
    questions: Sender<Question>,
    patience: Cell<Duration>,
    /// Who holds it.
    holder: &'static str,
}

impl PatientStore {
    /// The store of a `launcher`, which this process is to `serve` or joins, `left` being the time left for that; each of its
    /// answers is waited for as long as `patience`.
    ///
    /// # Errors
    /// As of [`Store::open`].
    pub(super) fn open(
        launcher: &Launcher,
        serve: bool,
        left: Duration,
        patience: Duration,
    ) -> Result<PatientStore> {
        let (questions, asked) = channel::<Question>();
        let (opened, answer) = channel();
        let (host, port) = (launcher.host.clone(), launcher.port);
        std::thread::Builder::new().spawn(move || {
            match Store::open(&host, port, serve, left) {
                Err(error) => drop(opened.send(Err(error))),
                Ok(store) => {
                    let _ = opened.send(Ok(()));
                    asked.into_iter().for_each(|question| question(&store));
                }
            };
        })?;
        answer
            .recv_timeout(left + patience)
            .map_err(|_| anyhow!("the store does not answer"))??;
        Ok(PatientStore {
            questions,
            patience: Cell::new(patience),
            holder: if launcher.holds_store {
                "the launcher"
            } else {
                "rank 0"
            },
        })
    }

    /// Has answers waited for only as long as `patience` from now on.
    pub(super) fn hurry(&self, patience: Duration) {
        self.patience.set(patience);
    }

    /// What `question` comes to, if it does so within `patience`.
    ///
    /// # Errors
    /// Those of `question`, and a store that does not answer.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        question: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = channel();
        let question = move |store: &Store| {
            // Who asked may have lost patience.
            let _ = answer.send(question(store));
        };
        let asked = self.questions.send(Box::new(question));
        asked.map_err(|_| anyhow!("the store is closed"))?;
        answered
            .recv_timeout(patience)
            .map_err(|_| anyhow!("the store does not answer"))?
    }

    /// Puts `value` under `key`.
    ///
    /// # Errors
    /// Who holds the store is gone.
    pub(super) fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (key.to_owned(), value.to_owned());
        let set = self.ask(self.patience.get(), move |store| store.set(&key, &value));
        set.map_err(|_| self.gone())
    }

    /// What lies under `key`, if anything does.
    ///
    /// # Errors
    /// Who holds the store is gone.
    pub(super) fn get(&self, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        let found = self.ask(self.patience.get(), move |store| store.get(&key));
        found.map_err(|_| self.gone())
    }

    fn gone(&self) -> anyhow::Error {
        anyhow!("{}, which held the store, is gone", self.holder)
    }
}
