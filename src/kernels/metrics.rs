//! The record of a step: `shaders/metrics.wgsl`.

use super::{Compiler, Cost, Kernel, Recipe};
use crate::gpu::GpuError;
use minijinja::context;

/// Rows of the ring: the host must read it at least this often.
pub const ROWS: usize = 64;
/// Words of a row before the counts per site.
const HEAD: usize = 16;

/// Words of a row for a network with `sites` activation sites.
pub fn row_words(sites: usize) -> usize {
    HEAD + sites
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
    /// Global gradient norm before clipping.
    pub gradient_norm: f32,
    /// ReLUs kept after the step.
    pub kept: u32,
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
            gradient_norm: f32::from_bits(words[5]),
            kept: words[6],
            bad_forward: (words[7] != u32::MAX).then_some(words[7]),
            bad_backward: words[8].checked_sub(1),
            step: words[9],
            sites: words[HEAD..].to_vec(),
        }
    }
}

/// Writes the step's row. `sites` is 0 where no masks are updated. Arguments: step scalars,
/// samples vec4[batch], ring, then with `training` the gradient norm f32[4] and health u32[2],
/// then with `sites` counts u32[sites] and kept u32[1].
///
/// # Errors
/// [`GpuError::Compile`].
pub fn record(
    compiler: &Compiler,
    batch: usize,
    training: bool,
    sites: usize,
) -> Result<Recipe, GpuError> {
    let workgroup = compiler.preset.workgroup();
    let words = row_words(sites);
    let constants = context! { batch, training, sites, workgroup, words, rows => ROWS };
    let kernel = Kernel {
        pipeline: compiler.pipeline("metrics.wgsl", "record", constants)?,
        grid: [1, 1, 1],
        cost: Cost {
            flops: 4.0 * batch as f64,
            bytes: 16.0 * batch as f64,
        },
    };
    let arguments = 3 + 2 * usize::from(training) + 2 * usize::from(sites > 0);
    Ok(Recipe::single(kernel, arguments))
}
