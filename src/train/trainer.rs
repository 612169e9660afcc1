//! The loop. It knows nothing of disks or terminals: it tells its listeners what happens.

use anyhow::Result;

use super::event::{Event, Observer};
use super::loss::Criterion;
use super::metrics::{self, EpochRecord, Metrics};
use super::optimizer::Optimizer;
use super::progress::Progress;
use super::replay::Replay;
use super::snapshot::{Snapshot, TrainState, diverged};
use crate::config::Experiment;
use crate::data::Dataset;
use crate::data::sampler::Sampler;
use crate::data::split::{Part, Split};
use crate::model::network::Network;

/// Everything a training needs; nothing of it changes but the network's weights.
pub struct Trainer<'a> {
    /// The experiment, resolved.
    pub experiment: &'a Experiment,
    /// What is trained.
    pub network: &'a Network,
    /// Batches of them lie on the network's device.
    pub images: &'a Dataset,
    /// Which images train, validate and test.
    pub split: &'a Split,
    /// What is made small.
    pub criterion: &'a Criterion,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// After its last epoch.
    Complete,
    /// By early stopping.
    Early,
    /// Because somebody asked it to pause.
    Paused,
}

impl<'a> Trainer<'a> {
    /// Images in a batch.
    pub fn batch_size(&self) -> usize {
        self.experiment.train.batch_size.of(self.split.train.len())
    }

    /// Images in a step: those of one batch, or of several whose gradients are added.
    pub fn step_size(&self) -> usize {
        self.batch_size() * self.experiment.train.accumulate
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.split.train.len().div_ceil(self.step_size())
    }

    /// What the epochs meet of the training part.
    pub fn sampler(&self) -> Sampler<'a> {
        Sampler {
            part: &self.split.train,
            labels: &self.images.index.labels,
            sampling: self.experiment.train.sampling,
            seed: self.experiment.seed,
        }
    }

    /// The state before the first step.
    pub fn begin(&self) -> TrainState<'a> {
        let train = &self.experiment.train;
        let (names, parameters) = self.network.trained();
        let optimizer = Optimizer::new(
            train.optimizer.clone(),
            train.clip_grad_norm,
            names,
            parameters,
        );
        TrainState::new(self.network, optimizer)
    }

    /// The state that `snapshot` was taken of; the network gets its weights.
    ///
    /// # Errors
    /// A snapshot of another model or optimiser; nothing is changed then.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<TrainState<'a>> {
        let mut state = self.begin();
        state.optimizer.load(&snapshot.tensors)?;
        self.network.load(&snapshot.weights())?;
        state.tally = snapshot.sums.tally(self.network.device());
        Ok(state.at(snapshot.progress.clone()))
    }

    /// Trains from `state` on until the last epoch, early stopping, or a `pause` asked for between two
    /// steps.
    ///
    /// # Errors
    /// A loss or gradient that is not finite (the weights are then those before it), or a listener's error.
    pub fn run(
        &self,
        state: &mut TrainState,
        listeners: &mut [&mut dyn Observer],
        pause: &dyn Fn(&Progress) -> bool,
    ) -> Result<Ended> {
        let (train, device) = (&self.experiment.train, self.network.device());
        let mut replay = Replay::new(train, device, self.batch_size());
        while !state.progress.complete(self.experiment) {
            let epoch = state.progress.epoch;
            tell(listeners, &Event::EpochStarted { epoch })?;
            if self.epoch(state, &mut replay, listeners, pause)? == Ended::Paused {
                tell(listeners, &Event::Paused { state })?;
                return Ok(Ended::Paused);
            }
            let record = self.record(state, listeners)?;
            state.progress.end_epoch(&record, self.experiment);
            state.tally.clear();
            let event = Event::EpochEnded {
                record: &record,
                complete: state.progress.complete(self.experiment),
                state,
            };
            tell(listeners, &event)?;
        }
        tell(listeners, &Event::Finished)?;
        Ok(if state.progress.stopped_early(self.experiment) {
            Ended::Early
        } else {
            Ended::Complete
        })
    }

    /// The steps that are left of the epoch under way.
    fn epoch(
        &self,
        state: &mut TrainState,
        replay: &mut Replay,
        listeners: &mut [&mut dyn Observer],
        pause: &dyn Fn(&Progress) -> bool,
    ) -> Result<Ended> {
        let samples = self.sampler().epoch(state.progress.epoch);
        let left = samples[state.progress.images..].iter();
        let left = left.map(|sample| sample.image).collect();
        let mut images = self.images.pixels.in_order(left);
        let ended = loop {
            let rest = &samples[state.progress.images..];
            if pause(&state.progress) {
                break Ended::Paused;
            }
            if rest.is_empty() {
                break Ended::Complete;
            }
            let samples = &rest[..self.step_size().min(rest.len())];
            let last = samples.len() == rest.len();
            let keep = last && listeners.iter().any(|listener| listener.wants_gradients());
            state.optimizer.keep_gradients(keep);
            self.step(state, replay, samples, &mut images)?;
            if keep {
                state.ensure_finite()?;
            }
            let wanted = listeners.iter().any(|listener| listener.wants_metrics());
            let event = Event::Stepped {
                step: state.progress.images.div_ceil(self.step_size()),
                images: samples.len(),
                lr: state.progress.lr,
                last,
                metrics: wanted.then(|| state.tally.metrics()).transpose()?,
                state,
            };
            tell(listeners, &event)?;
            state.optimizer.keep_gradients(false); // nobody needs the room any longer
        };
        state.ensure_finite()?;
        Ok(ended)
    }

    /// The metrics of an epoch whose steps are all taken.
    fn record(
        &self,
        state: &TrainState,
        listeners: &mut [&mut dyn Observer],
    ) -> Result<EpochRecord> {
        let Progress {
            epoch, step, lr, ..
        } = state.progress;
        let train_part = listeners.iter().any(|listener| listener.wants_train_part());
        let mut evaluate = |part: Part| -> Result<Option<Metrics>> {
            let images = self.split.part(part);
            if images.is_empty() {
                return Ok(None);
            }
            let logits = metrics::logits(self.network, self.images, images)?;
            let found = metrics::evaluate(&logits, &self.images.index.labels_of(images))?;
            if !found.loss.is_finite() {
                return diverged(&format!("the {part} loss of epoch {epoch}"), lr);
            }
            let event = Event::Evaluated {
                epoch,
                part,
                images,
                logits: &logits,
            };
            tell(listeners, &event)?;
            Ok(Some(found))
        };
        let val = evaluate(Part::Val)?;
        if train_part {
            evaluate(Part::Train)?;
        }
        Ok(EpochRecord {
            epoch,
            step,
            lr,
            train: state.tally.metrics()?,
            val,
        })
    }
}

fn tell(listeners: &mut [&mut dyn Observer], event: &Event) -> Result<()> {
    listeners
        .iter_mut()
        .try_for_each(|listener| listener.notify(event))
}
