//! Softmax cross-entropy with label smoothing, and distillation: `shaders/loss.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Template, Tiling, template};
use super::family::{Family, Table};
use crate::gpu::GpuError;
use minijinja::context;

const TEMPLATE: Template = template!("loss.wgsl");

pub(super) const FAMILY: Family = Family {
    name: "loss",
    templates: &[TEMPLATE],
    permutations,
};

/// What the loss is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Rows N of the batch; the first `step.count` of them count.
    pub batch: usize,
    /// Classes K.
    pub classes: usize,
    /// Whether there are teacher logits: adds the distillation term (Hinton et al. 2015).
    pub distill: bool,
    /// Whether to write the gradient; an evaluation only wants the samples.
    pub gradient: bool,
}

/// The loss `mean(ce_weight·CE + kd_weight·KD)` over the samples that count: per sample the
/// terms and hits, and with `gradient` its derivative by the logits.
///
/// Arguments, those in brackets when asked for: `step` (uniform), `logits` N×K,
/// \[`teacher` N×K\], `labels` u32 of all images, `order` u32, \[`dz` N×K\], `samples` N×4
/// (CE, KD, top-1 hit, top-5 hit). Both outputs are written in full, zeros where
/// n ≥ `step.count`. Sample n is image `order[step.first + n]`; a label must be below K.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn loss(compiler: &Compiler, spec: &Spec) -> Result<Recipe, GpuError> {
    let &Spec {
        batch,
        classes,
        distill,
        gradient,
    } = spec;
    let workgroup = match compiler.tiling {
        Tiling::Large if classes <= 128 => 64,
        tiling => tiling.workgroup(),
    };
    let constants = context! { batch, classes, distill, gradient, workgroup };
    let logits = (batch * classes) as f64;
    let matrices = 1.0 + f64::from(u8::from(distill)) + f64::from(u8::from(gradient));
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "loss", constants)?,
        grid: [batch as u32, 1, 1],
        cost: Cost {
            flops: if distill { 36.0 } else { 14.0 } * logits,
            bytes: 4.0 * matrices * logits + 24.0 * batch as f64,
        },
    };
    let arguments = 5 + usize::from(distill) + usize::from(gradient);
    Ok(Recipe::single(kernel, arguments))
}

/// Shapes and options that take every arm of the template.
fn permutations(table: &mut Table) {
    for (batch, classes) in [(1, 2), (128, 10), (128, 1000)] {
        for distill in [false, true] {
            for gradient in [false, true] {
                let spec = Spec {
                    batch,
                    classes,
                    distill,
                    gradient,
                };
                let name = format!("{batch}×{classes} distill {distill} gradient {gradient}");
                table.push("loss", name, move |c| loss(c, &spec));
            }
        }
    }
}
