//! Networks: one description (`kinds`), its layers and their shapes (`layer`, `layers`, `plan`), and
//! weights (`network`, `transfer`).

pub mod kinds;
pub mod layer;
pub mod layers;
pub mod network;
pub mod plan;
pub mod transfer;
