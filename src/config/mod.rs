//! The experiment: one YAML file, read into one tree of structs.
//!
//! [`Experiment::load`] is the way in. It finds everything that is wrong with a file in one go, each
//! problem with file, line and key (`document`), by asking each section for the keys it knows (`section`), and each type
//! how it is read (`entry`, `setting`). Each key is declared once (`declare`, `key`), in `data`, `model`, `train` and `run`,
//! with its meaning, range and default, from which `reference` and `schema` follow.

pub mod data;
pub mod declare;
pub mod device;
pub mod document;
pub mod entry;
pub mod key;
pub mod license;
pub mod model;
pub mod policy;
pub mod reference;
pub mod run;
pub mod schema;
pub mod section;
pub mod setting;
pub mod starter;
pub mod threads;
pub mod train;
pub mod yaml;

use std::path::Path;

use data::DataConfig;
use declare::keys;
pub use device::Device;
use document::{Document, Problems, variables};
use model::{ModelConfig, Output};
use run::{CheckpointConfig, ExportConfig, LogConfig, RunConfig};
use section::Section;
pub use threads::Threads;
use train::{Metric, Schedule, TrainConfig};

/// The version of the file format this program reads.
pub const VERSION: u64 = 1;

/// What to do where a file names no version.
const WRITE_VERSION: &str = "write `version: 1` as the first line";

keys! {
    /// A fully resolved experiment: every default is filled in. `file` names one that does not say its name.
    Experiment(file: &Path) {
        /// The version of the file format, 1.
        version: u64 [
            by read_version;
            Shape::Whole(Rule::Within(1.0, 1.0)), needs WRITE_VERSION
        ] resume Refused,
        /// Names the run directory: letters, digits, - _ . +
        name: String [
            by |top: &mut Section| top.slot("name").plain(|name: &String| file_name(name)).unwrap_or_else(|| name_from(file));
            Shape::Text, "the name of the file"
        ] resume Free,
        /// All chance follows from it.
        seed: u64 [= 42] resume Refused,
        /// Where tensors live.
        device: Device [= Device::Auto] resume Branch,
        /// Threads of the CPU; recorded with every run, because results depend on it.
        threads: Threads [= Threads::Auto] resume Branch,
        /// Where images come from, how they are split, normalised and augmented.
        data: DataConfig [section needs "a section with a source"] resume Refused,
        /// Kind and sizes of the network.
        model: ModelConfig [section needs "a section with a kind"] resume Refused,
        /// Epochs, batches, optimiser, schedule, loss.
        train: TrainConfig [section] resume Branch,
        /// Choice of the best epoch.
        checkpoint: CheckpointConfig [section with data.may_have_val()] resume Free,
        /// Logs beside `metrics.jsonl`.
        log: LogConfig [section] resume Free,
        /// Formats to export to, and whether to do so when training ends.
        export: ExportConfig [section] resume Free,
        /// Where run directories are made and what to do if one exists.
        run: RunConfig [section] resume Free,
    }
    check(experiment, top) {
        top.slot("extends"); // which is gone by now, and may have been meant
        experiment.check_across(top);
    }
}

/// A check that needs to know more than the config does (the shapes of a network, say). It answers with
/// the key that is wrong and what is wrong with it.
pub type Rule = fn(&Experiment) -> Result<(), (String, String)>;

impl Experiment {
    /// Reads `file` with `overrides` (`key=value`) laid over it, and applies `rules` to the result.
    ///
    /// # Errors
    /// Every problem found; nothing expensive has been done by then.
    pub fn load(file: &Path, overrides: &[String], rules: &[Rule]) -> Result<Experiment, Problems> {
        Experiment::from_document(&Document::open(file, overrides)?, file, rules)
    }

