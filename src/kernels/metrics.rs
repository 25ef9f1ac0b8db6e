//! The record of a step: `shaders/metrics.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, template};
use super::family::{Family, Table};
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("metrics.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "metrics",
    templates: &[TEMPLATE],
    permutations,
};

/// Rows of the ring: the host must read it at least this often.
pub const ROWS: usize = 64;
/// Cross-entropy above which an evaluation leaves a sample out of its mean.
pub const ASTRAY: f32 = 1e4;
/// Words of a row before the counts per site.
const HEAD: usize = 16;

/// Words of a row for a network with `sites` activation sites.
pub fn row_words(sites: usize) -> usize {
    HEAD + sites
}

/// What the ReLUs and squares of a network cost, in the unit of the budget.
///
/// All sites together cost `Σ k·relu + q·square + (k > 0 ? relu_site : 0) + (q > 0 ? square_site :
/// 0)` for k ReLUs and q squares at a site: its ReLUs go side by side, and then its squares. The
/// paper's objective, the number of ReLUs, is [`Prices::COUNT`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Of a ReLU.
    pub relu: f64,
    /// Of the square of a polynomial.
    pub square: f64,
    /// Of a site that has any ReLU.
    pub relu_site: f64,
    /// Of a site that has any square.
    pub square_site: f64,
}

impl Prices {
    /// A ReLU costs 1, nothing else anything.
    pub const COUNT: Self = Self {
        relu: 1.0,
        square: 0.0,
        relu_site: 0.0,
        square_site: 0.0,
    };

    /// Whether squares cost anything, so that a search must choose among them too.
    pub fn has_squares(&self) -> bool {
        self.square > 0.0 || self.square_site > 0.0
    }

    /// What `(ReLUs, squares)` of all sites cost.
    pub fn cost(&self, sites: impl IntoIterator<Item = (usize, usize)>) -> f64 {
        let sites = sites.into_iter();
        sites
            .map(|(relus, squares)| self.site(relus, squares))
            .sum()
    }

    /// What the ReLUs and squares of one site cost.
    pub fn site(&self, relus: usize, squares: usize) -> f64 {
        let site = |count, price| if count > 0 { price } else { 0.0 };
        let sites = site(relus, self.relu_site) + site(squares, self.square_site);
        relus as f64 * self.relu + squares as f64 * self.square + sites
    }

    /// The ledger that `shaders/metrics.wgsl` writes after a step that left `(ReLUs, squares)` at
    /// the sites: (cost, 0), then the prices of a ReLU and of a square for each site.
    pub fn ledger(&self, sites: &[(usize, usize)]) -> Vec<[f32; 2]> {
        let share = |price: f64, count: usize| price / count.max(1) as f64;
        let prices = sites.iter().map(|&(relus, squares)| {
            let beside = if squares > 0 { self.square } else { 0.0 };
            let relu = self.relu + share(self.relu_site, relus) - beside;
            let square = self.square + share(self.square_site, squares);
            [relu as f32, square as f32]
        });
        let cost = self.cost(sites.iter().copied());
        [[cost as f32, 0.0]].into_iter().chain(prices).collect()
    }
}

/// One row of the ring, as the host reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Step of the phase.
    pub step: u32,
    /// Sum over the samples of cross-entropy.
    pub ce: f32,
    /// Sum over the samples of the distillation loss.
    pub kd: f32,
    /// Samples whose label came first.
    pub top1: f32,
    /// Samples whose label was among the first five.
    pub top5: f32,
    /// Samples.
    pub count: u32,
    /// Of an evaluation: samples whose loss is above [`ASTRAY`] or not finite, which the sums of
    /// losses leave out.
    pub astray: u32,
    /// Global gradient norm before clipping.
    pub gradient_norm: f32,
    /// ReLUs kept after the step.
    pub kept: u32,
    /// Squares of polynomials kept after the step, where they are searched for.
    pub squares: u32,
    /// What both cost.
    pub cost: f32,
    /// First layer whose activations were not finite.
    pub bad_forward: Option<u32>,
    /// Last layer whose gradients were not finite: the first on the way back.
    pub bad_backward: Option<u32>,
    /// ReLUs kept at each site.
    pub sites: Vec<u32>,
}

impl Record {
    /// Reads one row.
    pub fn from_words(words: &[u32]) -> Self {
        Self {
            ce: f32::from_bits(words[0]),
            kd: f32::from_bits(words[1]),
            top1: f32::from_bits(words[2]),
            top5: f32::from_bits(words[3]),
            count: words[4],
            astray: words[12],
            gradient_norm: f32::from_bits(words[5]),
            kept: words[6],
            cost: f32::from_bits(words[10]),
            squares: words[11],
            bad_forward: (words[7] != u32::MAX).then_some(words[7]),
            bad_backward: words[8].checked_sub(1),
            step: words[9],
            sites: words[HEAD..].to_vec(),
        }
    }
}

/// Writes the step's row, and the ledger of `prices`. `sites` is 0 where no masks are updated.
/// Arguments: step scalars, samples `vec4[batch]`, ring, then with `training` the gradient norm
/// `f32[4]` and health `u32[2]`, then with `sites` counts `u32[2,sites]` and ledger `vec2[1+sites]`.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn record(
    compiler: &Compiler,
    batch: usize,
    training: bool,
    sites: usize,
    prices: Prices,
) -> Result<Recipe, GpuError> {
    let workgroup = compiler.tiling.workgroup();
    let words = row_words(sites);
    let constants = context! {
        batch, training, sites, workgroup, words,
        rows => ROWS,
        astray => f64::from(ASTRAY),
        relu => prices.relu,
        square => prices.square,
        relu_site => prices.relu_site,
        square_site => prices.square_site,
    };
    // Of a row three words ahead of the sites' are not written; the sites' counts are read and cleared.
    let row = 4 * (HEAD - 3 + sites);
    let ledger = if sites > 0 { 8 * (1 + sites) } else { 0 };
    let norm = 4 * usize::from(training);
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "record", constants)?,
        grid: [1, 1, 1],
        cost: Cost {
            // Samples, the tree, and what sites cost.
            flops: (4 * batch + 4 * (workgroup as usize - 1) + 11 * sites) as f64,
            bytes: (16 * batch + row + norm + 16 * sites + ledger) as f64,
        },
    };
    let [samples, ring] = [4 * batch, ROWS * words].map(Size::words);
    let mut arguments = vec![StepScalars::SIZE, samples, ring];
    if training {
        // The norm and how it is clipped; health.
        arguments.extend([Size::words(4), Size::words(2)]);
    }
    if sites > 0 {
        arguments.extend([Size::words(2 * sites), Size::words(2 * (1 + sites))]);
    }
    Ok(Recipe::single(kernel, arguments))
}

/// Prices of which none is zero.
const PRICES: Prices = Prices {
    relu: 184.0,
    square: 8.0,
    relu_site: 9.0,
    square_site: 1.0,
};

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for training in [false, true] {
        for (sites, prices) in [(0, Prices::COUNT), (16, Prices::COUNT), (16, PRICES)] {
            let name = format!("128 training {training} sites {sites} {prices:?}");
            table.push("metrics", name, move |c| {
                record(c, 128, training, sites, prices)
            });
        }
    }
}
