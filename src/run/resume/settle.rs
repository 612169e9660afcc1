//! The experiment under which a run goes on, held against the one it was trained under.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, ensure};

use crate::config::Experiment;
use crate::config::policy::Policy;
use crate::model::plan::Plan;
use crate::run::changes::{self, Change};
use crate::run::directory::RunDir;
use crate::train::optimizer;
use crate::train::progress::{ExtendMode, Extension, Progress};
use crate::train::schedule::depends_on_epochs;

/// Holds the experiment `new` against the `old` one and prepares `progress` for it; answers with what
/// changed.
///
/// # Errors
/// A change that is refused; one that makes another run, unless this is a `branch`; a number of epochs
/// that changes the schedule without a word in `extend` on how.
pub fn settle(
    old: &Experiment,
    new: &Experiment,
    branch: bool,
    extend: Option<ExtendMode>,
    progress: &mut Progress,
) -> Result<Vec<Change>> {
    let changes = changes::between(old, new);
    let sentence = |change: &Change| format!("{}: {} -> {}", change.key, change.old, change.new);
    let of = |policy: Policy| {
        let these = changes.iter().filter(|change| change.policy == policy);
        these.map(sentence).collect::<Vec<_>>().join(", ")
    };
    let refused = of(Policy::Refused);
    ensure!(
        refused.is_empty(),
        "{refused} cannot change when a run is resumed, since its weights would no longer apply; start a new \
         run with `signet train`"
    );
    let (before, after) = (tensors(old), tensors(new));
    if let Some(tensor) = before.symmetric_difference(&after).next() {
        let shapes = |change: &&Change| {
            ["model.", "train.optimizer."]
                .iter()
                .any(|part| change.key.starts_with(part))
        };
        let causes: Vec<String> = changes.iter().filter(shapes).map(sentence).collect();
        return Err(anyhow!(
            "{} cannot change to or from 0 in a run that goes on, since tensors such as {tensor} would have no place; use a \
             small number, or start a new run with train.init_from",
            causes.join(", ")
        ));
    }
    let done = progress.epoch - 1;
    ensure!(
        new.train.epochs >= done,
        "train.epochs: {} is less than the {done} epochs done; continue from an earlier checkpoint with --from",
        new.train.epochs
    );
    let branching = of(Policy::Branch);
    ensure!(
        branch || branching.is_empty(),
        "{branching} would make it another run; add --as NEW_RUN to continue in a new run directory"
    );
    let (before, now) = (old.train.epochs, new.train.epochs);
    let asks = before != now && depends_on_epochs(&new.train.schedule);
    match extend {
        None => ensure!(
            !asks,
            "train.epochs: {before} -> {now} changes the learning-rate schedule; choose how with --extend: hold (keep its last \
             rate), restart (a second schedule over the further epochs) or stretch (one schedule over all {now})"
        ),
        // Said again by a command that is repeated after its first success.
        Some(_) if !asks => {}
        Some(how) => {
            ensure!(
                how != ExtendMode::Restart || now > before,
                "--extend restart needs more than the {before} epochs there were, not {now}; use stretch"
            );
            progress.extensions.push(Extension {
                epochs: before,
                how,
            });
        }
    }
    progress.adapt(old, new);
    Ok(changes)
}

/// The names of all tensors that a checkpoint of `experiment` holds.
fn tensors(experiment: &Experiment) -> BTreeSet<String> {
    let Ok(plan) = Plan::of(experiment) else {
        return BTreeSet::new(); // refused before, by name
    };
    let parameters = plan.parameters();
    let trained = parameters
        .iter()
        .filter(|(_, parameter)| parameter.role.trained());
    let trained: Vec<String> = trained.map(|(name, _)| name.clone()).collect();
    let moments = optimizer::tensor_names(&experiment.train.optimizer, &trained);
    parameters
        .into_iter()
        .map(|(name, _)| name)
        .chain(moments)
        .collect()
}

/// Makes sure that settings of the last launch are not lost with a damaged checkpoint: `old` are those that the newest
/// valid one knows, `new` those to go on under, and the run's own `resolved.yaml` says which held last.
///
/// # Errors
/// Settings that held last, are not in `new`, and have not been changed in it.
pub fn keeps_settings(folder: &RunDir, old: &Experiment, new: &Experiment) -> Result<()> {
    let last = Experiment::load(&folder.file("resolved.yaml"), &[], &[])?;
    let last = super::as_trained(last);
    let (old, new, last) = (
        changes::settings(old),
        changes::settings(new),
        changes::settings(&last),
    );
    let keys = last
        .keys()
        .chain(old.keys().filter(|key| !last.contains_key(*key)));
    let lost = keys.filter(|key| last.get(*key) != old.get(*key) && new.get(*key) == old.get(*key));
    let or_not_set = |value: Option<&String>| value.map_or("not set", String::as_str).to_owned();
    let lost: Vec<String> = lost
        .map(|key| {
            format!(
                "{key} was {} and would be {} again",
                or_not_set(last.get(key)),
                or_not_set(old.get(key))
            )
        })
        .collect();
    ensure!(
        lost.is_empty(),
        "the newest valid checkpoint of {} is older than its settings: {}; say again how it should go on, with -s, --epochs, \
         --extend",
        folder.path().display(),
        lost.join(", ")
    );
    Ok(())
}