    /// The same for a document already open; `file` gives the default of `name`.
    ///
    /// # Errors
    /// As [`Experiment::load`].
    pub fn from_document(
        document: &Document,
        file: &Path,
        rules: &[Rule],
    ) -> Result<Experiment, Problems> {
        let experiment = Experiment::of(&mut Section::top(document), file);
        // What is wrong elsewhere keeps no rule about layers and images from being applied.
        let valid = !["data", "model"]
            .iter()
            .any(|section| document.is_wrong(section));
        for rule in rules.iter().filter(|_| valid) {
            if let Err((key, message)) = rule(&experiment) {
                let path: Vec<String> = key.split('.').map(str::to_owned).collect();
                document.wrong_value(&path, message);
            }
        }
        document.verdict()?;
        Ok(experiment)
    }

    /// The resolved experiment as YAML; reading it gives the same experiment, and by YAML 1.1 the same values.
    pub fn to_yaml(&self) -> String {
        let mut value = serde_yaml::to_value(self).expect("an experiment is plain data");
        variables::escape(&mut value);
        yaml::write(&value)
    }

    /// Rules that hold between sections.
    fn check_across(&self, top: &Section) {
        if self.model.output == Output::Binary
            && self.data.classes.as_ref().is_some_and(|c| c.len() != 2)
        {
            let message = "binary is one logit for two classes, but data.classes names another number; use output: classes";
            top.wrong("model.output", message.to_owned());
        }
        for (key, metric) in self.needs_val() {
            if !self.data.may_have_val() {
                let message = format!(
                    "{} needs a validation part, but data.split.val is 0; use train.loss, or make data.split.val greater than 0",
                    metric.word()
                );
                top.wrong(key, message);
            }
        }
    }

    /// The keys that name a metric of the val part, with that metric.
    pub fn needs_val(&self) -> Vec<(&'static str, Metric)> {
        let early = self.train.early_stopping.as_ref().map(|early| early.metric);
        let plateau = match self.train.schedule {
            Schedule::Plateau { metric, .. } => Some(metric),
            _ => None,
        };
        let watched = [
            ("checkpoint.metric", Some(self.checkpoint.metric)),
            ("train.early_stopping.metric", early),
            ("train.schedule.metric", plateau),
        ];
        let watched = watched.into_iter();
        watched
            .filter_map(|(key, metric)| Some((key, metric.filter(|metric| metric.needs_val())?)))
            .collect()
    }
}

fn read_version(top: &mut Section) -> u64 {
    let version: Option<u64> = top.needed("version", WRITE_VERSION, key::Rule::Any);
    if let Some(other) = version.filter(|version| *version != VERSION) {
        let message =
            format!("version {other} is not supported; this signet reads version {VERSION}");
        top.wrong("version", message);
    }
    VERSION
}

/// The name of what `file` describes, if it does not say: its own, with a dash for what no folder should be called.
pub fn name_from(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    match name.trim_start_matches(['.', '-']) {
        "" => "experiment".to_owned(),
        name => name.to_owned(),
    }
}

/// Whether `c` may stand in the name of a folder.
fn plain(c: char) -> bool {
    c.is_alphanumeric() || "-_.+".contains(c)
}

