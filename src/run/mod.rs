//! A run: what it needs in memory (`session`), its folder and files (`directory`, `records`, `weights`,
//! `tensorboard`), and what is seen of it (`progress`).

pub mod directory;
pub mod progress;
pub mod records;
pub mod session;
mod tensorboard;
pub mod weights;
