//! Several processes that train one run together: how a launcher started them (`launcher`), how they meet (`meeting`) in a
//! `store`, that they do the same (`agreement`), what they exchange (`ranks`), who of them is `lost`, and what
//! `torchrun` is told of that.
//!
//! One process alone is the case of a world of one: nothing is exchanged then, and nothing waited for.

mod agreement;
pub mod launcher;
mod lost;
mod meeting;
mod ranks;
mod store;
mod torchrun;

pub use agreement::Facts;
pub use ranks::{Lost, Ranks};
pub use torchrun::tell_torchrun;
