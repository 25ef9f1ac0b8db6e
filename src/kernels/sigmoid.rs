//! Sigmoid: `shaders/sigmoid.wgsl`.

use super::{Compiler, Cost, Kernel, Recipe, Stream, vector_width};
use crate::gpu::GpuError;
use minijinja::context;

/// `y = 1 / (1 + e^−x)` of `length` elements. Arguments: `x`, `y` (written in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn forward(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    pass(compiler, "forward", length, 8)
}

/// Gradient of [`forward`]. Arguments: `dy` (becomes `dx`), `y`.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn backward(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    pass(compiler, "backward", length, 12)
}

/// A pass that moves `bytes` an element.
fn pass(
    compiler: &Compiler,
    entry: &'static str,
    length: usize,
    bytes: usize,
) -> Result<Recipe, GpuError> {
    let width = vector_width(length);
    let vectors = length / width;
    let stream = Stream::over(compiler.preset, vectors);
    let constants = stream.with(context! { entry, width, vectors });
    let kernel = Kernel {
        pipeline: compiler.pipeline("sigmoid.wgsl", entry, constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: 4.0 * length as f64,
            bytes: (bytes * length) as f64,
        },
    };
    Ok(Recipe::single(kernel, 2))
}
