//! Many runs of one experiment: which ones (`trials`), run in processes of their own (`runner`), and what they
//! say together (`summary`).

pub mod runner;
pub mod summary;
pub mod trials;
