//! The loop. It knows nothing of disks or terminals: it tells its listeners what happens.

use anyhow::{Result, anyhow};
use tch::{Kind, Tensor};

use super::event::{Event, Observer};
use super::metrics::{self, EpochRecord, Tally};
use super::optimizer::Optimizer;
use super::schedule::{self, Position};
use super::watch::Watch;
use crate::bridge::Autocast;
use crate::config::Experiment;
use crate::config::train::{BatchSize, Precision, Schedule};
use crate::data::batches::{Pictures, order};
use crate::data::{augment, split::Split};
use crate::fault::{Blame, Fault};
use crate::model::layer::Mode;
use crate::model::network::Network;
use crate::rng::{Purpose, Stream};

/// Everything a training needs; nothing of it changes but the network's weights.
pub struct Trainer<'a> {
    /// What was asked for.
    pub experiment: &'a Experiment,
    /// What is trained.
    pub network: &'a Network,
    /// On the network's device.
    pub pictures: &'a Pictures,
    /// Which pictures are for what.
    pub split: &'a Split,
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The best epoch.
    pub best: EpochRecord,
    /// The last one.
    pub last: EpochRecord,
    /// Whether early stopping ended it.
    pub stopped_early: bool,
}

/// What the loop remembers between epochs.
#[derive(Default)]
struct Progress {
    step: usize,
    best: Watch,
    patience: Watch,
    plateau: Watch,
    drops: u32,
}

impl Trainer<'_> {
    /// Pictures in a batch.
    pub fn batch_size(&self) -> usize {
        match self.experiment.train.batch_size {
            BatchSize::Pictures(count) => count,
            BatchSize::Full => self.split.train.len(),
        }
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.split.train.len().div_ceil(self.batch_size())
    }

    /// Trains until the last epoch or early stopping.
    ///
    /// # Errors
    /// A loss or gradient that is not finite (the weights are then those before it), or a listener's error.
    pub fn run(&self, listeners: &mut [&mut dyn Observer]) -> Result<Outcome> {
        let train = &self.experiment.train;
        let (_, parameters) = self.network.trained();
        let mut optimizer =
            Optimizer::new(train.optimizer.clone(), train.clip_grad_norm, parameters);
        let mut progress = Progress::default();
        let mut best: Option<EpochRecord> = None;
        for epoch in 1..=train.epochs {
            tell(listeners, &Event::EpochStarted { epoch })?;
            let record = self.epoch(epoch, &mut progress, &mut optimizer, listeners)?;
            tell(listeners, &Event::EpochEnded(&record))?;
            if self.is_best(&record, best.as_ref(), &mut progress.best) {
                tell(
                    listeners,
                    &Event::Improved {
                        record: &record,
                        state: &self.network.state(),
                    },
                )?;
                best = Some(record.clone());
            }
            let stopped_early = self.should_stop(&record, &mut progress.patience);
            self.watch_plateau(&record, &mut progress);
            if stopped_early || epoch == train.epochs {
                tell(
                    listeners,
                    &Event::Finished {
                        record: &record,
                        state: &self.network.state(),
                    },
                )?;
                let best = best.unwrap_or_else(|| record.clone());
                return Ok(Outcome {
                    best,
                    last: record,
                    stopped_early,
                });
            }
        }
        unreachable!("an experiment has at least one epoch");
    }

    fn epoch(
        &self,
        epoch: usize,
        progress: &mut Progress,
        optimizer: &mut Optimizer,
        listeners: &mut [&mut dyn Observer],
    ) -> Result<EpochRecord> {
        let Experiment {
            seed, train, data, ..
        } = self.experiment;
        let device = self.network.weights()[0].tensor.device();
        let mut tally = Tally::new(device);
        let mut sound = Tensor::zeros([0i64; 0], (Kind::Float, device)); // steps of this epoch before divergence
        let before = progress.step;
        let mut lr = 0.0;
        let order = order(&self.split.train, *seed, epoch);
        for batch in order.chunks(self.batch_size()) {
            let (x, y) = self.pictures.batch(batch);
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
                self.network.forward(&x, Mode::Train)
            };
            let loss = metrics::loss(&train.loss, &logits, &y);
            loss.backward();
            lr = schedule::rate(
                &train.schedule,
                train.optimizer.lr(),
                self.position(progress),
            );
            optimizer.step(lr, &loss)?;
            sound += 1.0 - optimizer.diverged();
            tally.add(&logits, &y, &loss);
            progress.step += 1;
            let figures = match listeners.iter().any(|listener| listener.wants_figures()) {
                true => Some(tally.figures()?),
                false => None,
            };
            let event = Event::Stepped {
                step: progress.step - before,
                pictures: batch.len(),
                lr,
                figures,
            };
            tell(listeners, &event)?;
        }
        let sound = before + f64::try_from(&sound)? as usize;
        if sound < progress.step {
            return Err(diverged(epoch, sound + 1, lr)).blame(Fault::Diverged);
        }
        let val = match self.split.val.as_slice() {
            [] => None,
            part => Some(metrics::evaluate(self.network, self.pictures, part)?),
        };
        Ok(EpochRecord {
            epoch,
            step: progress.step,
            lr,
            train: tally.figures()?,
            val,
        })
    }

    fn position(&self, progress: &Progress) -> Position {
        Position {
            step: progress.step,
            steps_per_epoch: self.steps_per_epoch(),
            epochs: self.experiment.train.epochs,
            drops: progress.drops,
        }
    }

    /// Whether `record` beats `best` by `checkpoint.metric`; between equals the lower val loss wins, since
    /// small val parts are often recognised completely by many epochs.
    fn is_best(&self, record: &EpochRecord, best: Option<&EpochRecord>, watch: &mut Watch) -> bool {
        let checkpoint = &self.experiment.checkpoint;
        let value = record.get(checkpoint.metric).unwrap_or(record.train.loss);
        let ties = watch.best == Some(value);
        let tie_breaker = |record: &EpochRecord| record.val.unwrap_or(record.train).loss;
        watch.observe(value, checkpoint.mode, 0.0)
            || ties && best.is_some_and(|best| tie_breaker(record) < tie_breaker(best))
    }

    fn should_stop(&self, record: &EpochRecord, watch: &mut Watch) -> bool {
        let Some(early) = &self.experiment.train.early_stopping else {
            return false;
        };
        let Some(value) = record.get(early.metric) else {
            return false;
        };
        watch.observe(value, early.metric.mode(), early.min_delta);
        watch.waited >= early.patience
    }

    fn watch_plateau(&self, record: &EpochRecord, progress: &mut Progress) {
        if let Schedule::Plateau {
            metric, patience, ..
        } = self.experiment.train.schedule
            && let Some(value) = record.get(metric)
        {
            progress.plateau.observe(value, metric.mode(), 0.0);
            if progress.plateau.waited > patience {
                progress.plateau.waited = 0;
                progress.drops += 1;
            }
        }
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
