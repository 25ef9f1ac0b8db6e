//! Element-wise addition in place, and copy: `shaders/add.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template, vector_width,
};
use super::family::{Family, Table};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("add.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "add",
    templates: &[TEMPLATE],
    permutations,
};

/// `a += b` over `length` elements. Arguments: `a` (read and written), `b`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn add(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    streaming(compiler, "add", length)
}

/// `a = b` over `length` elements. Arguments: `a` (written in full), `b`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn copy(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    streaming(compiler, "copy", length)
}

fn streaming(compiler: &Compiler, entry: &str, length: usize) -> Result<Recipe, GpuError> {
    let width = vector_width(length);
    let stream = Stream::over(compiler.tiling, length / width);
    let constants = stream.with(context! { entry, width, length });
    let (flops, moved) = if entry == "add" {
        (1.0, 12.0)
    } else {
        (0.0, 8.0)
    };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, entry, constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: flops * length as f64,
            bytes: moved * length as f64,
        },
    };
    Ok(Recipe::single(kernel, vec![Size::words(length); 2]))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for length in [3, 4096] {
        let shape = length.to_string();
        table.push("add", &shape, move |c| add(c, length));
        table.push("add copy", &shape, move |c| copy(c, length));
    }
}
