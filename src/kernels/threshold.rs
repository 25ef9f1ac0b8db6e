//! The threshold that all scores share: `shaders/threshold.wgsl`.

use super::compile::{Arg, Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::family::{Family, Table};
use super::indicator::rows_of;
use super::metrics::Prices;
use super::squares::Group;
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("threshold.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "threshold",
    templates: &[TEMPLATE],
    permutations,
};

/// Values of a digit.
const DIGIT: usize = 256;
/// Digits that are looked at.
const DIGITS: usize = 3;

/// Words of what is carried from kernel to kernel, for `sites` sites: θ first, as a key.
pub fn cut_words(sites: usize) -> usize {
    4 + 2 * sites
}

/// Words of the histogram.
pub fn histogram_words(sites: usize) -> usize {
    2 * sites * DIGIT
}

/// Masks of the scores that are worth most: as many as the budget pays for at `prices`.
///
/// `length` is a multiple of 256. Arguments: step scalars, scores `f32[length]`, masks
/// `f32[length]` (updated), blocks `vec4u[length/256]` (as for
/// [`indicator::update`](super::indicator::update)), counts `u32[…]` (the ReLUs
/// of each site are added), cut `u32[`[`cut_words`]`]`, histogram `u32[`[`histogram_words`]`]`, both
/// zero before the first use; with `squares`, the groups whose squares have a price too, also their
/// states `vec4[groups]` and the groups. Squares follow by
/// [`squares::apply`](super::squares::apply), which reads θ from the cut.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn select(
    compiler: &Compiler,
    length: usize,
    sites: usize,
    prices: Prices,
    squares: &[Group],
) -> Result<Recipe, GpuError> {
    let (grid, row) = rows_of(length / 256);
    let elements = |entry: &str, flops: f64, bytes: f64| -> Result<Kernel, GpuError> {
        Ok(Kernel {
            pipeline: compiler.pipeline(TEMPLATE, entry, context! { entry, length, row })?,
            grid,
            cost: Cost {
                flops: flops * length as f64,
                // Of each block its site and how many elements it has.
                bytes: bytes * length as f64 + 8.0 * (length / 256) as f64,
            },
        })
    };
    let count = elements("count", 3.0, 8.0)?;
    let apply = elements("apply", 3.0, 12.0)?;
    let bins = histogram_words(sites) as f64;
    let constants = context! {
        entry => "choose", sites,
        relu => prices.relu,
        square => prices.square,
        relu_site => prices.relu_site,
        square_site => prices.square_site,
    };
    let choose = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "choose", constants)?,
        grid: [1, 1, 1],
        cost: Cost {
            flops: 3.0 * bins,
            // Bins there and back; of the cut the counts of all sites, and what was found.
            bytes: 8.0 * bins + 8.0 * sites as f64 + 20.0,
        },
    };
    let count_squares = match squares.len() {
        0 => None,
        groups => {
            let (grid, row) = rows_of(groups);
            let constants = context! { entry => "count_squares", groups, row, sites };
            let elements: f64 = squares.iter().map(|g| f64::from(g.elements)).sum();
            Some(Kernel {
                pipeline: compiler.pipeline(TEMPLATE, "count_squares", constants)?,
                grid,
                cost: Cost {
                    // Every lane says what its group is worth.
                    flops: 3.0 * 64.0 * groups as f64,
                    // A group's extent and state, and the cut.
                    bytes: 4.0 * elements + 32.0 * groups as f64 + 8.0,
                },
            })
        }
    };
    let bound = |arguments: &[usize]| arguments.iter().map(|&a| Arg::External(a)).collect();
    let mut stages = Vec::new();
    for _ in 0..DIGITS {
        stages.push((count.clone(), bound(&[1, 2, 3, 5, 6])));
        if let Some(squares) = &count_squares {
            stages.push((squares.clone(), bound(&[7, 2, 8, 5, 6])));
        }
        stages.push((choose.clone(), bound(&[0, 5, 6])));
    }
    stages.push((apply, bound(&[1, 2, 3, 5, 4])));
    // Step scalars, scores, masks, blocks, counts, cut, histogram.
    let mut arguments = vec![
        StepScalars::SIZE,
        Size::words(length),
        Size::words(length),
        Size::words(length / 64),
        Size::Open,
        Size::words(cut_words(sites)),
        Size::words(histogram_words(sites)),
    ];
    if !squares.is_empty() {
        arguments.extend([4, 8].map(|words| Size::words(words * squares.len())));
    }
    Ok(Recipe {
        stages,
        scratch: Vec::new(),
        arguments,
    })
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let prices = Prices {
        relu: 184.0,
        square: 8.0,
        relu_site: 9.0,
        square_site: 1.0,
    };
    for length in [256, 16_777_216] {
        for (prices, groups) in [(Prices::COUNT, 0), (prices, 2)] {
            let name = format!("{length} {groups} groups of squares");
            table.push("threshold", name, move |c| {
                select(c, length, 16, prices, &vec![Group::CHANNEL; groups])
            });
        }
    }
}
