//! Element-wise addition in place, and copy: `shaders/add.wgsl`.

use super::{Compiler, Cost, Kernel, Recipe, Stream};
use crate::gpu::GpuError;
use minijinja::context;

/// `a += b` over `length` elements. Arguments: `a` (read and written), `b`.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn add(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    streaming(compiler, "add", length)
}

/// `a = b` over `length` elements. Arguments: `a` (written in full), `b`.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn copy(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    streaming(compiler, "copy", length)
}

fn streaming(compiler: &Compiler, entry: &str, length: usize) -> Result<Recipe, GpuError> {
    let width = super::vector_width(length);
    let stream = Stream::over(compiler.tiling, length / width);
    let constants = stream.with(context! { entry, width, length });
    let (flops, moved) = if entry == "add" {
        (1.0, 12.0)
    } else {
        (0.0, 8.0)
    };
    let kernel = Kernel {
        pipeline: compiler.pipeline("add.wgsl", entry, constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: flops * length as f64,
            bytes: moved * length as f64,
        },
    };
    Ok(Recipe::single(kernel, 2))
}
