//! One file per kind of layer.

mod activation;
mod batch_norm;
mod binary_logits;
mod conv2d;
mod dropout;
mod flatten;
mod global_avg_pool;
mod linear;
mod pool2d;
mod pool_time;
mod recurrent;
mod to_sequence;

pub use activation::{Activation, is_monotonic};
pub use batch_norm::BatchNorm;
pub use binary_logits::BinaryLogits;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use global_avg_pool::GlobalAvgPool;
pub use linear::Linear;
pub use pool_time::PoolTime;
pub use pool2d::{Pool2d, PoolWindow};
pub use recurrent::{Cell, Recurrent};
pub use to_sequence::ToSequence;
