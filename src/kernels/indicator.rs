//! Scores, and the masks of rules that need nothing else: `shaders/indicator.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::family::{Family, Table};
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("indicator.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "indicator",
    templates: &[TEMPLATE],
    permutations,
};

/// How scores follow the gradient of the loss, and masks the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Gradient and penalty move a score together, through Adam; 0 or 1 with hysteresis around 0
    /// (AutoReP as published).
    Hysteresis,
    /// The same; the mask is the score itself, held within 0…1 (SNL).
    Slopes,
    /// A score is what the loss would rise by for the cost that is saved, to second order: by the
    /// slope and the Fisher information. Those that are worth most are kept.
    Taylor,
    /// The same by the Fisher information alone.
    Fisher,
    /// Scores stay what they are; those that are worth most are kept.
    Fixed,
}

impl Rule {
    pub(super) fn name(self) -> &'static str {
        match self {
            Rule::Hysteresis => "hysteresis",
            Rule::Slopes => "slopes",
            Rule::Taylor => "taylor",
            Rule::Fisher => "fisher",
            Rule::Fixed => "fixed",
        }
    }

    /// Whether masks come of one threshold that all scores share
    /// ([`threshold::select`](super::threshold::select)), which makes the cost follow its target
    /// whatever the scores.
    pub fn shares_threshold(self) -> bool {
        matches!(self, Rule::Taylor | Rule::Fisher | Rule::Fixed)
    }

    /// Whether it needs the mean of gradients.
    pub fn has_first_moment(self) -> bool {
        matches!(self, Rule::Hysteresis | Rule::Slopes | Rule::Taylor)
    }

    /// Whether it needs the mean of their squares.
    pub fn has_second_moment(self) -> bool {
        self.has_first_moment() || self == Rule::Fisher
    }

    /// Flops and bytes of an update, by element. Quarters are what is done once for four of them.
    fn update_cost(self) -> (f64, f64) {
        match self {
            Rule::Hysteresis => (27.25, 36.0),
            // A slope does not depend on the mask that was.
            Rule::Slopes => (21.0, 32.0),
            Rule::Taylor => (16.75, 28.0),
            Rule::Fisher => (8.0, 20.0),
            Rule::Fixed => (0.0, 0.0),
        }
    }

    /// Bytes of a block that an update reads.
    fn block_bytes(self) -> usize {
        // The site, and where scores are for a group of elements how many they are.
        4 + 4 * usize::from(self.shares_threshold())
    }
}

/// Workgroups in two dimensions, and those of a row.
pub(super) fn rows_of(groups: usize) -> ([u32; 3], u32) {
    let row = (groups as u32).clamp(1, 32_768);
    ([row, (groups as u32).div_ceil(row), 1], row)
}

/// One update of all scores, and with rules that share no threshold of the masks, too. `length` is a
/// multiple of 256. Arguments: step scalars, scores, mask gradient, two moments (each `f32[length]`;
/// Fisher has the second only), blocks `vec4u[length/256]` (site,
/// elements, elements that go as one, 0), ledger `vec2[1+sites]`,
/// and with rules that share no threshold masks `f32[length]` and counts `u32[…]` (added to).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn update(compiler: &Compiler, length: usize, rule: Rule) -> Result<Recipe, GpuError> {
    debug_assert!(rule != Rule::Fixed, "nothing moves");
    let (grid, row) = rows_of(length / 256);
    let moments = usize::from(rule.has_first_moment()) + usize::from(rule.has_second_moment());
    // Step scalars; scores, mask gradient and moments; blocks, and the ledger of all sites.
    let mut arguments = vec![StepScalars::SIZE];
    arguments.extend(vec![Size::words(length); 2 + moments]);
    arguments.extend([Size::words(length / 64), Size::Open]);
    if !rule.shares_threshold() {
        arguments.extend([Size::words(length), Size::Open]);
    }
    let (flops, bytes) = rule.update_cost();
    let constants = context! { entry => "update", length, row, rule => rule.name() };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "update", constants)?,
        grid,
        cost: Cost {
            flops: flops * length as f64,
            bytes: bytes * length as f64 + (rule.block_bytes() * length / 256) as f64,
        },
    };
    Ok(Recipe::single(kernel, arguments))
}

/// Gives every element of a group the mean of the group's mask gradients. `elements` counts those of
/// all groups. Arguments: groups `vec2u[groups]` (first element, elements), mask gradient.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn share(compiler: &Compiler, groups: usize, elements: usize) -> Result<Recipe, GpuError> {
    let (grid, row) = rows_of(groups);
    let constants = context! { entry => "share", groups, row };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "share", constants)?,
        grid,
        cost: Cost {
            // A tree of 64 sums, and a mean in every lane.
            flops: (elements + 127 * groups) as f64,
            // Each mean is taken and given back: the second look at a group finds it in a cache.
            bytes: 8.0 * (elements + groups) as f64,
        },
    };
    let arguments = vec![Size::words(2 * groups), Size::Open];
    Ok(Recipe::single(kernel, arguments))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let rules = [Rule::Hysteresis, Rule::Slopes, Rule::Taylor, Rule::Fisher];
    for (length, rule) in [256, 16_777_216]
        .into_iter()
        .flat_map(|n| rules.map(|r| (n, r)))
    {
        table.push("indicator", format!("{length} {rule:?}"), move |c| {
            update(c, length, rule)
        });
    }
    for groups in [1, 100_000] {
        table.push("indicator share", format!("{groups} groups"), move |c| {
            share(c, groups, 16 * groups)
        });
    }
}
