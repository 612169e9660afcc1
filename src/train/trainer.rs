//! The loop. It knows nothing of disks or terminals: it tells its listeners what happens.

use anyhow::{Result, anyhow};
use tch::{Kind, Tensor};

use super::event::{Event, Observer};
use super::metrics::{self, EpochRecord, Tally};
use super::optimizer::Optimizer;
use super::progress::Progress;
use super::schedule;
use super::snapshot::{Moment, Snapshot, TrainState};
use crate::bridge::Autocast;
use crate::config::Experiment;
use crate::config::train::{BatchSize, Precision};
use crate::data::batches::order;
use crate::data::{Dataset, augment, split::Split};
use crate::fault::{Blame, Fault};
use crate::model::layer::Phase;
use crate::model::network::Network;
use crate::rng::{Purpose, Stream};

/// Everything a training needs; nothing of it changes but the network's weights.
pub struct Trainer<'a> {
    /// What was asked for.
    pub experiment: &'a Experiment,
    /// What is trained.
    pub network: &'a Network,
    /// Batches of them lie on the network's device.
    pub images: &'a Dataset,
    /// Which images are for what.
    pub split: &'a Split,
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
        match self.experiment.train.batch_size {
            BatchSize::Images(count) => count,
            BatchSize::Full => self.split.train.len(),
        }
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.split.train.len().div_ceil(self.batch_size())
    }

    /// The state before the first step.
    pub fn begin(&self) -> TrainState {
        let train = &self.experiment.train;
        let (names, parameters) = self.network.trained();
        let optimizer = Optimizer::new(
            train.optimizer.clone(),
            train.clip_grad_norm,
            names,
            parameters,
        );
        TrainState {
            progress: Progress::beginning(),
            tally: Tally::new(self.network.device()),
            optimizer,
        }
    }

    /// The state that `snapshot` was taken of; the network gets its weights.
    ///
    /// # Errors
    /// A snapshot of another model or optimiser; nothing is changed then.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<TrainState> {
        let mut state = self.begin();
        state.optimizer.load(&snapshot.tensors)?;
        self.network.load(&snapshot.weights())?;
        state.tally = snapshot.sums.tally(self.network.device());
        state.progress = snapshot.progress.clone();
        Ok(state)
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
        while !state.progress.complete(self.experiment) {
            let epoch = state.progress.epoch;
            tell(listeners, &Event::EpochStarted { epoch })?;
            if self.learn(state, listeners, pause)? == Ended::Paused {
                let now = Moment::new(self.network, state);
                tell(listeners, &Event::Paused { now })?;
                return Ok(Ended::Paused);
            }
            let record = self.record(state)?;
            state.progress.end_epoch(&record, self.experiment);
            state.tally = Tally::new(self.network.device());
            let event = Event::EpochEnded {
                record: &record,
                complete: state.progress.complete(self.experiment),
                now: Moment::new(self.network, state),
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
    fn learn(
        &self,
        state: &mut TrainState,
        listeners: &mut [&mut dyn Observer],
        pause: &dyn Fn(&Progress) -> bool,
    ) -> Result<Ended> {
        let Experiment {
            seed, train, data, ..
        } = self.experiment;
        let device = self.network.device();
        let (epoch, first) = (state.progress.epoch, state.progress.step);
        let mut sound = Tensor::zeros([0i64; 0], (Kind::Float, device)); // steps before divergence
        let order = order(&self.split.train, *seed, epoch);
        let ended = loop {
            let TrainState {
                progress,
                tally,
                optimizer,
            } = state;
            if pause(progress) {
                break Ended::Paused;
            }
            let rest = &order[progress.images..];
            if rest.is_empty() {
                break Ended::Complete;
            }
            let batch = &rest[..self.batch_size().min(rest.len())];
            let (x, y) = self.images.batch(batch);
            let x = augment::apply(&data.augment, x, batch, *seed, epoch);
            // Dropout: libtorch's generator stands at a place known from (seed, step).
            tch::manual_seed(
                (Stream::new(*seed, Purpose::Libtorch, &[progress.step as u64]).bits() >> 1) as i64,
            );
            let logits = {
                let _bf16 = match train.precision {
                    Precision::F32 => None,
                    Precision::Bf16 => Some(Autocast::bf16(device.is_cuda())?),
                };
                self.network.forward(&x, Phase::Train)
            };
            let loss = metrics::loss(&train.loss, &logits, &y);
            loss.backward();
            progress.lr = schedule::rate(
                &train.schedule,
                train.optimizer.lr(),
                schedule::Position::new(
                    progress,
                    self.steps_per_epoch(),
                    self.batch_size(),
                    train.epochs,
                ),
            );
            optimizer.step(progress.lr, progress.step == 0, &loss)?;
            sound += 1.0 - optimizer.diverged();
            tally.add(&logits, &y, &loss);
            progress.step += 1;
            progress.images += batch.len();
            let figures = if listeners.iter().any(|listener| listener.wants_figures()) {
                Some(tally.figures()?)
            } else {
                None
            };
            let event = Event::Stepped {
                step: progress.images.div_ceil(self.batch_size()),
                images: batch.len(),
                lr: progress.lr,
                last: progress.images == order.len(),
                figures,
                now: Moment::new(self.network, state),
            };
            tell(listeners, &event)?;
        };
        let sound = first + f64::try_from(&sound)? as usize;
        if sound < state.progress.step {
            return Err(diverged(epoch, sound + 1, state.progress.lr)).blame(Fault::Diverged);
        }
        Ok(ended)
    }

    /// The figures of an epoch whose steps are all taken.
    fn record(&self, state: &TrainState) -> Result<EpochRecord> {
        let Progress {
            epoch, step, lr, ..
        } = state.progress;
        let val = match self.split.val.as_slice() {
            [] => None,
            part => Some(metrics::evaluate(self.network, self.images, part)?),
        };
        if val.is_some_and(|val| !val.loss.is_finite()) {
            return Err(anyhow!(
                "training diverged: the val loss of epoch {epoch} is not finite; lower train.optimizer.lr or set \
                 train.clip_grad_norm: 1.0"
            ))
            .blame(Fault::Diverged);
        }
        Ok(EpochRecord {
            epoch,
            step,
            lr,
            train: state.tally.figures()?,
            val,
        })
    }
}

fn diverged(epoch: usize, step: usize, lr: f64) -> anyhow::Error {
    anyhow!(
        "training diverged: the loss or a gradient of step {step} (epoch {epoch}) is not finite, and no weight was \
         changed from there on; lower train.optimizer.lr (now {lr:.2e}) or set train.clip_grad_norm: 1.0"
    )
}

fn tell(listeners: &mut [&mut dyn Observer], event: &Event) -> Result<()> {
    listeners
        .iter_mut()
        .try_for_each(|listener| listener.notify(event))
}
