//! What TensorBoard shows of a run and not of a step: its settings, and images as it meets them.
//!
//! It lies in a file of its own that each launch writes anew, so that it is there once and is true, however the run was
//! interrupted, and under whatever settings it goes on.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_yaml::Value;

use super::event_file::{EventFile, seconds};
use super::images;
use super::proto::{HparamsProto, SessionEndProto, SessionStartProto, SettingProto, ValueProto};
use crate::config::Experiment;
use crate::disk::Folder;
use crate::run::changes;
use crate::run::session::Session;

/// The name of the file, which TensorBoard reads before those of the steps. No checkpoint counts its bytes.
const NAME: &str = "events.out.tfevents.0.session";

/// The file of a launch.
pub(super) struct SessionFile(EventFile);

impl SessionFile {
    /// Writes into `folder` what is known of `session` before it trains.
    ///
    /// # Errors
    /// A disk that is full or cannot be written, an image that is gone.
    pub fn begin(folder: &Folder, session: &Session) -> Result<SessionFile> {
        let (_, first) = session.trainer().first_images(images::MOST)?;
        let grid = images::grid(&first)?;
        let config = session.experiment.to_yaml();
        // Each line four spaces in is code to Markdown, whatever stands in it.
        let code: String = config.lines().map(|line| format!("    {line}\n")).collect();
        let start = HparamsProto {
            session_start_info: Some(SessionStartProto {
                hparams: settings(&session.experiment),
                start_time_secs: seconds(),
            }),
            session_end_info: None,
        };
        folder.remove(NAME)?;
        let mut file = EventFile::open(folder, NAME)?;
        file.write(
            0,
            vec![
                ValueProto::hparams("_hparams_/session_start_info", &start),
                ValueProto::text("config", code),
                ValueProto::image("train/images", grid),
            ],
        )?;
        Ok(SessionFile(file))
    }

    /// Adds that the training is complete.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn end(&mut self) -> Result<()> {
        const SUCCESS: i32 = 1;
        let end = HparamsProto {
            session_start_info: None,
            session_end_info: Some(SessionEndProto {
                status: SUCCESS,
                end_time_secs: seconds(),
            }),
        };
        let end = ValueProto::hparams("_hparams_/session_end_info", &end);
        self.0.write(0, vec![end])
    }
}

/// The settings of `experiment` that are a number, a text, true or false; TensorBoard has no place for lists.
fn settings(experiment: &Experiment) -> BTreeMap<String, SettingProto> {
    let setting = |value: &Value| match value {
        Value::Number(number) => Some(SettingProto {
            number_value: number.as_f64(),
            ..SettingProto::default()
        }),
        Value::String(text) => Some(SettingProto {
            string_value: Some(text.clone()),
            ..SettingProto::default()
        }),
        Value::Bool(truth) => Some(SettingProto {
            bool_value: Some(*truth),
            ..SettingProto::default()
        }),
        _ => None,
    };
    let values = changes::values(experiment).into_iter();
    values
        .filter_map(|(key, value)| Some((key, setting(&value)?)))
        .collect()
}
