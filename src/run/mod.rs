//! A run: what it needs in memory (`session`), what it depends on (`environment`, `arithmetic`), its folder (`directory`, `lock`)
//! and what lies there before a step (`create`), its files (`logs`, `samples`, `history`, `timing`, `event_files`; `checkpoint`,
//! `checkpoints`, `checkpointer`, `retention`), going on with it (`resume`, `changes`, `prove`), and what is seen of it
//! (`display`, `bars`, `sparkline`, `screen`, `interrupt`).

pub mod arithmetic;
pub mod bars;
pub mod changes;
pub mod checkpoint;
pub mod checkpointer;
pub mod checkpoints;
pub mod create;
pub mod directory;
pub mod display;
pub mod environment;
pub mod event_files;
pub mod history;
pub mod interrupt;
pub mod logs;
pub mod orders;
pub mod prove;
pub mod resume;
pub mod retention;
pub mod samples;
pub mod screen;
pub mod session;
pub mod source;
pub mod sparkline;
pub mod timing;