/// A rule: usable as the name of a folder.
pub fn file_name(name: &str) -> Result<(), String> {
    if !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(plain) {
        Ok(())
    } else {
        Err("a name for a folder: letters, digits, - _ . +".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "version: 1\ndata: {source: {kind: generated}}\nmodel: {kind: cnn}\n";

    fn load(text: &str, overrides: &[&str]) -> Result<Experiment, Vec<String>> {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        Document::parse("x.yaml".into(), text.into(), &overrides)
            .and_then(|document| Experiment::from_document(&document, Path::new("x.yaml"), &[]))
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_resolved_file_reads_back_as_the_same_experiment() {
        let variants: [&[&str]; 7] = [
            &["data.source={kind: class_folders, root: 'a$${B}$$${C}'}"],
            &[],
            &[
                "model={kind: lstm, sequence: patches, bidirectional: true}",
                "train.schedule={kind: one_cycle}",
            ],
            &[
                "model={kind: layers, layers: [{kind: flatten}, {kind: linear}]}",
                "train.optimizer={kind: rmsprop}",
            ],
            &[
                "data.source={kind: npy, images: X.npy, rows: {'0': [204, 409], '1': [822, 1027]}}",
                "train.batch_size=full",
            ],
            &[
                "data.source={kind: npy, images: X.npy, labels: Y.npy, label_map: {'0': 1, '1': 4}}",
                "device=cuda:1",
            ],
            &[
                "data.augment=[{kind: shift}, {kind: erase}]",
                "data.normalize={mean: [0.5], std: [0.2]}",
                "model.init={weights: {kind: constant}, bias: zero}",
            ],
        ];
        for overrides in variants {
            let experiment = load(SMALL, overrides).unwrap();
            assert_eq!(
                load(&experiment.to_yaml(), &[]).unwrap(),
                experiment,
                "{overrides:?}"
            );
        }
    }

    #[test]
    fn all_problems_come_at_once_with_place_key_and_nearest_word() {
        let text = "version: 1\nsede: 3\ndata:\n  source: {kind: generated, root: x}\nmodel:\n  kind: lstm\n  kernel: 3\ntrain:\n  epochs: 0\n  optimizer: {kind: adamm, lr: 1}\n  early_stopping: {patience: two}\n";
        let problems = load(text, &["train.batch_size=-1"]).unwrap_err();
        let expected = [
            "x.yaml:2:1: sede: not a key of this file; did you mean seed?",
            "x.yaml:4:29: data.source.root: not a key of kind generated, which knows kind, pictures, seed",
            "x.yaml:7:3: model.kernel: not a key of kind lstm, which knows",
            "x.yaml:9:11: train.epochs: expected 1 to 1000000000, found 0",
            "x.yaml:10:21: train.optimizer.kind: adamm is not one of sgd, adam, adamw, rmsprop; did you mean adam?",
            "x.yaml:11:30: train.early_stopping.patience: expected a whole number of 0 or more, found \"two\"",
            "-s train.batch_size=-1: train.batch_size: expected a number of images or full, found -1",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(
                problem.starts_with(expected),
                "{problem}\nis not\n{expected}"
            );
        }
    }

    #[test]
    fn a_variable_may_say_null_where_a_key_may_be_null() {
        let with = |value: &str| {
            let own = format!("data.per_class=${{SIGNET_SURELY_UNSET:-{value}}}");
            load(SMALL, &[&own]).map(|experiment| experiment.data.per_class)
        };
        assert_eq!(with("null"), Ok(None));
        assert_eq!(with("7"), Ok(Some(7)));
        assert!(with("seven").is_err());
    }

    #[test]
    fn kinds_without_settings_refuse_other_keys_too() {
        let layers = "model={kind: layers, layers: [{kind: flatten, units: 3}, {kind: linear}]}";
        let problems = load(SMALL, &[layers]).unwrap_err();
        assert!(
            problems[0].contains("model.layers.0.units: not a key of kind flatten"),
            "{problems:?}"
        );
    }

    #[test]
    fn sections_that_contradict_each_other_are_refused() {
        let cases = [
            (
                &["model.output=binary", "data.classes=['0', '1', '2']"][..],
                "model.output",
            ),
            (
                &["data.split={kind: sklearn}", "train.early_stopping={}"],
                "train.early_stopping.metric",
            ),
            (
                &["data.split={kind: stratified, train: 0.5, val: 0.1, test: 0.1}"],
                "data.split.train",
            ),
            (
                &[
                    "train.epochs=2",
                    "train.schedule={kind: cosine, warmup_epochs: 2}",
                ],
                "train.schedule.warmup_epochs",
            ),
            (&["data.order=kaggle"], "data.order"),
        ];
        for (overrides, key) in cases {
            let problems = load(SMALL, overrides).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(&format!(" {key}: ")), "{problems:?}");
        }
    }
}
