//! Evidence for people and programs: tables before and after training (`summary`), of studies (`studies`) and of
//! what lies in folders (`catalog`), the form they share (`table`), and what TensorBoard shows of a run (`tensorboard`).

pub mod catalog;
pub mod findings;
pub mod reference;
pub mod studies;
pub mod summary;
pub mod table;
pub mod tensorboard;
