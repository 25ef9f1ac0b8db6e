//! Dropout of elements or of whole samples: `shaders/dropout.wgsl`.

use super::compile::{
    Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template, vector_width,
};
use super::family::{Family, Table};
use super::step::StepScalars;
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("dropout.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "dropout",
    templates: &[TEMPLATE],
    permutations,
};

/// What is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    /// Samples.
    pub batch: usize,
    /// Elements of all samples.
    pub length: usize,
    /// Elements that stay or go together: 1, or those of a sample.
    pub share: usize,
    /// Share of the draws that drop, 0…1 without 1.
    pub rate: f32,
    /// Which layer draws: no two draw the same.
    pub layer: u32,
}

impl Spec {
    /// Draws below this drop.
    pub fn threshold(&self) -> u32 {
        // Saturates; a rate below 1 leaves something to be kept.
        (f64::from(self.rate) * 4_294_967_296.0) as u32
    }

    /// Draws of a sample.
    pub fn draws(&self) -> usize {
        self.length / self.batch / self.share
    }

    /// Purpose word of the layer's random stream; augmentation's are small numbers.
    pub fn purpose(&self) -> u32 {
        0x4452_0000 + self.layer
    }
}

/// `y` = dropped `x`, which is its own gradient rule. Arguments: step scalars, `x`, `y` (written
/// in full); with `in_place` `x` becomes `y` and the last argument is left out.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn dropout(compiler: &Compiler, spec: &Spec, in_place: bool) -> Result<Recipe, GpuError> {
    let width = vector_width(spec.share);
    let vectors = spec.length / width;
    let stream = Stream::over(compiler.tiling, vectors);
    let constants = stream.with(context! {
        width, vectors, in_place,
        share => spec.share,
        draws => spec.draws(),
        scale => 1.0 / (1.0 - f64::from(spec.rate)),
        threshold => spec.threshold(),
        purpose => spec.purpose(),
    });
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "dropout", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: spec.length as f64,
            bytes: 8.0 * spec.length as f64,
        },
    };
    let tensors = if in_place { 1 } else { 2 };
    let mut arguments = vec![StepScalars::SIZE];
    arguments.extend(vec![Size::words(spec.length); tensors]);
    Ok(Recipe::single(kernel, arguments))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for (length, share) in [(128 * 1408, 1), (128 * 88 * 196, 88 * 196), (21, 7)] {
        for in_place in [false, true] {
            let spec = Spec {
                batch: 1,
                length,
                share,
                rate: 0.2,
                layer: 3,
            };
            let name = format!("{length} by {share}, in_place {in_place}");
            table.push("dropout", name, move |c| dropout(c, &spec, in_place));
        }
    }
}
