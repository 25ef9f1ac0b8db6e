//! One file per WGSL family, of the same path as its shader, its twin and its tests
//! (`shaders/gate.wgsl`, `src/reference/gate.rs`, `tests/kernels/gate.rs`). The convolution fills
//! a folder in each of the four: a shader there belongs to the Rust file whose name it begins with
//! (`subgroup_pack.wgsl` to `subgroup.rs`), and all but `grouped` compute the same thing, so that
//! they share a twin and tests.
//!
//! A kernel here is a WGSL template and constants: shapes and tile sizes are baked in when
//! the [`Compiler`] expands it, so that every division becomes a multiplication and every
//! register tile is unrolled in the text. Each family offers functions that take a shape and
//! return a [`Recipe`]: the dispatches, in order, that compute one thing, with the scratch
//! memory they share. This room knows shapes, not layers.
//!
//! Imports go one way: what expands and binds templates (`compile/`) knows no family, a family
//! tells its templates and permutations as a [`Family`], and [`FAMILIES`] lists them all.

pub mod add;
pub mod augment;
pub mod batch_norm;
pub mod compile;
pub mod conv2d;
pub mod dapa;
pub mod dropout;
pub mod family;
pub mod gate;
pub mod indicator;
pub mod linear;
pub mod loss;
pub mod max_pool;
pub mod metrics;
pub mod optimizer;
pub mod permutations;
pub mod plane;
pub mod pool;
pub mod roofline;
pub mod scale;
pub mod sigmoid;
pub mod squares;
pub mod step;
pub mod threshold;
pub mod typical;
mod window;

use crate::gpu::Pipeline;
use compile::COMMON;
pub use compile::{Arg, Compiler, Cost, Kernel, Recipe, Size, Template, Tiling};
pub use family::Family;

/// Every family: what is known of them all, their shaders and permutations, is asked of this list.
pub const FAMILIES: &[Family] = &[
    add::FAMILY,
    augment::FAMILY,
    batch_norm::FAMILY,
    conv2d::FAMILY,
    conv2d::grouped::FAMILY,
    dapa::FAMILY,
    dropout::FAMILY,
    gate::FAMILY,
    indicator::FAMILY,
    linear::FAMILY,
    loss::FAMILY,
    max_pool::FAMILY,
    metrics::FAMILY,
    optimizer::FAMILY,
    pool::FAMILY,
    roofline::FAMILY,
    scale::FAMILY,
    sigmoid::FAMILY,
    squares::FAMILY,
    threshold::FAMILY,
];

/// Every template of `shaders/`: those of the families, and what they include.
pub fn templates() -> impl Iterator<Item = Template> {
    let own = FAMILIES.iter().flat_map(|family| family.templates);
    COMMON.iter().chain(own).copied()
}

/// The file of `shaders/` of which a pipeline was made.
pub fn file_of(pipeline: &Pipeline) -> Option<&'static str> {
    let mut templates = templates();
    let template = templates.find(|template| template.stem() == pipeline.kernel())?;
    Some(template.file)
}
