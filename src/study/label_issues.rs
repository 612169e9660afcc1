//! Labels that out-of-fold predictions contradict, by confident learning (Northcutt, Jiang and Chuang, 2021).

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::folder::{self, SUMMARY, StudyKind};
use super::results;
use crate::data::index::Index;

/// An image whose label is contradicted.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelIssue {
    /// Its index.
    pub image: usize,
    /// The class that it is taken for.
    pub taken_for: usize,
    /// The probability of its label, by which issues are sorted: the least first.
    pub probability: f64,
}

/// The issues that the finished cross-validation in `study` finds among the images of `index`.
///
/// # Errors
/// No such study, or one of other images or classes; a trial that cannot be evaluated.
pub fn of_study(study: &Path, index: &Index) -> Result<Vec<LabelIssue>> {
    let found = folder::read(study)?;
    let StudyKind::Resampling(resampling) = &found.kind else {
        anyhow::bail!("{} is a sweep; name a study of signet cv", study.display());
    };
    ensure!(
        study.join(SUMMARY).exists(),
        "{} is not finished; call the same signet cv again, and then this",
        study.display()
    );
    let images: HashMap<&str, usize> = index.names.iter().map(String::as_str).zip(0..).collect();
    // Sums over the trials in which an image was held back, and their number.
    let mut sums = vec![(vec![0.0; index.classes.len()], 0usize); index.len()];
    for trial in &found.trials {
        let name = || format!("trial {}", trial.name);
        let rows = results::probabilities(&study.join(&trial.name), resampling.part());
        for (image, probabilities) in rows.with_context(name)? {
            let known = images
                .get(&*image)
                .filter(|_| probabilities.len() == index.classes.len());
            let &known = known.with_context(|| {
                format!(
                    "{} was made on other images or classes ({image:?} is not among these); name the experiment of the study",
                    study.display()
                )
            })?;
            let (sum, times) = &mut sums[known];
            sum.iter_mut()
                .zip(&probabilities)
                .for_each(|(sum, p)| *sum += p);
            *times += 1;
        }
    }
    let held: Vec<usize> = (0..sums.len()).filter(|&image| sums[image].1 > 0).collect();
    let means: Vec<Vec<f64>> = held
        .iter()
        .map(|&image| {
            let (sum, times) = &sums[image];
            sum.iter().map(|sum| sum / *times as f64).collect()
        })
        .collect();
    let labels: Vec<usize> = held
        .iter()
        .map(|&image| index.labels[image] as usize)
        .collect();
    let issues = issues(&labels, &means).into_iter();
    Ok(issues
        .map(|issue| LabelIssue {
            image: held[issue.image],
            ..issue
        })
        .collect())
}

/// How near to a threshold counts as reaching it, for sums of floats.
const NEAR: f64 = 1e-6;

/// The images whose `probabilities` reach the mean of another class and not, or less, that of their own: off the diagonal of the
/// confident joint (equations 1 and 2 of the paper), unless their label has the greatest probability.
fn issues(labels: &[usize], probabilities: &[Vec<f64>]) -> Vec<LabelIssue> {
    let classes = probabilities.first().map_or(0, Vec::len);
    // The mean probability of each class among the images that are labelled so.
    let thresholds: Vec<f64> = (0..classes)
        .map(|class| {
            let own = labels
                .iter()
                .zip(probabilities)
                .filter(|(label, _)| **label == class);
            let own: Vec<f64> = own.map(|(_, row)| row[class]).collect();
            own.iter().sum::<f64>() / own.len() as f64
        })
        .collect();
    let greatest = |row: &[f64], of: &[usize]| {
        let mut of = of.iter().copied();
        let first = of.next()?;
        Some(of.fold(
            first,
            |best, class| if row[class] > row[best] { class } else { best },
        ))
    };
    let all: Vec<usize> = (0..classes).collect();
    let mut found: Vec<LabelIssue> = labels
        .iter()
        .zip(probabilities)
        .enumerate()
        .filter_map(|(image, (&label, row))| {
            let reached: Vec<usize> = all
                .iter()
                .copied()
                .filter(|&class| row[class] >= thresholds[class] - NEAR)
                .collect();
            let taken_for = greatest(row, &reached)?;
            (taken_for != label && greatest(row, &all)? != label).then_some(LabelIssue {
                image,
                taken_for,
                probability: row[label],
            })
        })
        .collect();
    found.sort_by(|a, b| {
        a.probability
            .total_cmp(&b.probability)
            .then(a.image.cmp(&b.image))
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_are_those_of_cleanlab_in_its_order() {
        // rng = numpy.random.RandomState(3); labels = rng.randint(0, 3, 40)
        // logits = rng.normal(0, 1, (40, 3)); logits[range(40), labels] += 1.5
        // for i in [4, 11, 23, 31]: labels[i] = (labels[i] + 1) % 3
        // p = softmax(logits).round(3); p[:, 2] = (1 - p[:, 0] - p[:, 1]).round(3)
        // cleanlab.filter.find_label_issues(labels, p, filter_by="confident_learning",
        //                                   return_indices_ranked_by="self_confidence")
        let labels = [
            2, 0, 1, 0, 1, 0, 1, 1, 2, 1, 1, 0, 1, 2, 0, 0, 0, 1, 2, 0, 2, 1, 2, 0, 2, 2, 0, 1, 2,
            1, 0, 0, 1, 1, 2, 0, 2, 0, 1, 0,
        ];
        let per_mille: [[i32; 2]; 40] = [
            [39, 53],
            [752, 91],
            [61, 931],
            [817, 153],
            [341, 69],
            [651, 33],
            [344, 385],
            [161, 541],
            [8, 58],
            [124, 715],
            [538, 178],
            [114, 401],
            [138, 822],
            [508, 44],
            [734, 48],
            [917, 11],
            [339, 518],
            [167, 724],
            [46, 744],
            [714, 232],
            [132, 368],
            [398, 235],
            [193, 208],
            [242, 93],
            [345, 74],
            [705, 195],
            [444, 188],
            [271, 616],
            [321, 230],
            [142, 505],
            [362, 262],
            [84, 23],
            [65, 875],
            [25, 788],
            [202, 287],
            [220, 87],
            [211, 56],
            [481, 110],
            [322, 457],
            [516, 120],
        ];
        let rows: Vec<Vec<f64>> = per_mille
            .iter()
            .map(|[a, b]| {
                [*a, *b, 1000 - a - b]
                    .map(|p| f64::from(p) / 1000.0)
                    .to_vec()
            })
            .collect();
        let found: Vec<usize> = issues(&labels, &rows)
            .iter()
            .map(|issue| issue.image)
            .collect();
        assert_eq!(found, [4, 31, 25, 10, 18, 35, 23, 13]);
    }

    #[test]
    fn labels_that_all_predictions_agree_with_are_no_issues() {
        let rows = vec![vec![0.9, 0.1], vec![0.6, 0.4], vec![0.2, 0.8]];
        assert_eq!(issues(&[0, 0, 1], &rows), []);
        assert_eq!(issues(&[], &[]), []);
    }
}
