//! Evidence for people and programs: tables before and after training (`summary`), and what a model
//! got right (`evaluation`).

pub mod evaluation;
pub mod summary;
