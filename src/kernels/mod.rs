//! One file per WGSL family, of the same stem as its shader, its twin and its tests
//! (`shaders/conv2d.wgsl`, `src/reference/conv2d.rs`, `tests/kernels/conv2d.rs`).
//!
//! A kernel here is a WGSL template and constants: shapes and tile sizes are baked in when
//! the [`Compiler`] expands it, so that every division becomes a multiplication and every
//! register tile is unrolled in the text. Each family offers functions that take a shape and
//! return a [`Recipe`]: the dispatches, in order, that compute one thing, with the scratch
//! memory they share. This room knows shapes, not layers.

pub mod compiler;
pub mod preset;
pub mod recipe;
pub mod step;

pub use compiler::Compiler;
pub use preset::Preset;
pub use recipe::{Arg, Cost, Kernel, Recipe};
