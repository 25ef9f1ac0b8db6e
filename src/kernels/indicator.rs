//! Scores, masks and counts: `shaders/indicator.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Template, template};
use super::family::{Family, Table};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("indicator.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "indicator",
    templates: &[TEMPLATE],
    permutations,
};

/// How a mask follows its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// 0 or 1 with hysteresis; the gradient passes straight through (AutoReP).
    Hysteresis,
    /// The score itself, held within 0…1 (SNL).
    Slopes,
    /// 0 or 1 by a threshold that all scores share; a score is what the loss would rise by for
    /// the cost that is saved (Fisher information).
    Importance,
}

impl Rule {
    pub(super) fn name(self) -> &'static str {
        match self {
            Rule::Hysteresis => "hysteresis",
            Rule::Slopes => "slopes",
            Rule::Importance => "importance",
        }
    }
}

/// Workgroups in two dimensions, and those of a row.
pub(super) fn rows_of(groups: usize) -> ([u32; 3], u32) {
    let row = (groups as u32).clamp(1, 32_768);
    ([row, (groups as u32).div_ceil(row), 1], row)
}

/// One update of all scores and masks. `length` is a multiple of 256. Arguments: step scalars,
/// scores, masks, mask gradient, Adam's two moments (each `f32[length]`; importance has the second
/// only), site table
/// u32[length/256], counts u32[…] (added to), ledger vec2[1+sites].
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn update(compiler: &Compiler, length: usize, rule: Rule) -> Result<Recipe, GpuError> {
    let (grid, row) = rows_of(length / 256);
    let arguments = if rule == Rule::Importance { 8 } else { 9 };
    let rule = rule.name();
    let constants = context! { entry => "update", length, row, rule };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "update", constants)?,
        grid,
        cost: Cost {
            flops: 30.0 * length as f64,
            bytes: 36.0 * length as f64,
        },
    };
    Ok(Recipe::single(kernel, arguments))
}

/// Gives every element of a group the mean of the group's mask gradients (for importance, times
/// the root of its size). `elements` counts those of all groups. Arguments: groups `vec2u[groups]` (first element, elements), mask gradient.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn share(
    compiler: &Compiler,
    groups: usize,
    elements: usize,
    rule: Rule,
) -> Result<Recipe, GpuError> {
    let (grid, row) = rows_of(groups);
    let rule = rule.name();
    let constants = context! { entry => "share", groups, row, rule };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "share", constants)?,
        grid,
        cost: Cost {
            flops: elements as f64,
            bytes: 12.0 * elements as f64,
        },
    };
    Ok(Recipe::single(kernel, 2))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let rules = [Rule::Hysteresis, Rule::Slopes, Rule::Importance];
    for (length, rule) in [256, 16_777_216]
        .into_iter()
        .flat_map(|n| rules.map(|r| (n, r)))
    {
        table.push("indicator", format!("{length} {rule:?}"), move |c| {
            update(c, length, rule)
        });
    }
    for (groups, rule) in [1, 100_000].into_iter().flat_map(|n| rules.map(|r| (n, r))) {
        table.push(
            "indicator share",
            format!("{groups} groups {rule:?}"),
            move |c| share(c, groups, 16 * groups, rule),
        );
    }
}
