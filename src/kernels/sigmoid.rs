//! Sigmoid: `shaders/sigmoid.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template, vector_width,
};
use super::family::{Family, Table};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("sigmoid.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "sigmoid",
    templates: &[TEMPLATE],
    permutations,
};

/// `y = 1 / (1 + e^−x)` of `length` elements. Arguments: `x`, `y` (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    pass(compiler, "forward", length, [5, 8])
}

/// Gradient of [`forward`]. Arguments: `dy` (becomes `dx`), `y`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn backward(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    pass(compiler, "backward", length, [3, 12])
}

/// A pass of so many flops and bytes an element.
fn pass(
    compiler: &Compiler,
    entry: &'static str,
    length: usize,
    [flops, bytes]: [usize; 2],
) -> Result<Recipe, GpuError> {
    let width = vector_width(length);
    let vectors = length / width;
    let stream = Stream::over(compiler.tiling, vectors);
    let constants = stream.with(context! { entry, width, vectors });
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, entry, constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (flops * length) as f64,
            bytes: (bytes * length) as f64,
        },
    };
    Ok(Recipe::single(kernel, vec![Size::words(length); 2]))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for length in [3, 128 * 96] {
        let name = length.to_string();
        table.push("sigmoid forward", &name, move |c| forward(c, length));
        table.push("sigmoid backward", name, move |c| backward(c, length));
    }
}
