//! A factor per plane: `shaders/scale.wgsl`.

use super::pool::PlaneSplit;
use super::{Compiler, Cost, Kernel, Recipe, Stream, vector_width};
use crate::gpu::GpuError;
use minijinja::context;

/// `y[p,·] = x[p,·]·f[p]` for `planes` planes of `pixels` values. Arguments: `x` N×C×H×W,
/// `f` N×C, `y` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn forward(compiler: &Compiler, planes: usize, pixels: usize) -> Result<Recipe, GpuError> {
    let width = vector_width(pixels);
    let stream = Stream::over(compiler.tiling, planes * pixels / width);
    let constants = stream.with(context! { entry => "forward", width, planes, pixels });
    let kernel = Kernel {
        pipeline: compiler.pipeline("scale.wgsl", "forward", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (planes * pixels) as f64,
            bytes: 8.0 * (planes * pixels) as f64,
        },
    };
    Ok(Recipe::single(kernel, 3))
}

/// Gradients of [`forward`]. Arguments: `dy` N×C×H×W (becomes `dx`), `x`, `f`, `df` N×C (written
/// in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn backward(compiler: &Compiler, planes: usize, pixels: usize) -> Result<Recipe, GpuError> {
    let split = PlaneSplit::new(compiler.tiling, planes, pixels);
    let constants = context! { entry => "backward", planes, pixels, ..split.constants };
    let kernel = Kernel {
        pipeline: compiler.pipeline("scale.wgsl", "backward", constants)?,
        grid: split.grid,
        cost: Cost {
            flops: 3.0 * (planes * pixels) as f64,
            bytes: 12.0 * (planes * pixels) as f64,
        },
    };
    Ok(Recipe::single(kernel, 4))
}
