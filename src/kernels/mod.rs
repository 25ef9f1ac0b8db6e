//! One file per WGSL family, of the same stem as its shader, its twin and its tests
//! (`shaders/gate.wgsl`, `src/reference/gate.rs`, `tests/kernels/gate.rs`). The convolution is the
//! exception: one twin and one file of tests for `conv2d_tiled` and the shaders `conv2d_subgroup*`,
//! of which `_pack` and `_scatter` are built in `conv2d_subgroup.rs`, `_stem` and `_sum` in
//! `conv2d_subgroup_weight.rs`.
//!
//! A kernel here is a WGSL template and constants: shapes and tile sizes are baked in when
//! the [`Compiler`] expands it, so that every division becomes a multiplication and every
//! register tile is unrolled in the text. Each family offers functions that take a shape and
//! return a [`Recipe`]: the dispatches, in order, that compute one thing, with the scratch
//! memory they share. This room knows shapes, not layers.

pub mod add;
pub mod augment;
pub mod batch_norm;
pub mod compiler;
pub mod conv2d;
pub mod conv2d_grouped;
pub mod conv2d_subgroup;
pub mod conv2d_subgroup_texture;
pub mod conv2d_subgroup_weight;
pub mod conv2d_tiled;
pub mod dapa;
pub mod dropout;
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
pub mod preset;
pub mod recipe;
pub mod roofline;
pub mod scale;
pub mod sigmoid;
pub mod squares;
pub mod step;
pub mod tuning;
pub mod typical;

use minijinja::{Value, context};

pub use compiler::Compiler;
pub use preset::Preset;
pub use recipe::{Arg, Cost, Kernel, Recipe};

/// Elements that one vector load takes: 4 where `length` allows, else 1.
pub(crate) fn vector_width(length: usize) -> usize {
    if length.is_multiple_of(4) { 4 } else { 1 }
}

/// How a kernel streams over items with the loop of `shaders/common/stream.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    workgroup: u32,
    groups: u32,
    /// Items of a workgroup.
    run: usize,
}

impl Stream {
    /// Enough invocations to fill the adapter, a few of `items` each.
    pub(crate) fn over(preset: Preset, items: usize) -> Self {
        let workgroup = preset.workgroup();
        let most = (8 * preset.target_invocations() / workgroup).clamp(1, MAX_GRID as u32);
        let wanted = items
            .div_ceil(4 * workgroup as usize)
            .clamp(1, most as usize);
        Self::in_runs(workgroup, items, items.div_ceil(wanted))
    }

    /// Runs of at least `run` of `items`, one or more, in whole workgroups.
    pub(crate) fn in_runs(workgroup: u32, items: usize, run: usize) -> Self {
        let least = items.div_ceil(MAX_GRID);
        let run = run.max(least).next_multiple_of(workgroup as usize);
        Self {
            workgroup,
            groups: items.div_ceil(run) as u32,
            run,
        }
    }

    /// The grid.
    pub(crate) fn grid(&self) -> [u32; 3] {
        [self.groups, 1, 1]
    }

    /// What the template asks for, beside `others`.
    pub(crate) fn with(&self, others: Value) -> Value {
        context! { workgroup => self.workgroup, run => self.run, ..others }
    }
}

/// Most workgroups along one axis of a grid.
pub(crate) const MAX_GRID: usize = 65_535;
