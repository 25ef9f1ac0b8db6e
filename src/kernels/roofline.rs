//! Kernels that do nothing but multiply-adds, or nothing but moving memory: what they reach is
//! what an adapter can do. `shaders/roofline.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::family::{Family, Table};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("roofline.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "roofline",
    templates: &[TEMPLATE],
    permutations,
};

/// Numbers of chains (of four components each) that are worth trying.
pub const CHAINS: [usize; 4] = [2, 4, 6, 8];

/// vec4s an invocation moves that are worth trying.
pub const VECTORS: [usize; 3] = [2, 4, 8];

/// Multiply-adds one after the other in every component: a multiple of 8.
pub const ROUNDS: usize = 2048;

/// Invocations of a grid.
pub fn invocations(compiler: &Compiler, [columns, rows]: [u32; 2]) -> usize {
    columns as usize * rows as usize * compiler.tiling.workgroup() as usize
}

/// Chains of multiply-adds on `grid` workgroups. Arguments: factors `f32[4]` (m, b, unused twice),
/// sums f32[invocations] (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn multiply_add(
    compiler: &Compiler,
    chains: usize,
    grid: [u32; 2],
) -> Result<Recipe, GpuError> {
    let invocations = invocations(compiler, grid) as f64;
    let constants = context! { chains, rounds => ROUNDS, vectors => "several" };
    let cost = Cost {
        // How chains begin and are added up is little beside what they do.
        flops: (8 * chains * (ROUNDS + 1) + 12) as f64 * invocations,
        bytes: 4.0 * invocations + 8.0,
    };
    let lengths = [4, invocations as usize];
    kernel(compiler, "multiply_add", constants, grid, cost, lengths)
}

/// A copy of `vectors` vec4s an invocation. Arguments: `x`, `y` f32[4·vectors·invocations] (the
/// second written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn copy(compiler: &Compiler, vectors: usize, grid: [u32; 2]) -> Result<Recipe, GpuError> {
    let constants = context! { vectors, chains => "several", rounds => "many" };
    let length = 4 * vectors * invocations(compiler, grid);
    let cost = Cost {
        flops: 0.0,
        bytes: 8.0 * length as f64,
    };
    kernel(compiler, "copy", constants, grid, cost, [length; 2])
}

fn kernel(
    compiler: &Compiler,
    entry: &'static str,
    constants: minijinja::Value,
    [columns, rows]: [u32; 2],
    cost: Cost,
    lengths: [usize; 2],
) -> Result<Recipe, GpuError> {
    let own = context! { entry, workgroup => compiler.tiling.workgroup() };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, entry, context! { ..own, ..constants })?,
        grid: [columns, rows, 1],
        cost,
    };
    Ok(Recipe::single(kernel, lengths.map(Size::words).to_vec()))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for chains in CHAINS {
        let name = format!("{chains} chains");
        table.push("roofline multiply_add", name, move |c| {
            multiply_add(c, chains, [3, 2])
        });
    }
    for vectors in VECTORS {
        let name = format!("{vectors} vectors an invocation");
        table.push("roofline copy", name, move |c| copy(c, vectors, [3, 2]));
    }
}
