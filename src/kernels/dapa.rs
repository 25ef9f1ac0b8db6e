//! Distribution-aware polynomials: `shaders/dapa.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::family::{Family, Table};
use super::gate::{self, Partials};
use super::plane;
use super::step::StepScalars;
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
    /// By which formula.
    pub form: Form,
}

/// By which formula coefficients follow from moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// The exact least-squares fit.
    Exact {
        /// Trained quadratic terms stay within this multiple of their fit; 0 switches that off.
        limit: f64,
    },
    /// The published code's.
    Official {
        /// Factor on the quadratic term.
        scale_x2: f64,
    },
    /// Normalised Hermite polynomials, whose norms follow the data.
    Hermite,
}

impl Fit {
    /// The factor on the quadratic term where the published code's formula is used.
    pub fn official(&self) -> Option<f64> {
        match self.form {
            Form::Official { scale_x2 } => Some(scale_x2),
            Form::Exact { .. } | Form::Hermite => None,
        }
    }

    /// Flops of the spread, and of what the published code multiplies the coefficients by.
    fn spread_and_factors(&self) -> usize {
        match self.form {
            Form::Exact { .. } | Form::Hermite => 2,
            Form::Official { .. } => 1 + 4,
        }
    }

    /// Flops of the least-squares quadratic of a channel.
    pub(super) fn quadratic_flops(&self) -> usize {
        32 + self.spread_and_factors()
    }

    /// Flops a channel of [`finish`], beside those of adding up its parts.
    fn flops(&self) -> usize {
        if self.form == Form::Hermite {
            return 79;
        }
        let line = 25 + self.spread_and_factors();
        let fit = match self.degree {
            2 => self.quadratic_flops() + line,
            // What a line has not is multiplied by 0.
            _ => line + 4,
        };
        let hold = 4 * usize::from(self.limit() > 0.0 && self.degree == 2);
        13 + fit + hold
    }

    fn limit(&self) -> f64 {
        match self.form {
            Form::Exact { limit } => limit,
            Form::Official { .. } | Form::Hermite => 0.0,
        }
    }
}

/// Smallest variance of t² − 1 that Hermite polynomials are normalised by; 2 in a normal
/// distribution, 0 where there are two values only.
pub const SQUARE_FLOOR: f64 = 0.2;

/// Smallest variance that the exact fit sees: a channel that is nearly constant would
/// otherwise get an unbounded quadratic term.
pub const VARIANCE_FLOOR: f64 = 1e-4;

/// Running moments and, in refitting steps, coefficients. Arguments: step scalars, partials of
/// [`super::gate::forward`], moments `vec2[C]`, coefficients `vec4[C]`, health `u32[2]`. Hermite
/// polynomials take the partials of [`super::gate::moments`], and at the end kurtosis `f32[C]` and the
/// constants of the site's norms, of which they write the last row, the bounds: `vec4[3,C]`.
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
        official => fit.official().is_some(),
        scale_x2 => fit.official().unwrap_or(1.0),
        limit => fit.limit(),
        hermite => fit.form == Form::Hermite,
        square_floor => SQUARE_FLOOR,
        variance_floor => VARIANCE_FLOOR,
        workgroup => 64,
        layer,
    };
    let entry = match fit.form {
        Form::Hermite => "finish_hermite",
        Form::Exact { .. } | Form::Official { .. } => "finish",
    };
    // Of a part, and of a channel.
    let (sums, bytes) = match fit.form {
        Form::Hermite => (4, 72.0),
        Form::Exact { .. } | Form::Official { .. } => (2, 48.0),
    };
    let channels = shape.channels as f64;
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, entry, constants)?,
        grid: [(shape.channels as u32).div_ceil(64), 1, 1],
        cost: Cost {
            flops: (sums * partials.parts + fit.flops()) as f64 * channels,
            bytes: partials.bytes as f64 + bytes * channels,
        },
    };
    // Step scalars, partials, moments, coefficients, health; kurtosis, and the norms of the site.
    let words = |count: usize| Size::words(count * shape.channels);
    let partials = Size::Bytes(partials.bytes);
    let health = Size::words(2);
    let mut arguments = vec![StepScalars::SIZE, partials, words(2), words(4), health];
    if fit.form == Form::Hermite {
        arguments.extend([words(1), words(12)]);
    }
    Ok(Recipe::single(kernel, arguments))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let shape = plane::Shape {
        batch: 128,
        channels: 64,
        pixels: 256,
    };
    let forms = [
        Form::Exact { limit: 0.0 },
        Form::Exact { limit: 2.0 },
        Form::Official { scale_x2: 0.1 },
        Form::Hermite,
    ];
    for degree in [1, 2] {
        for form in forms {
            let fit = Fit { degree, form };
            let name = format!("{shape} degree {degree} {form:?}");
            table.push("dapa finish", name, move |c| {
                let spec = gate::Spec {
                    shape,
                    normalized: true,
                    residual: gate::Residual::None,
                    activation: gate::Activation::Gate,
                    bounded: false,
                };
                let (_, partials) = match form {
                    Form::Hermite => gate::moments(c, &spec)?,
                    _ => gate::forward(c, &spec, true)?,
                };
                finish(c, shape, partials, fit, 3)
            });
        }
    }
}
