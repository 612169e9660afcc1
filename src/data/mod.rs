//! Pictures: where they come from and how they reach a model.

pub mod fetch;
pub mod generated;
