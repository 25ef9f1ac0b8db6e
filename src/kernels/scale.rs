//! A factor per plane: `shaders/scale.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template, vector_width,
};
use super::family::{Family, Table};
use super::pool::PlaneSplit;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("scale.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "scale",
    templates: &[TEMPLATE],
    permutations,
};

/// `y[p,·] = x[p,·]·f[p]` for `planes` planes of `pixels` values. Arguments: `x` N×C×H×W,
/// `f` N×C, `y` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(compiler: &Compiler, planes: usize, pixels: usize) -> Result<Recipe, GpuError> {
    let width = vector_width(pixels);
    let stream = Stream::over(compiler.tiling, planes * pixels / width);
    let constants = stream.with(context! { entry => "forward", width, planes, pixels });
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "forward", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (planes * pixels) as f64,
            bytes: 8.0 * (planes * pixels) as f64 + 4.0 * planes as f64,
        },
    };
    let (x, f) = (Size::words(planes * pixels), Size::words(planes));
    Ok(Recipe::single(kernel, vec![x, f, x]))
}

/// Gradients of [`forward`]. Arguments: `dy` N×C×H×W (becomes `dx`), `x`, `f`, `df` N×C (written
/// in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn backward(compiler: &Compiler, planes: usize, pixels: usize) -> Result<Recipe, GpuError> {
    let split = PlaneSplit::new(compiler.tiling, planes, pixels);
    let sums = split.flops_of_sums(planes);
    let constants = context! { entry => "backward", planes, pixels, ..split.constants };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "backward", constants)?,
        grid: split.grid,
        cost: Cost {
            flops: 3.0 * (planes * pixels) as f64 + sums,
            bytes: 12.0 * (planes * pixels) as f64 + 8.0 * planes as f64,
        },
    };
    let (x, f) = (Size::words(planes * pixels), Size::words(planes));
    Ok(Recipe::single(kernel, vec![x, x, f, f]))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for (planes, pixels) in [(6, 1), (6, 49), (128 * 96, 12_544)] {
        let name = format!("{planes}×{pixels}");
        table.push("scale forward", &name, move |c| forward(c, planes, pixels));
        table.push("scale backward", name, move |c| backward(c, planes, pixels));
    }
}
