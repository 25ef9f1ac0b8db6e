//! The scalars of one step, in one small uniform buffer that all kernels share.
//!
//! [`StepScalars`] mirrors `struct Step` of `shaders/common/step.wgsl` word for word; a test
//! compares the two.

use super::compile::Size;
use bytemuck::{Pod, Zeroable};

/// Scalars that change from step to step. Groups of parameters have a rate and a decay of
/// their own, in the order weight, norm, bias, polynomial (see `graph::ParamKind`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct StepScalars {
    /// Learning rate per parameter group.
    pub rate: [f32; 4],
    /// Weight decay per parameter group.
    pub decay: [f32; 4],
    /// Steps taken so far in this phase, counted from 0.
    pub step: u32,
    /// Seed of everything random on the device.
    pub seed: u32,
    /// Epoch, part of the random streams.
    pub epoch: u32,
    /// Position in the order buffer of the batch's first sample.
    pub first: u32,
    /// Samples of the batch that count; the rest is padding.
    pub count: u32,
    /// 0: images as they are (evaluation); 1: crop, flip and cutout at random; 2: the same, but
    /// each image is mirrored in every other epoch.
    pub augment: u32,
    /// Bit 0: refit the polynomials to the moments in this step; bit 1: the moments start anew
    /// with this batch.
    pub refit: u32,
    /// What ReLUs and squares of all sites may cost: for the paper's objective, the number of
    /// ReLUs.
    pub budget: f32,
    /// Momentum of SGD, or β₁ of Adam.
    pub beta1: f32,
    /// β₂ of Adam.
    pub beta2: f32,
    /// 1 − β₁ᵗ, the bias correction of Adam's first moment.
    pub correction1: f32,
    /// 1 − β₂ᵗ.
    pub correction2: f32,
    /// ε of Adam.
    pub epsilon: f32,
    /// Largest global gradient norm; 0 switches clipping off.
    pub clip: f32,
    /// Learning rate of the scores.
    pub score_rate: f32,
    /// Hysteresis threshold t.
    pub threshold: f32,
    /// λ divided by the cost of the network with all its ReLUs: times a price, the penalty's
    /// gradient on a mask element.
    pub penalty: f32,
    /// Weight of cross-entropy in the loss.
    pub ce_weight: f32,
    /// Weight of distillation in the loss.
    pub kd_weight: f32,
    /// Distillation temperature T.
    pub temperature: f32,
    /// Label smoothing ε.
    pub smoothing: f32,
    /// Weight of the newest batch in the running moments and statistics.
    pub momentum: f32,
    /// Lookahead: pull of the slow weights, 0 in steps without a synchronisation.
    pub lookahead: f32,
    /// Weight averaging: weight of the newest parameters, 0 when off.
    pub averaging: f32,
    /// Weight of the penalty on what polynomials are given from too far away, 0 when off.
    pub range_weight: f32,
    /// How far is too far, in standard deviations.
    pub range_limit: f32,
    /// How far one batch moves the running statistics of batch norms at most, as if it had so many
    /// times their variance; 0: no limit.
    pub statistics_limit: f32,
    /// What a uniform buffer's size wants.
    pub unused: f32,
}

impl StepScalars {
    /// As an argument of a recipe.
    pub(super) const SIZE: Size = Size::Bytes(size_of::<Self>() as u64);
}

impl Default for StepScalars {
    fn default() -> Self {
        Self {
            momentum: 0.1,
            temperature: 4.0,
            ce_weight: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            correction1: 1.0,
            correction2: 1.0,
            epsilon: 1e-8,
            ..Self::zeroed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StepScalars;
    use std::mem::offset_of;

    macro_rules! members {
        ($($name:ident)*) => {
            vec![$((stringify!($name).to_owned(), offset_of!(StepScalars, $name))),*]
        };
    }

    #[test]
    fn the_shader_sees_the_same_scalars() {
        let source = minijinja::render!(include_str!("../../shaders/common/step.wgsl"));
        let module = naga::front::wgsl::parse_str(&source).expect("step.wgsl parses");
        let (_, step) = module.types.iter().next_back().expect("a type");
        let naga::TypeInner::Struct { members, span } = &step.inner else {
            panic!("`Step` is a struct");
        };
        let shader: Vec<(String, usize)> = members
            .iter()
            .map(|m| (m.name.clone().unwrap_or_default(), m.offset as usize))
            .collect();
        let host = members! {
            rate decay step seed epoch first count augment refit budget beta1 beta2 correction1
            correction2 epsilon clip score_rate threshold penalty ce_weight kd_weight temperature
            smoothing momentum lookahead averaging range_weight range_limit statistics_limit unused
        };
        assert_eq!(shader, host);
        assert_eq!(*span as usize, size_of::<StepScalars>());
    }
}
