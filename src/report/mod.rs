//! Evidence for people and programs: tables before and after training (`summary`), of studies (`studies`) and of
//! what lies in folders (`catalog`), what a model got right (`evaluation`), and the form they share (`table`).

pub mod catalog;
pub mod evaluation;
pub mod studies;
pub mod summary;
pub mod table;
