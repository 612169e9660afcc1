//! Evidence for people and programs.

pub mod evaluation;
