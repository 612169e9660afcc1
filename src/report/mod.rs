//! Evidence for people and programs: tables before and after training (`summary`), of studies (`studies`) and of
//! what lies in folders (`catalog`), and the form they share (`table`).

pub mod catalog;
pub mod findings;
pub mod reference;
pub mod studies;
pub mod summary;
pub mod table;
