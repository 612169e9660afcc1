//! The loop. It knows nothing of disks or terminals: it tells its listeners what happens.

use anyhow::Result;

use super::contribution;
use super::event::{Event, Observer};
use super::loss::Criterion;
use super::metrics::{self, EpochRecord, Metrics};
use super::optimizer::Optimizer;
use super::progress::Progress;
use super::replay::Replay;
use super::snapshot::{Snapshot, TrainState, diverged};
use crate::config::Experiment;
use crate::config::run::SampleLog;
use crate::data::Dataset;
use crate::data::sampler::Sampler;
use crate::data::split::{Part, Split};
use crate::distributed::Ranks;
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
    /// The processes that train it together.
    pub ranks: &'a Ranks,
}

/// The signal by which this process was asked to pause, if it was.
pub type Signal<'a> = &'a dyn Fn() -> Option<i32>;

/// What ends a training between two steps.
pub struct Pause<'a> {
    /// Asks this process; when one is asked to pause, all do.
    pub signal: Signal<'a>,
    /// Whether the training has come as far as it should, which is the same in all processes.
    pub reached: &'a dyn Fn(&Progress) -> bool,
}

impl<'a> Pause<'a> {
    /// Where no signal is heard.
    pub fn when(reached: &'a dyn Fn(&Progress) -> bool) -> Pause<'a> {
        Pause {
            signal: &|| None,
            reached,
        }
    }
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// After its last epoch.
    Complete,
    /// By early stopping.
    Early,
    /// Because a signal asked one of the processes to pause, or because it has come as far as it should.
    Paused(Option<i32>),
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

    /// The state that rank 0 has, in every process; the others have one of the same network.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn as_rank_0(&self, own: TrainState<'a>) -> Result<TrainState<'a>> {
        const STATE: &str = "state";
        let ranks = self.ranks;
        if ranks.world() == 1 {
            return Ok(own);
        }
        let mut snapshot = own.snapshot()?;
        if ranks.is_first() {
            let plain = (&snapshot.progress, &snapshot.sums);
            ranks.leave(STATE, &serde_json::to_string(&plain)?)?;
        } else {
            let plain = ranks.find(STATE, 0)?;
            (snapshot.progress, snapshot.sums) = serde_json::from_str(&plain)?;
        }
        for tensor in snapshot.tensors.values_mut() {
            *tensor = ranks.broadcast(tensor)?;
        }
        if ranks.is_first() {
            return Ok(own);
        }
        self.restore(&snapshot)
    }

    /// Trains from `state` on until the last epoch, early stopping, or a `pause` asked for between two steps. Every process
    /// calls it with the same state; who has no listeners is silent.
    ///
    /// # Errors
    /// A loss or gradient that is not finite (the weights are then those before it), a listener's error, or a process that is
    /// lost.
    pub fn run(
        &self,
        state: &mut TrainState,
        listeners: &mut [&mut dyn Observer],
        pause: &Pause,
    ) -> Result<Ended> {
        self.ranks.begin();
        let (train, device) = (&self.experiment.train, self.network.device());
        let pieces = train.pieces(self.ranks.world());
        let mut replay = Replay::new(train, pieces, device, self.batch_size());
        while !state.progress.complete(self.experiment) {
            let epoch = state.progress.epoch;
            tell(listeners, &Event::EpochStarted { epoch })?;
            let ended = self.epoch(state, &mut replay, listeners, pause)?;
            if let Ended::Paused(_) = ended {
                tell(listeners, &Event::Paused { state })?;
                return Ok(ended);
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
        pause: &Pause,
    ) -> Result<Ended> {
        let samples = self.sampler().epoch(state.progress.epoch);
        let left = self.own_images(&samples[state.progress.images..]);
        let mut images = self.images.pixels.in_order(left);
        let heard = contribution::heard((pause.signal)(), self.network.device());
        let all = self.ranks.all_gather(&heard)?;
        let mut signal = contribution::signal_of(&all.sum_dim_intlist(0, false, None))?;
        let ended = loop {
            let rest = &samples[state.progress.images..];
            if signal.is_some() || (pause.reached)(&state.progress) {
                break Ended::Paused(signal);
            }
            if rest.is_empty() {
                break Ended::Complete;
            }
            let samples = &rest[..self.step_size().min(rest.len())];
            let last = samples.len() == rest.len();
            let keep = last && listeners.iter().any(|listener| listener.wants_gradients());
            state.optimizer.keep_gradients(keep);
            signal = self.step(state, replay, samples, &mut images, pause.signal)?;
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
        let train_part = self.experiment.log.samples == SampleLog::All;
        let mut evaluate = |part: Part| -> Result<Option<Metrics>> {
            let images = self.split.part(part);
            if images.is_empty() {
                return Ok(None);
            }
            let logits = metrics::shared_logits(self.network, self.images, images, self.ranks)?;
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
