//! Networks: one description (`kinds`), its layers and their shapes (`layer`, `layers`, `plan`), and
//! weights (`network`).

pub mod kinds;
pub mod layer;
pub mod layers;
pub mod network;
pub mod plan;
