//! The small fixed op set: a [`Network`] is data, a [`Layout`] says where its tensors lie,
//! and a [`Plan`] compiles it once for a batch size and a mode.
//!
//! In reading order, each file importing only those before it: [`op`] and the shapes that ops
//! make; [`network`]; [`layout`], [`tensors`] on the host and [`arenas`] on the device,
//! [`loaded`]; `lower`, what becomes one dispatch; [`mode`] and [`ports`], what a plan is
//! compiled for; `schedule`, dispatches in order and the memory between them; `emitter`, what
//! an op emits through; `ops`, the dispatches of each op and its backward; [`plan`].

pub mod arenas;
mod emitter;
pub mod layout;
pub mod loaded;
mod lower;
pub mod mode;
pub mod network;
pub mod op;
mod ops;
pub mod plan;
pub mod ports;
mod schedule;
pub mod tensors;

pub use arenas::{Arenas, Gradients};
pub use layout::Layout;
pub use loaded::Loaded;
pub use mode::{Activations, Mode};
pub use network::{Network, NodeId, Nonlinearity, ShapeError};
pub use op::{Chw, Conv2d, Dropout, Linear, Op, Pool};
pub use plan::Plan;
pub use ports::Ports;
pub use schedule::PlannedDispatch;
pub use tensors::{Model, Tensors};
