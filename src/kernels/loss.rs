//! Softmax cross-entropy with label smoothing, and distillation: `shaders/loss.wgsl`.

use super::compile::{Compiler, Cost, Kernel, Recipe, Size, Template, Tiling, template};
use super::family::{Family, Table};
use super::step::StepScalars;
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
    let matrices = 1 + usize::from(distill) + usize::from(gradient);
    let kernel = Kernel {
        pipeline: compiler.pipeline(TEMPLATE, "loss", constants)?,
        grid: [batch as u32, 1, 1],
        cost: Cost {
            flops: (batch * sample_flops(spec, workgroup as usize)) as f64,
            bytes: (4 * matrices * batch * classes + 24 * batch) as f64,
        },
    };
    let logits = Size::words(batch * classes);
    let mut arguments = vec![StepScalars::SIZE, logits];
    arguments.extend(distill.then_some(logits));
    // Labels and order are those of the data set.
    arguments.extend([Size::Open; 2]);
    arguments.extend(gradient.then_some(logits));
    arguments.push(Size::words(4 * batch));
    Ok(Recipe::single(kernel, arguments))
}

/// Flops of a sample that counts, by as many lanes as share it.
fn sample_flops(spec: &Spec, lanes: usize) -> usize {
    // Sums of a logit, numbers of the tree, what lane 0 does, and the gradient of a logit.
    let (sums, tree, terms, slope) = match spec.distill {
        true => (17, 6, 16, 21),
        false => (6, 3, 8, 9),
    };
    let maxima = 2 * spec.classes.saturating_sub(lanes) + 2 * (lanes - 1);
    let sums = sums * spec.classes + tree * (lanes - 1) + terms;
    // Every lane works out the spread of the label, and the share of a sample.
    let gradient = usize::from(spec.gradient) * (slope * spec.classes + lanes);
    maxima + sums + lanes + gradient
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
