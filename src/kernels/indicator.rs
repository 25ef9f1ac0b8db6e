//! Scores, hysteresis and counts: `shaders/indicator.wgsl`.

use super::{Compiler, Cost, Kernel, Recipe};
use crate::gpu::GpuError;
use minijinja::context;

/// One update of all scores and masks. `length` is a multiple of 256. Arguments: step scalars,
/// scores, masks, mask gradient, Adam's two moments (each f32[length]), site table
/// u32[length/256], counts u32[sites] (added to), kept u32[1].
///
/// # Errors
/// [`GpuError::Compile`].
pub fn update(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    let blocks = (length / 256) as u32;
    let row = blocks.clamp(1, 32_768);
    let kernel = Kernel {
        pipeline: compiler.pipeline("indicator.wgsl", "update", context! { length, row })?,
        grid: [row, blocks.div_ceil(row), 1],
        cost: Cost {
            flops: 30.0 * length as f64,
            bytes: 36.0 * length as f64,
        },
    };
    Ok(Recipe::single(kernel, 9))
}
