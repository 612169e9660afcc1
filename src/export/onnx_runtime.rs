//! A model in ONNX Runtime: on the CPU, on one thread, and silent.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::value;
use tch::Tensor;

use super::onnx;
use crate::bridge::onnx_runtime;
use crate::fault::{Blame, Fault};

/// A model that ONNX Runtime has read.
pub struct OnnxSession(RefCell<Session>);

impl OnnxSession {
    /// Has ONNX Runtime read a model.
    ///
    /// # Errors
    /// No ONNX Runtime, which is no fault of the model; a model that it does not take.
    pub fn open(bytes: &[u8]) -> Result<OnnxSession> {
        onnx_runtime().blame(Fault::Run)?;
        let session = session(bytes)
            .map_err(|error| anyhow!("ONNX Runtime does not read it: {}", first_line(&error)))?;
        Ok(OnnxSession(RefCell::new(session)))
    }

    /// What the model answers to `images`, `[N, C, H, W]` in float32.
    ///
    /// # Errors
    /// A model that does not run on them.
    pub fn run(&self, images: &Tensor) -> Result<Tensor> {
        let numbers = Vec::try_from(images.contiguous().view([-1]))?;
        let answer = answer(&mut self.0.borrow_mut(), images.size(), numbers);
        answer.map_err(|error| anyhow!("{}", first_line(&error)))
    }
}

/// On one thread, because the batches are small and a gate is one process of several.
fn session(bytes: &[u8]) -> ort::Result<Session> {
    Session::builder(environment()?)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_deterministic_compute(true)?
        .commit_from_memory(bytes)
}

/// The logits of the images that `numbers` are, in the shape of `size`.
fn answer(session: &mut Session, size: Vec<i64>, numbers: Vec<f32>) -> ort::Result<Tensor> {
    let input = value::Tensor::from_array((size, numbers))?;
    let outputs = session.run(ort::inputs![onnx::INPUT => input])?;
    let (size, logits) = outputs[onnx::OUTPUT].try_extract_tensor::<f32>()?;
    Ok(Tensor::from_slice(logits).view(&size[..]))
}

/// The one environment of this process. What ONNX Runtime logs reaches nobody: its errors come back as values.
fn environment() -> ort::Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<ort::Result<Environment>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let silent = Arc::new(|_: LogLevel, _: &str, _: &str, _: &str, _: &str| {});
        let made = ort::init()
            .with_telemetry(false)
            .with_logger(silent)
            .build()?;
        made.set_log_level(LogLevel::Fatal);
        Ok(made)
    });
    made.as_ref()
        .map_err(|error| ort::Error::new(error.message()))
}

/// What an error of a library says first; the rest is frames and tensors.
pub(super) fn first_line(error: &impl std::fmt::Display) -> String {
    let text = format!("{error:#}");
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default().chars().take(300).collect()
}
