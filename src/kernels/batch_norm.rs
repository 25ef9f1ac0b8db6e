//! Batch normalisation: `shaders/batch_norm.wgsl`.

use super::compile::{Arg, Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::family::{Family, Table};
use super::gate::{self, Partials};
use super::plane::{self, Walk};
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("batch_norm.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "batch_norm",
    templates: &[TEMPLATE],
    permutations,
};

/// ε under the root, as in PyTorch.
pub const EPSILON: f64 = 1e-5;

/// Where a normalisation's constants lie in `norm`: by the operand of a gate that it feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormSlot {
    /// The convolution output on the main path: slot 0.
    Main = 0,
    /// The projected shortcut: slot 1.
    Residual = 1,
}

/// Invocations of the kernels that work on one channel each.
const PER_CHANNEL: u32 = 64;

/// A kernel that takes a channel an invocation, at a cost of so many flops and bytes each.
fn per_channel(
    compiler: &Compiler,
    entry: &str,
    channels: usize,
    constants: minijinja::Value,
    (flops, bytes): (usize, usize),
) -> Result<Kernel, GpuError> {
    let own = context! { entry, channels, workgroup => PER_CHANNEL, epsilon => EPSILON };
    Ok(Kernel {
        pipeline: compiler.pipeline(TEMPLATE, entry, context! { ..own, ..constants })?,
        grid: [(channels as u32).div_ceil(PER_CHANNEL), 1, 1],
        cost: Cost {
            flops: (flops * channels) as f64,
            bytes: (bytes * channels) as f64,
        },
    })
}

/// Training statistics of `u`. `layer` is what the health word reports when they are not
/// finite. Arguments: step scalars, `u` `[N,C,P]`, γ `[C]`, β `[C]`, running mean `[C]`, running
/// variance `[C]` (both updated; the variance unbiased, as in PyTorch), `norm` `vec4[2,C]` (the
/// slot is written), health `u32[2]`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn statistics(
    compiler: &Compiler,
    shape: plane::Shape,
    slot: NormSlot,
    layer: usize,
) -> Result<Recipe, GpuError> {
    let walk = Walk::sweeping(compiler.tiling, shape);
    let sums = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "sums", walk.with(context! { entry => "sums" }))?,
        grid: walk.grid(),
        cost: Cost {
            flops: 4.0 * shape.len() as f64 + walk.flops_of_sums(1, 2),
            bytes: 4.0 * shape.len() as f64 + 16.0 * (shape.channels * walk.parts()) as f64,
        },
    };
    let count = shape.count();
    let of_channels = |words: usize| Size::words(words * shape.channels);
    let constants = context! {
        parts => walk.parts(),
        count => count as f64,
        unbiased => count as f64 / (count as f64 - 1.0).max(1.0),
        slot => slot as usize,
        layer,
    };
    let cost = (2 * walk.parts() + 18, 16 * walk.parts() + 40);
    let finish = per_channel(compiler, "finish", shape.channels, constants, cost)?;
    use Arg::{External, Scratch};
    Ok(Recipe {
        stages: vec![
            (sums, vec![External(1), Scratch(0)]),
            (
                finish,
                [External(0), Scratch(0)]
                    .into_iter()
                    .chain((2..8).map(External))
                    .collect(),
            ),
        ],
        scratch: vec![16 * (shape.channels * walk.parts()) as u64],
        arguments: vec![
            StepScalars::SIZE,
            Size::words(shape.len()),
            of_channels(1),
            of_channels(1),
            of_channels(1),
            of_channels(1),
            of_channels(8),
            Size::words(2),
        ],
    })
}

/// Constants of evaluation from the running statistics. Arguments: γ, β, running mean, running
/// variance (all `[C]`), `norm` `vec4[2,C]` (the slot is written).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn running(compiler: &Compiler, channels: usize, slot: NormSlot) -> Result<Recipe, GpuError> {
    let constants = context! { slot => slot as usize };
    let kernel = per_channel(compiler, "finish_eval", channels, constants, (5, 32))?;
    let arguments = [1, 1, 1, 1, 8].map(|words| Size::words(words * channels));
    Ok(Recipe::single(kernel, arguments.to_vec()))
}

/// Gradients of γ and β, and the slope that turns dz into du. `parts` and `stride` describe the
/// partials of [`super::gate::backward`]. Arguments: partials, `norm` `vec4[2,C]`, dγ `[C]`, dβ `[C]`,
/// slope `vec4[C]`, health.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn parameter_gradients(
    compiler: &Compiler,
    shape: plane::Shape,
    slot: NormSlot,
    partials: Partials,
    layer: usize,
) -> Result<Recipe, GpuError> {
    let constants = context! {
        parts => partials.parts,
        stride => partials.stride,
        count => shape.count() as f64,
        slot => slot as usize,
        layer,
    };
    let cost = (4 * partials.parts + 10, 16 * partials.parts + 40);
    let kernel = per_channel(compiler, "finish_backward", shape.channels, constants, cost)?;
    let mut arguments = vec![Size::Bytes(partials.bytes)];
    arguments.extend([8, 1, 1, 4].map(|words| Size::words(words * shape.channels)));
    arguments.push(Size::words(2));
    Ok(Recipe::single(kernel, arguments))
}

/// `du` from `dz`. Arguments: `dz` `[N,C,P]`, `u`, slope `vec4[C]`, `du`; with `in_place` `dz`
/// becomes `du` and the last argument is left out.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn data_gradient(
    compiler: &Compiler,
    shape: plane::Shape,
    in_place: bool,
) -> Result<Recipe, GpuError> {
    let walk = Walk::sweeping(compiler.tiling, shape);
    let constants = walk.with(context! { entry => "apply_backward", in_place });
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "apply_backward", constants)?,
        grid: walk.grid(),
        cost: Cost {
            flops: 5.0 * shape.len() as f64,
            bytes: 12.0 * shape.len() as f64 + 16.0 * shape.channels as f64,
        },
    };
    let tensor = Size::words(shape.len());
    let mut arguments = vec![tensor, tensor, Size::words(4 * shape.channels)];
    arguments.extend((!in_place).then_some(tensor));
    Ok(Recipe::single(kernel, arguments))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    use NormSlot;
    for shape in plane::permutation_shapes() {
        for slot in [NormSlot::Main, NormSlot::Residual] {
            let shape_and_slot = format!("{shape} {slot:?}");
            table.push("batch_norm statistics", &shape_and_slot, move |c| {
                statistics(c, shape, slot, 3)
            });
            table.push("batch_norm running", &shape_and_slot, move |c| {
                running(c, shape.channels, slot)
            });
            let spec = gate::Spec {
                shape,
                normalized: true,
                residual: gate::Residual::Normalized,
                activation: gate::Activation::Gate,
                bounded: false,
            };
            table.push("batch_norm parameter_gradients", shape_and_slot, {
                move |c| {
                    let (_, partials) = gate::backward(c, &spec)?;
                    parameter_gradients(c, shape, slot, partials, 3)
                }
            });
        }
        for in_place in [false, true] {
            let shape_and_place = format!("{shape} in_place {in_place}");
            table.push("batch_norm data_gradient", shape_and_place, move |c| {
                data_gradient(c, shape, in_place)
            });
        }
    }
}
