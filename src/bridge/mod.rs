//! What libtorch, libjpeg-turbo, ONNX Runtime and the operating system can do and no binding offers.
//!
//! All `unsafe` of the project is in this folder, and nothing here knows the rest of it. Each subject is a C++ file
//! with its safe face beside it: `update`, `gradients`, `precision`, `recurrent`, `convolutional`, `dropout`, `pixels`, `warp`, `upload`,
//! `libtorch`, `process_group`; the C++ files share `guard.h`, which turns exceptions into messages, and `kernels.h`, which loops over
//! numbers stand on, and their faces share `calls`, which turns those into errors. `graph` and NCCL are in a library of their own (`cuda_library`).
//! Without C++ of ours are `cuda` and `onnxruntime`, which stand on `library`, and `memory`, `jpeg`, `process`, `waiting` and `early`.
#![allow(unsafe_code)]

/// Whose arithmetic the CPU does, with a number that is raised whenever its bits change.
pub const KERNELS: &str = "signet 4";

mod calls;
mod convolutional;
pub mod cuda;
pub mod cuda_library;
mod dropout;
#[cfg(target_os = "linux")]
pub mod early;
mod gradients;
pub mod graph;
pub mod jpeg;
mod library;
mod libtorch;
mod memory;
mod onnxruntime;
mod pixels;
mod precision;
pub mod process;
pub mod process_group;
mod recurrent;
mod update;
mod upload;
pub mod waiting;
mod warp;

pub use calls::first_words;
pub use convolutional::{BatchNormParts, batch_norm, conv2d, norm_pool_relu, pool_relu};
pub use dropout::dropout;
pub use gradients::{gradients, zero_grad};
pub use libtorch::{LIBTORCH, cpu_capability, library_of_libtorch, set_num_threads};
pub use memory::keep_freed_memory;
pub use onnxruntime::{OnnxRuntime, onnx_runtime};
pub use pixels::{in_unit, normalize};
pub use precision::{Autocast, cpu_computes_bf16, set_deterministic, set_tf32, tf32};
pub use recurrent::{RecurrentKind, RecurrentStack, recurrent};
pub use update::{Moments, Rule, UpdateKind, update};
pub use upload::upload;
pub use warp::warp;
