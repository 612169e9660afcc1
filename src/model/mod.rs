//! Networks: one description (`kinds`), its layers and their shapes (`layer`, `layers`, `node`, `fusion`, `plan`, `graph`),
//! weights (`network`, `transfer`), and what a network looked at (`layer_cam`).

pub mod fusion;
pub mod graph;
pub mod kinds;
pub mod layer;
mod layer_cam;
pub mod layers;
pub mod network;
pub mod node;
pub mod plan;
pub mod transfer;
