//! Networks: one description (`kinds`), its layers and their shapes (`layer`, `layers`, `node`, `fusion`, `plan`, `graph`),
//! and weights (`network`, `transfer`).

pub mod fusion;
pub mod graph;
pub mod kinds;
pub mod layer;
pub mod layers;
pub mod network;
pub mod node;
pub mod plan;
pub mod transfer;
