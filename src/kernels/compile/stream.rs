//! How a kernel streams over items: the host's side of `shaders/common/stream.wgsl`.

use super::tiling::Tiling;
use minijinja::{Value, context};

/// Elements that one vector load takes: 4 where `length` allows, else 1.
pub(in crate::kernels) fn vector_width(length: usize) -> usize {
    if length.is_multiple_of(4) { 4 } else { 1 }
}

/// How a kernel streams over items with the loop of `shaders/common/stream.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Stream {
    workgroup: u32,
    groups: u32,
    /// Items of a workgroup.
    run: usize,
}

impl Stream {
    /// Enough invocations to fill the adapter, a few of `items` each.
    pub(in crate::kernels) fn over(tiling: Tiling, items: usize) -> Self {
        let workgroup = tiling.workgroup();
        let most = (8 * tiling.target_invocations() / workgroup).clamp(1, MAX_GRID as u32);
        let wanted = items
            .div_ceil(4 * workgroup as usize)
            .clamp(1, most as usize);
        Self::in_runs(workgroup, items, items.div_ceil(wanted))
    }

    /// Runs of at least `run` of `items`, one or more, in whole workgroups.
    pub(in crate::kernels) fn in_runs(workgroup: u32, items: usize, run: usize) -> Self {
        let least = items.div_ceil(MAX_GRID);
        let run = run.max(least).next_multiple_of(workgroup as usize);
        Self {
            workgroup,
            groups: items.div_ceil(run) as u32,
            run,
        }
    }

    /// The grid.
    pub(in crate::kernels) fn grid(&self) -> [u32; 3] {
        [self.groups, 1, 1]
    }

    /// What the template asks for, beside `others`.
    pub(in crate::kernels) fn with(&self, others: Value) -> Value {
        context! { workgroup => self.workgroup, run => self.run, ..others }
    }
}

/// Most workgroups along an axis of a grid.
pub(in crate::kernels) const MAX_GRID: usize = crate::gpu::MAX_GRID as usize;
