//! Optimisers over whole arenas, in one dispatch whatever the network:
//! `shaders/optimizer.wgsl`.
//!
//! An arena's length is a multiple of [`BLOCK`]; `kinds` holds the parameter group of every
//! block, which picks the block's rate and decay out of the step's scalars.

use super::compile::{Arg, Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template};
use super::family::{Family, Table};
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::{Value, context};

const TEMPLATE: Template = template!("optimizer.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "optimizer",
    templates: &[TEMPLATE],
    permutations,
};

/// Elements that share a parameter group.
pub const BLOCK: usize = 256;

/// Stochastic gradient descent with momentum `step.beta1`, as `torch.optim.SGD`.
///
/// Arguments: `step` (uniform), `params` (updated), `grads`, `momentum` (updated; zeros
/// before the first step), `kinds` u32 per block, `clip` f32×4 of [`gradient_norm`].
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn sgd(compiler: &Compiler, length: usize, nesterov: bool) -> Result<Recipe, GpuError> {
    let flops = if nesterov { 9.0 } else { 7.0 };
    let options = context! { nesterov };
    let kernel = streaming(compiler, "sgd", length, options, (flops, 20.0))?;
    let kernel = with_groups(kernel, length, true);
    Ok(Recipe::single(kernel, grouped(length, 3)))
}

/// Adam as `torch.optim.Adam`, or with `decoupled` weight decay as `torch.optim.AdamW`.
///
/// Arguments: `step` (uniform), `params` (updated), `grads`, `m`, `v` (updated; zeros before
/// the first step), `kinds` u32 per block, `clip` f32×4 of [`gradient_norm`].
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn adam(compiler: &Compiler, length: usize, decoupled: bool) -> Result<Recipe, GpuError> {
    // Halves are of what is done once for a vec4.
    let flops = if decoupled { 17.0 } else { 17.5 };
    let options = context! { decoupled };
    let kernel = streaming(compiler, "adam", length, options, (flops, 28.0))?;
    let kernel = with_groups(kernel, length, true);
    Ok(Recipe::single(kernel, grouped(length, 4)))
}

/// Norm of a whole arena, and the factor that clips it to `step.clip`.
///
/// Arguments: `step` (uniform), `grads`, `clip` f32×4 (written: norm, factor, 0, 0). The
/// factor is `min(1, step.clip/norm)`, 1 when `step.clip` is 0, and 0 when the norm is not
/// finite (squares that overflow f32 included).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn norm(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    norm_of(compiler, length, false)
}

/// The same over the parameters that have a learning rate: global gradient norm.
///
/// Arguments: `step` (uniform), `grads`, `clip` f32×4 (written), `kinds` u32 per block.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn gradient_norm(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    norm_of(compiler, length, true)
}

fn norm_of(compiler: &Compiler, length: usize, trained: bool) -> Result<Recipe, GpuError> {
    let options = context! { trained };
    let flops = if trained { 3.0 } else { 2.0 };
    let mut sums = streaming(compiler, "square_sums", length, options, (flops, 4.0))?;
    let partials = sums.grid[0];
    let lanes = workgroup(compiler);
    // Each lane's vec4, then a tree, of which every workgroup leaves a number.
    sums.cost.flops += f64::from(partials * (3 * lanes + lanes - 1));
    sums.cost.bytes += 4.0 * f64::from(partials);
    if trained {
        sums = with_groups(sums, length, false);
    }
    let constants = context! {
        pass => "norm", length, partials, workgroup => workgroup(compiler),
    };
    let norm = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "norm", constants)?,
        grid: [1, 1, 1],
        cost: Cost {
            // The tree, and a root in every lane.
            flops: f64::from(partials + 2 * lanes - 1),
            bytes: 4.0 * f64::from(partials) + 16.0,
        },
    };
    let mut of_sums = vec![Arg::External(1), Arg::Scratch(0)];
    if trained {
        of_sums.extend([Arg::External(0), Arg::External(3)]);
    }
    let mut arguments = vec![StepScalars::SIZE, Size::words(length), Size::words(4)];
    arguments.extend(trained.then_some(Size::words(length / BLOCK)));
    let of_norm = vec![Arg::External(0), Arg::Scratch(0), Arg::External(2)];
    Ok(Recipe {
        stages: vec![(sums, of_sums), (norm, of_norm)],
        scratch: vec![4 * u64::from(partials)],
        arguments,
    })
}

