//! The small fixed op set: a [`Network`] is data, a [`Layout`] says where its tensors lie,
//! and a `Plan` compiles it once for a batch size and a mode.

pub mod arenas;
pub mod layout;
pub mod loaded;
mod lower;
pub mod network;
mod ops;
pub mod plan;
mod schedule;
pub mod tensors;

pub use arenas::{Arenas, Gradients};
pub use layout::Layout;
pub use loaded::Loaded;
pub use network::{Chw, Network, NodeId, Nonlinearity, Op, ShapeError};
pub use plan::Plan;
pub use tensors::{Model, Tensors};
