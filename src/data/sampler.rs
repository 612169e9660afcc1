//! The order in which an epoch meets the images it learns from.

use std::collections::BTreeMap;

use crate::config::train::Sampling;
use crate::rng::{Purpose, Stream};

/// An image that an epoch meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its index in the data set.
    pub image: usize,
    /// How often the epoch has met it before.
    pub again: usize,
}

impl Sample {
    /// Its position in the streams of chance, in that epoch.
    pub fn place(&self, epoch: usize) -> Vec<u64> {
        let place = [epoch, self.image, self.again].map(|number| number as u64);
        let length = if self.again == 0 { 2 } else { 3 };
        place[..length].to_vec()
    }
}

/// What an epoch meets of a training part, in order; as many images as the part has.
pub struct Sampler<'a> {
    /// The training part.
    pub part: &'a [usize],
    /// The label of each image of the data set.
    pub labels: &'a [i64],
    /// How often images are met.
    pub sampling: Sampling,
    /// The experiment's.
    pub seed: u64,
}

impl Sampler<'_> {
    /// Of `epoch`, a function of (seed, epoch) alone.
    pub fn epoch(&self, epoch: usize) -> Vec<Sample> {
        let mut stream = Stream::new(self.seed, Purpose::Order, &[epoch as u64]);
        let mut samples = match self.sampling {
            Sampling::Natural => once(self.part),
            Sampling::Balanced => self.balanced(epoch, &mut stream),
        };
        stream.shuffle(&mut samples);
        samples
    }

    /// The same number of images of each class: all of them as often as they fit in, and some of them at random once more.
    /// Where the classes do not divide the part, some have an image more, in turns.
    fn balanced(&self, epoch: usize, stream: &mut Stream) -> Vec<Sample> {
        let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for &image in self.part {
            classes.entry(self.labels[image]).or_default().push(image);
        }
        let (share, odd) = (
            self.part.len() / classes.len(),
            self.part.len() % classes.len(),
        );
        let mut samples = Vec::with_capacity(self.part.len());
        let count = classes.len();
        for (number, mut images) in classes.into_values().enumerate() {
            let wanted = share + usize::from((number + epoch) % count < odd);
            stream.shuffle(&mut images);
            samples.extend((0..wanted).map(|at| Sample {
                image: images[at % images.len()],
                again: at / images.len(),
            }));
        }
        samples
    }
}

/// Each of `images` once.
pub fn once(images: &[usize]) -> Vec<Sample> {
    let sample = |&image| Sample { image, again: 0 };
    images.iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a part of 30 images: 20, 7 and 3 of three classes, every other image of a data set.
    fn sampled(sampling: Sampling, epoch: usize) -> Vec<Sample> {
        let part: Vec<usize> = (0..30).map(|at| 2 * at).collect();
        let label = |image: usize| match image / 2 {
            0..20 => 2,
            20..27 => 0,
            _ => 1,
        };
        let labels: Vec<i64> = (0..60).map(label).collect();
        let sampler = Sampler {
            part: &part,
            labels: &labels,
            sampling,
            seed: 3,
        };
        sampler.epoch(epoch)
    }

    fn images(samples: &[Sample]) -> Vec<usize> {
        samples.iter().map(|sample| sample.image).collect()
    }

    #[test]
    fn an_epoch_meets_every_image_once_in_an_order_of_its_own() {
        let first = sampled(Sampling::Natural, 1);
        let mut met = images(&first);
        met.sort_unstable();
        assert_eq!(met, (0..30).map(|at| 2 * at).collect::<Vec<_>>());
        assert!(first.iter().all(|sample| sample.again == 0));
        assert_eq!(first, sampled(Sampling::Natural, 1));
        assert_ne!(first, sampled(Sampling::Natural, 2));
    }

    #[test]
    fn a_balanced_epoch_meets_each_class_equally_often_and_no_image_a_second_time_before_all_of_its_class()
     {
        let mut common = std::collections::BTreeSet::new();
        for epoch in 1..=20 {
            let samples = sampled(Sampling::Balanced, epoch);
            assert_eq!(samples, sampled(Sampling::Balanced, epoch));
            assert_eq!(samples.len(), 30);
            for (class, first, last) in [(2, 0, 20), (0, 20, 27), (1, 27, 30)] {
                let own: Vec<Sample> = samples
                    .iter()
                    .filter(|sample| (first..last).contains(&(sample.image / 2)))
                    .copied()
                    .collect();
                assert_eq!(own.len(), 10, "class {class}");
                let times = |image: usize| own.iter().filter(|own| own.image == image).count();
                let counts: Vec<usize> = (first..last).map(|at| times(2 * at)).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most - least <= 1, "class {class}: {counts:?}");
                for image in images(&own) {
                    let mut again: Vec<usize> = own
                        .iter()
                        .filter(|sample| sample.image == image)
                        .map(|sample| sample.again)
                        .collect();
                    again.sort_unstable();
                    assert_eq!(again, (0..times(image)).collect::<Vec<_>>());
                }
            }
            common.extend(images(&samples).into_iter().filter(|image| image / 2 < 20));
        }
        assert_eq!(common.len(), 20, "every image has its turn");
    }
}
