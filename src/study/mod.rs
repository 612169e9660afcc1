//! Many runs of one experiment: which ones (`trials`; `sweep`, `points`), in which folder (`folder`), run in processes of
//! their own (`runner`, `race`) with one `display`, and what they say, one by one (`figures`) and together (`summary`,
//! `ranking`, `statistics`). `shelf` finds what earlier sittings left, and `compare` lays it side by side.

pub mod compare;
pub mod display;
pub mod figures;
pub mod folder;
pub mod points;
pub mod race;
pub mod ranking;
pub mod runner;
pub mod shelf;
pub mod statistics;
pub mod summary;
pub mod sweep;
pub mod trials;
