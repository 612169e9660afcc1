//! What the first of several processes tells the others to train. They need not see its run directory.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::changes::{self, Change};
use super::checkpoint::CheckpointMeta;
use super::session::Session;
use crate::config::Experiment;
use crate::config::document::Document;
use crate::distributed::Ranks;
use crate::fault::{Blame, Fault};
use crate::model::plan;

/// The key under which they are left.
const ORDERS: &str = "orders";

/// The key under which `rank` leaves that it has heard them.
fn heard(rank: usize) -> String {
    format!("{ORDERS}/{rank}")
}

/// An experiment, and where its training stands.
#[derive(Serialize, Deserialize)]
pub struct Orders {
    /// The experiment to train under, as YAML.
    experiment: String,
    /// What the checkpoint says from which it goes on; none where a run begins.
    document: Option<CheckpointMeta>,
}

impl Orders {
    /// Tells the others of `ranks` to train `experiment`, from where `document` says or from its beginning.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn train(
        ranks: &Ranks,
        experiment: &Experiment,
        document: Option<&CheckpointMeta>,
    ) -> Result<()> {
        if ranks.world() == 1 {
            return Ok(());
        }
        let orders = Orders {
            experiment: experiment.to_yaml(),
            document: document.cloned(),
        };
        ranks.leave(ORDERS, &serde_json::to_string(&Some(orders))?)
    }

    /// Tells the others that there is nothing to train, and waits until they have heard.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn rest(ranks: &Ranks) -> Result<()> {
        ranks.leave(ORDERS, &serde_json::to_string(&None::<Orders>)?)?;
        (1..ranks.world()).try_for_each(|rank| ranks.find(&heard(rank), rank).map(drop))
    }

    /// What rank 0 tells this process; none if there is nothing to train.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn take(ranks: &Ranks) -> Result<Option<Orders>> {
        let orders = serde_json::from_str(&ranks.find(ORDERS, 0)?)?;
        ranks.leave(&heard(ranks.rank()), "")?;
        Ok(orders)
    }

    /// The session that trains it.
    ///
    /// # Errors
    /// As of [`Session::open`] and [`Session::reopen`], and an experiment that is not the `own` one of this process, if it has
    /// one and a run begins.
    pub fn session(&self, own: Option<&Experiment>, ranks: Rc<Ranks>) -> Result<Session> {
        let name = "the experiment of rank 0".to_owned();
        let yaml = Document::parse(name, self.experiment.clone(), &[])?;
        let mut experiment = Experiment::from_document(&yaml, Path::new("run"), &[plan::check])?;
        if let Some(own) = own {
            if self.document.is_none() {
                ensure_same(&experiment, own).blame(Fault::Config)?;
            }
            experiment.data.source = own.data.source.clone(); // it may lie elsewhere on this machine
        }
        match &self.document {
            None => Session::open(experiment, ranks),
            Some(document) => Session::reopen(experiment, document, None, ranks),
        }
    }
}

/// Makes sure that the `own` experiment of this process is that of rank 0, but for where its data lies.
fn ensure_same(first: &Experiment, own: &Experiment) -> Result<()> {
    let changes = changes::between(first, own);
    let mut changes = changes
        .iter()
        .filter(|change| !changes::says_where_data_lies(&change.key));
    match changes.next() {
        None => Ok(()),
        Some(Change { key, old, new, .. }) => bail!(
            "{key} is {new} here, and {old} in rank 0; start all processes with the same experiment"
        ),
    }
}
