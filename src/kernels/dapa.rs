//! Distribution-aware polynomials: `shaders/dapa.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Template, template};
use super::family::{Family, Table};
use super::gate::{self, Partials};
use super::plane;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("dapa.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "dapa",
    templates: &[TEMPLATE],
    permutations,
};

/// How coefficients follow from moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// 1: line, 2: quadratic.
    pub degree: usize,
    /// Factor on the quadratic term when the published code's formula is used; `None` is the
    /// exact least-squares fit.
    pub official: Option<f64>,
    /// Trained quadratic terms stay within this multiple of their fit; 0 switches that off.
    pub limit: f64,
}

/// Smallest variance that the exact fit sees: a channel that is nearly constant would
/// otherwise get an unbounded quadratic term.
pub const VARIANCE_FLOOR: f64 = 1e-4;

/// Running moments and, in refitting steps, coefficients. Arguments: step scalars, partials of
/// [`super::gate::forward`], moments `vec2[C]`, coefficients `vec4[C]`, health `u32[2]`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn finish(
    compiler: &Compiler,
    shape: plane::Shape,
    partials: Partials,
    fit: Fit,
    layer: usize,
) -> Result<Recipe, GpuError> {
    let constants = context! {
        channels => shape.channels,
        parts => partials.parts,
        count => shape.count() as f64,
        degree => fit.degree,
        official => fit.official.is_some(),
        scale_x2 => fit.official.unwrap_or(1.0),
        limit => fit.limit,
        variance_floor => VARIANCE_FLOOR,
        workgroup => 64,
        layer,
    };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "finish", constants)?,
        grid: [(shape.channels as u32).div_ceil(64), 1, 1],
        cost: Cost {
            flops: 50.0 * shape.channels as f64,
            bytes: partials.bytes as f64 + 48.0 * shape.channels as f64,
        },
    };
    Ok(Recipe::single(kernel, 5))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let shape = plane::Shape {
        batch: 128,
        channels: 64,
        pixels: 256,
    };
    for degree in [1, 2] {
        for official in [None, Some(0.1)] {
            for limit in [0.0, 2.0] {
                let fit = Fit {
                    degree,
                    official,
                    limit,
                };
                let name = format!("{shape} degree {degree} official {official:?} limit {limit}");
                table.push("dapa finish", name, move |c| {
                    let spec = gate::Spec {
                        shape,
                        normalized: true,
                        residual: gate::Residual::None,
                        activation: gate::Activation::Gate,
                    };
                    let (_, partials) = gate::forward(c, &spec, true)?;
                    finish(c, shape, partials, fit, 3)
                });
            }
        }
    }
}