/// Lookahead's synchronisation: `slow += step.lookahead·(params − slow)`, `params = slow`;
/// nothing in steps where `step.lookahead` is 0.
///
/// Arguments: `step` (uniform), `params` (updated), `slow` (updated; a copy of the
/// parameters before the first step).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn lookahead(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    let kernel = streaming(compiler, "lookahead", length, context! {}, (3.0, 16.0))?;
    let arenas = Size::words(length);
    Ok(Recipe::single(
        kernel,
        vec![StepScalars::SIZE, arenas, arenas],
    ))
}

/// Weight averaging: `averaged += step.averaging·(params − averaged)`; nothing in steps
/// where `step.averaging` is 0. A weight of 1 copies, 1/n keeps the mean of n steps, a
/// constant one an exponential average.
///
/// Arguments: `step` (uniform), `params`, `averaged` (updated).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn average(compiler: &Compiler, length: usize) -> Result<Recipe, GpuError> {
    let kernel = streaming(compiler, "average", length, context! {}, (3.0, 12.0))?;
    let arenas = Size::words(length);
    Ok(Recipe::single(
        kernel,
        vec![StepScalars::SIZE, arenas, arenas],
    ))
}

/// Invocations of a workgroup: a divisor of a block's 64 vectors.
fn workgroup(compiler: &Compiler) -> u32 {
    compiler.tiling.workgroup().min(BLOCK as u32 / 4)
}

/// Arguments of an update: step scalars, arenas, the group of each block, and the factor that clips.
fn grouped(length: usize, arenas: usize) -> Vec<Size> {
    let mut arguments = vec![Size::words(length); arenas];
    arguments.insert(0, StepScalars::SIZE);
    arguments.extend([Size::words(length / BLOCK), Size::words(4)]);
    arguments
}

/// A kernel that also reads the group of each block, and perhaps the factor that clips.
fn with_groups(mut kernel: Kernel, length: usize, clipped: bool) -> Kernel {
    kernel.cost.bytes += (4 * (length / BLOCK) + 4 * usize::from(clipped)) as f64;
    kernel
}

/// A kernel that visits the arena once; `cost` in flops and bytes an element.
fn streaming(
    compiler: &Compiler,
    pass: &'static str,
    length: usize,
    options: Value,
    (flops, bytes): (f64, f64),
) -> Result<Kernel, GpuError> {
    debug_assert!(length.is_multiple_of(BLOCK));
    let vectors = length / 4;
    let most = Stream::over(compiler.tiling, vectors).grid()[0] as usize;
    let stream = Stream::in_runs(workgroup(compiler), vectors, vectors.div_ceil(most));
    let constants = stream.with(context! { pass, length, ..options });
    Ok(Kernel {
        pipeline: compiler.pipeline(TEMPLATE, pass, constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: flops * length as f64,
            bytes: bytes * length as f64,
        },
    })
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for length in [BLOCK, 11_173_888] {
        let name = length.to_string();
        for option in [false, true] {
            let nesterov = format!("{length} nesterov {option}");
            table.push("optimizer sgd", nesterov, move |c| sgd(c, length, option));
            let decoupled = format!("{length} decoupled {option}");
            table.push("optimizer adam", decoupled, move |c| {
                adam(c, length, option)
            });
        }
        table.push("optimizer gradient_norm", &name, move |c| {
            gradient_norm(c, length)
        });
        table.push("optimizer norm", &name, move |c| norm(c, length));
        table.push("optimizer lookahead", &name, move |c| lookahead(c, length));
        table.push("optimizer average", name, move |c| average(c, length));
    }
}
