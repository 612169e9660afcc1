//! Many runs of one experiment: which ones (`trials`; `sweep`, `points`), in which folder (`folder`), run in processes of
//! their own (`runner`, `halving`; a `share` of them in each job of an array) with one `display`, and what they say, one by one (`results`) and together (`summary`,
//! `ranking`, `statistics`), also of labels that they contradict (`label_issues`). `catalog` finds what earlier launches left, and `compare` lays it side by side.

pub mod catalog;
pub mod compare;
pub mod display;
pub mod folder;
pub mod halving;
pub mod label_issues;
pub mod points;
pub mod ranking;
pub mod results;
pub mod runner;
pub mod share;
pub mod statistics;
pub mod summary;
pub mod sweep;
pub mod trials;
