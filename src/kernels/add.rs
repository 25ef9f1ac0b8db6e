//! Element-wise addition in place: `shaders/add.wgsl`.

use super::{Compiler, Cost, Kernel, Recipe};
use crate::gpu::GpuError;
use minijinja::context;

/// `a += b` over `length` elements. Arguments: `a` (read and written), `b`.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn add(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    let width = super::vector_width(length);
    let (workgroup, groups) = super::streaming_grid(compiler.preset, length / width);
    let constants = context! { width, workgroup, length, stride => workgroup * groups };
    let kernel = Kernel {
        pipeline: compiler.pipeline("add.wgsl", "add", constants)?,
        grid: [groups, 1, 1],
        cost: Cost {
            flops: length as f64,
            bytes: 12.0 * length as f64,
        },
    };
    Ok(Recipe::single(kernel, 2))
}
