//! Evidence for people and programs: tables before and after training (`summary`), of studies (`studies`) and of
//! what lies in folders (`shelf`), and what a model got right (`evaluation`).

pub mod evaluation;
pub mod shelf;
pub mod studies;
pub mod summary;
