//! What TensorBoard shows of a run, written while it trains (`log.tensorboard`): what is true of the whole run
//! (`session`), and of each epoch metrics, the confusion matrix and histograms.
//!
//! The log of the epochs is one of the logs that a checkpoint counts (`run/event_files`): a run that goes on cuts it back, so
//! that no step is in it twice.

mod event_file;
mod histogram;
mod images;
mod proto;
mod session;

use anyhow::{Context, Result};
use tch::Tensor;

use crate::config::train::Metric;
use crate::data::split::Part;
use crate::report::plots;
use crate::run::directory::RunDir;
use crate::run::event_files;
use crate::run::session::Session;
use crate::train::evaluation;
use crate::train::event::{Event, Observer};
use crate::train::metrics::EpochRecord;
use crate::train::progress::Progress;
use crate::train::snapshot::TrainState;
use event_file::{EventFile, seconds};
use histogram::histogram;
use proto::ValueProto;
use session::SessionFile;

/// The confusion matrix of more classes than this is not drawn.
const MOST_CLASSES: usize = 50;

/// Listens to a trainer and writes event files into a run directory.
pub struct TensorBoard<'a> {
    session: &'a Session,
    about: SessionFile,
    epochs: EventFile,
    /// The epoch under way.
    epoch: usize,
    /// Of the val part after the steps of that epoch: images of class i taken for class j.
    confusion: Option<Vec<Vec<usize>>>,
}

impl<'a> TensorBoard<'a> {
    /// For the run in `folder`, which stands at `progress`; nothing where `log.tensorboard` does not ask for it.
    ///
    /// # Errors
    /// Files that cannot be made or written, an image that is gone.
    pub fn open(
        session: &'a Session,
        folder: &RunDir,
        progress: &Progress,
    ) -> Result<Option<TensorBoard<'a>>> {
        if !session.experiment.log.tensorboard {
            return Ok(None);
        }
        let folder = folder.folder().make_folder(event_files::FOLDER)?;
        let mut about = SessionFile::begin(&folder, session)?;
        if progress.complete(&session.experiment) {
            about.end()?; // no epoch will
        }
        let names = folder.names()?.into_iter();
        let mut logs = names.filter(|name| event_files::is_log(&name.to_string_lossy()));
        let name = logs.next_back();
        let name = name.unwrap_or_else(|| event_files::log_name(seconds() as u64).into());
        Ok(Some(TensorBoard {
            session,
            about,
            epochs: EventFile::open(&folder, name)?,
            epoch: progress.epoch,
            confusion: None,
        }))
    }

    /// The weights after the last step of an epoch, and the gradients of that step.
    fn write_histograms(&mut self, state: &TrainState, gradients: &[Tensor]) -> Result<()> {
        let (names, weights) = self.session.network.trained();
        let mut values = Vec::new();
        for (kind, tensors) in [("weights", &weights[..]), ("gradients", gradients)] {
            for (name, tensor) in names.iter().zip(tensors) {
                let tag = format!("{kind}/{name}");
                values.push(ValueProto::histogram(&tag, histogram(tensor)?));
            }
        }
        self.epochs.write(state.progress.step, values)
    }

    fn write_epoch(&mut self, record: &EpochRecord) -> Result<()> {
        let mut values = vec![ValueProto::scalar("lr", record.lr)];
        values.extend(Metric::ALL.iter().filter_map(|metric| {
            let tag = metric.word().replace('.', "/");
            Some(ValueProto::scalar(&tag, record.get(*metric)?))
        }));
        if let Some(counts) = self.confusion.take() {
            let classes = &self.session.data.index.classes;
            let image = plots::confusion(Part::Val.word(), classes, &counts).png()?;
            values.push(ValueProto::image("val/confusion", image));
        }
        self.epochs.write(record.step, values)
    }
}

impl Observer for TensorBoard<'_> {
    fn wants_gradients(&self) -> bool {
        is_drawn(self.epoch)
    }

    fn notify(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::EpochStarted { epoch } => {
                self.epoch = *epoch;
                Ok(())
            }
            // A pause may follow, whose checkpoint goes on behind this step and does not have its gradients.
            Event::Stepped {
                last: true, state, ..
            } => match state.optimizer.kept_gradients() {
                Some(gradients) => self.write_histograms(state, gradients),
                None => Ok(()),
            },
            Event::Evaluated {
                epoch,
                part: Part::Val,
                images,
                logits,
            } => {
                let index = &self.session.data.index;
                let classes = index.classes.len();
                if is_drawn(*epoch) && classes <= MOST_CLASSES {
                    let rows = evaluation::log_probabilities(logits)?;
                    let counts = evaluation::confusion(&rows, &index.labels_of(images), classes);
                    self.confusion = Some(counts);
                }
                Ok(())
            }
            Event::EpochEnded {
                record, complete, ..
            } => {
                self.write_epoch(record)?;
                if *complete {
                    self.about.end()?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
        .context("cannot write what TensorBoard shows; log.tensorboard: false leaves it out")
    }
}

/// Whether images and histograms are written of an epoch: of all up to 100, then of each tenth up to 1000, and so on, so that
/// a long training has no large files. Where a training will end plays no part, since that may change.
fn is_drawn(epoch: usize) -> bool {
    let mut each = 1;
    while epoch > 100 * each {
        each *= 10;
    }
    epoch.is_multiple_of(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_is_drawn_less_often() {
        let drawn = |epochs: usize| (1..=epochs).filter(|&epoch| is_drawn(epoch)).count();
        let counts = [1, 40, 100, 109, 110, 1000, 1099, 1100, 10_000].map(drawn);
        assert_eq!(counts, [1, 40, 100, 100, 101, 190, 190, 191, 280]);
    }
}
