//! Squares worth keeping, where squares have a price: `shaders/squares.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Template, template};
use super::dapa::{Fit, Form, VARIANCE_FLOOR};
use super::family::{Family, Table};
use super::indicator::{Rule, rows_of};
use crate::gpu::GpuError;
use bytemuck::{Pod, Zeroable};
use minijinja::context;

const TEMPLATE: Template = template!("squares.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "squares",
    templates: &[TEMPLATE],
    permutations,
};

/// Channels whose polynomials keep or lose their squares together.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Group {
    /// First element in the mask arena.
    pub first_element: u32,
    /// Elements of all its channels.
    pub elements: u32,
    /// First coefficients in the parameter arena, in vec4s.
    pub first_coefficient: u32,
    /// Channels.
    pub channels: u32,
    /// First moments in the state arena, in vec2s.
    pub first_moment: u32,
    /// Activation site.
    pub site: u32,
    /// For the alignment of a vec4.
    pub padding: [u32; 2],
}

/// Score from which a channel regains its square.
pub const REGAIN: f64 = 0.5;

/// One update of the squares of `groups`. Arguments: step scalars, parameters, their gradients,
/// state, masks, groups [`Group`]`[groups]`, states `vec4[groups]` (score, Adam's two moments, 1
/// where there is a square), counts `u32[2,sites]` (added to), ledger `vec2[1+sites]`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn update(
    compiler: &Compiler,
    groups: &[Group],
    sites: usize,
    fit: Fit,
    rule: Rule,
) -> Result<Recipe, GpuError> {
    let (grid, row) = rows_of(groups.len());
    let constants = context! {
        entry => "update",
        groups => groups.len(),
        row, sites,
        regain => REGAIN,
        rule => rule.name(),
        official => fit.official().is_some(),
        scale_x2 => fit.official().unwrap_or(1.0),
        variance_floor => VARIANCE_FLOOR,
    };
    let sum = |of: fn(&Group) -> u32| groups.iter().map(|g| f64::from(of(g))).sum::<f64>();
    let (elements, channels) = (sum(|g| g.elements), sum(|g| g.channels));
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "update", constants)?,
        grid,
        cost: Cost {
            flops: elements + 30.0 * channels,
            // Of a channel: moments, gradient, and coefficients there and back.
            bytes: 4.0 * elements + 56.0 * channels,
        },
    };
    Ok(Recipe::single(kernel, 9))
}

/// Lines stay lines, whatever an optimiser did to their squares. Arguments: parameters, groups
/// [`Group`]`[groups]`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn hold(compiler: &Compiler, groups: &[Group]) -> Result<Recipe, GpuError> {
    let (grid, row) = rows_of(groups.len());
    let constants = context! { entry => "hold", groups => groups.len(), row };
    let channels: f64 = groups.iter().map(|g| f64::from(g.channels)).sum();
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "hold", constants)?,
        grid,
        cost: Cost {
            flops: 0.0,
            bytes: 16.0 * channels,
        },
    };
    Ok(Recipe::single(kernel, 2))
}

/// A channel of 64 positions.
const GROUP: Group = Group {
    first_element: 0,
    elements: 64,
    first_coefficient: 0,
    channels: 1,
    first_moment: 0,
    site: 0,
    padding: [0; 2],
};

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let rules = [Rule::Hysteresis, Rule::Importance];
    let forms = [Form::Exact { limit: 2.0 }, Form::Official { scale_x2: 0.1 }];
    for (form, rule) in forms.into_iter().flat_map(|f| rules.map(|r| (f, r))) {
        let fit = Fit { degree: 2, form };
        let name = format!("2 groups {form:?} {rule:?}");
        table.push("squares update", name, move |c| {
            update(c, &[GROUP; 2], 16, fit, rule)
        });
    }
    table.push("squares hold", "2 groups", |c| hold(c, &[GROUP; 2]));
}
