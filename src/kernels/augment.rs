//! Gathers a batch from byte images on the device and augments it: `shaders/augment.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Size, Template, Tiling, template, vector_width,
};
use super::family::{Family, Table};
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::context;
use std::ops::Range;

const TEMPLATE: Template = template!("augment.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "augment",
    templates: &[TEMPLATE],
    permutations,
};

/// What a batch is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Samples N of the batch; the first `step.count` of them count.
    pub batch: usize,
    /// Image height H.
    pub height: usize,
    /// Image width W.
    pub width: usize,
    /// Images of the data set that the buffer holds.
    pub chunk: Range<u32>,
    /// Whether this chunk's kernel also zeroes the samples past `step.count`. Exactly one
    /// kernel of a data set does.
    pub first_chunk: bool,
    /// Mean of each channel, in 0…1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, in 0…1.
    pub std: [f32; 3],
    /// Black pixels around the image before a random crop of its own size; 0: no crop.
    pub pad: u32,
    /// Whether every other image is mirrored.
    pub flip: bool,
    /// Side of the square hole around a random pixel, clipped at the edges; 0: no hole.
    pub cutout: u32,
}

/// Gathers and augments a batch. Crop, flip and hole are drawn from `step.seed`,
/// `step.epoch` and the image's index, and left out where `step.augment` is 0.
///
/// Arguments: `step` (uniform), `order` u32 (sample n shows image `order[step.first + n]`),
/// `images` (bytes N×3×H×W in u32 words, image i of the chunk at byte
/// `(i − chunk.start)·3·H·W`), `x` N×3×H×W: samples of this chunk are written, and zeros past
/// `step.count` by the first chunk; the rest is left to the other chunks.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn augment(compiler: &Compiler, spec: &Spec) -> Result<Recipe, GpuError> {
    let width = vector_width(spec.width);
    let workgroup = compiler.tiling.workgroup() as usize;
    let elements = 3 * spec.height * spec.width;
    // What is drawn for a sample is drawn by each of its invocations: on a CPU let them
    // do a whole small image, on a GPU enough to hide it.
    let turns = match compiler.tiling {
        Tiling::Cpu { .. } => 256,
        _ => 4,
    };
    let slices = (elements / width).div_ceil(workgroup * turns);
    let constants = context! {
        width, workgroup, slices,
        batch => spec.batch, height => spec.height, image_width => spec.width,
        chunk_start => spec.chunk.start, chunk_images => spec.chunk.len(),
        first_chunk => spec.first_chunk, mean => spec.mean.to_vec(), std => spec.std.to_vec(),
        pad => spec.pad, flip => spec.flip, cutout => spec.cutout,
    };
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "augment", constants)?,
        grid: [slices as u32, spec.batch as u32, 1],
        cost: Cost {
            flops: 2.0 * (spec.batch * elements) as f64,
            // A byte becomes a number; of each sample the order tells the image.
            bytes: (5 * spec.batch * elements + 4 * spec.batch) as f64,
        },
    };
    let images = Size::words((spec.chunk.len() * elements).div_ceil(4));
    let x = Size::words(spec.batch * elements);
    Ok(Recipe::single(
        kernel,
        vec![StepScalars::SIZE, Size::Open, images, x],
    ))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    let square = |batch, side, pad, flip, cutout, chunk: std::ops::Range<u32>| Spec {
        batch,
        height: side,
        width: side,
        first_chunk: chunk.start == 0,
        chunk,
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2470, 0.2435, 0.2616],
        pad,
        flip,
        cutout,
    };
    for spec in [
        square(128, 32, 4, true, 8, 0..40_000),
        square(128, 32, 4, true, 0, 40_000..50_000),
        square(128, 32, 0, false, 0, 0..10_000),
        square(3, 7, 0, false, 3, 0..5),
        square(3, 7, 1, true, 0, 5..9),
    ] {
        let shape = format!(
            "{}×3×{}×{} of {:?}, pad {} flip {} cutout {}",
            spec.batch, spec.height, spec.width, spec.chunk, spec.pad, spec.flip, spec.cutout
        );
        table.push("augment", shape, move |c| augment(c, &spec));
    }
}
