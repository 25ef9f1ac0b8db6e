//! The small fixed op set: a [`Network`] is data, a [`Layout`] says where its tensors lie,
//! and a `Plan` compiles it once for a batch size and a mode.

pub mod layout;
pub mod network;
mod ops;
pub mod tensors;

pub use layout::Layout;
pub use network::{Chw, Network, NodeId, Op, ShapeError};
pub use tensors::{Model, Tensors};
