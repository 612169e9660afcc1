//! signet reads YAML experiments, trains image classifiers on libtorch, and keeps the evidence.
//!
//! Data flows one way, config -> data -> model -> train -> run -> export -> study -> report, and a module leans only
//! on those before it. `commands` is where the pieces meet.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod bridge;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data;
pub mod disk;
pub mod distributed;
pub mod export;
pub mod fault;
pub mod messages;
pub mod model;
pub mod report;
pub mod rng;
pub mod run;
pub mod study;
pub mod terminal;
pub mod train;
