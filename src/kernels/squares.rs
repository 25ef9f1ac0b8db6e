//! Squares worth keeping, where squares have a price: `shaders/squares.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::dapa::{Fit, Form, VARIANCE_FLOOR};
use super::family::{Family, Table};
use super::indicator::{Rule, rows_of};
use super::step::StepScalars;
use crate::gpu::GpuError;
use bytemuck::{Pod, Zeroable};
use minijinja::context;
use std::collections::HashSet;

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

impl Group {
    /// A channel of 64 positions.
    pub(super) const CHANNEL: Self = Self {
        first_element: 0,
        elements: 64,
        first_coefficient: 0,
        channels: 1,
        first_moment: 0,
        site: 0,
        padding: [0; 2],
    };
}

/// What the kernels of one search have in common.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Channels that are chosen together.
    pub groups: &'a [Group],
    /// Activation sites of the network.
    pub sites: usize,
    /// What a channel that regains its square begins with.
    pub fit: Fit,
    /// How scores move.
    pub rule: Rule,
}

impl Search<'_> {
    fn kernel(&self, compiler: &Compiler, entry: &str) -> Result<Kernel, GpuError> {
        let (grid, row) = rows_of(self.groups.len());
        let constants = context! {
            entry, row,
            groups => self.groups.len(),
            sites => self.sites,
            regain => REGAIN,
            rule => self.rule.name(),
            official => self.fit.official().is_some(),
            scale_x2 => self.fit.official().unwrap_or(1.0),
            variance_floor => VARIANCE_FLOOR,
        };
        let sum = |of: fn(&Group) -> u32| self.groups.iter().map(|g| f64::from(of(g))).sum::<f64>();
        let (elements, channels) = (sum(|g| g.elements), sum(|g| g.channels));
        let sites: HashSet<u32> = self.groups.iter().map(|group| group.site).collect();
        // Of a channel: moments, gradient, and coefficients there and back, or c₂; and what a square
        // is worth.
        let slope = (self.fit.quadratic_flops() + 12) as f64;
        let (flops, bytes) = match entry {
            "update" => (slope, 56.0),
            "measure" => (slope, 28.0),
            _ => (0.0, 40.0),
        };
        // Of a group: a tree, and what each of 64 lanes makes of its root.
        let lane = match (entry, self.rule) {
            ("update", _) => 29,
            ("measure", Rule::Taylor) => 20,
            ("measure", _) => 12,
            _ => 4,
        };
        // The price of a square at each site, and the cost or the cut.
        let once = match entry {
            "update" => 4 * sites.len() + 4,
            "measure" => 4 * sites.len(),
            _ => 4,
        };
        let groups = self.groups.len();
        Ok(Kernel {
            pipeline: compiler.pipeline(TEMPLATE, entry, constants)?,
            grid,
            cost: Cost {
                flops: elements + flops * channels + ((126 + 64 * lane) * groups) as f64,
                // A group and its state, there and back.
                bytes: 4.0 * elements + bytes * channels + (64 * groups + once) as f64,
            },
        })
    }
}

impl Search<'_> {
    /// A kernel with its arguments: arenas are the network's.
    fn recipe(&self, compiler: &Compiler, entry: &str) -> Result<Recipe, GpuError> {
        let [table, states] = [8, 4].map(|words| Size::words(words * self.groups.len()));
        let ledger = Size::words(2 * (1 + self.sites));
        let counts = Size::words(2 * self.sites);
        let mut arguments = match entry {
            "apply" => vec![Size::Open; 3],
            _ => vec![
                StepScalars::SIZE,
                Size::Open,
                Size::Open,
                Size::Open,
                Size::Open,
            ],
        };
        arguments.extend([table, states]);
        arguments.push(if entry == "apply" { Size::Open } else { ledger });
        arguments.extend((entry != "measure").then_some(counts));
        Ok(Recipe::single(self.kernel(compiler, entry)?, arguments))
    }
}

/// One update of the squares of groups whose scores share no threshold. Arguments: step scalars,
/// parameters, their gradients, state, masks, groups [`Group`]`[groups]`, states `vec4[groups]`
/// (score, Adam's two moments, 1 where there is a square), ledger `vec2[1+sites]`, counts
/// `u32[2,sites]` (added to).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn update(compiler: &Compiler, search: &Search) -> Result<Recipe, GpuError> {
    search.recipe(compiler, "update")
}

/// The scores of squares whose scores share a threshold. Arguments: as for [`update`], up to the
/// ledger; parameters are only read.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn measure(compiler: &Compiler, search: &Search) -> Result<Recipe, GpuError> {
    search.recipe(compiler, "measure")
}

/// Gives and takes squares by the threshold that all scores share. Arguments: parameters, state,
/// masks, groups, states, cut (see [`threshold::select`](super::threshold::select)), counts.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn apply(compiler: &Compiler, search: &Search) -> Result<Recipe, GpuError> {
    search.recipe(compiler, "apply")
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
            // Marks; what lines have in the place of a square is written.
            bytes: 4.0 * channels + 16.0 * groups.len() as f64,
        },
    };
    let table = Size::words(8 * groups.len());
    Ok(Recipe::single(kernel, vec![Size::Open, table]))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    type Make = fn(&Compiler, &Search) -> Result<Recipe, GpuError>;
    let kernels: [(&str, Make, Rule); 5] = [
        ("squares update", update, Rule::Hysteresis),
        ("squares measure", measure, Rule::Taylor),
        ("squares measure", measure, Rule::Fisher),
        ("squares apply", apply, Rule::Taylor),
        ("squares apply", apply, Rule::Fisher),
    ];
    let forms = [Form::Exact { limit: 2.0 }, Form::Official { scale_x2: 0.1 }];
    for (form, (name, make, rule)) in forms.into_iter().flat_map(|f| kernels.map(|k| (f, k))) {
        let fit = Fit { degree: 2, form };
        table.push(name, format!("2 groups {form:?} {rule:?}"), move |c| {
            let search = Search {
                groups: &[Group::CHANNEL; 2],
                sites: 16,
                fit,
                rule,
            };
            make(c, &search)
        });
    }
    table.push("squares hold", "2 groups", |c| {
        hold(c, &[Group::CHANNEL; 2])
    });
}
