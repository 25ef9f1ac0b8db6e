//! Scores: where they start, and how fast they move.
//!
//! Each element has a score (`aux` in checkpoints). The mask follows it with hysteresis: a 1
//! stays while the score is above −t, a 0 becomes 1 when it is above +t. The gradient passes
//! straight through, scaled by softplus(score). The arithmetic is `shaders/indicator.wgsl`.

use crate::graph::{Layout, Tensors};
use crate::reference::random::random;

/// Purpose word of the random stream of initial scores.
const SCORES: u32 = 0x5343_4f52;

/// Scores drawn from U(0, 1), all masks 1: how a search begins.
pub fn begin(tensors: &mut Tensors, layout: &Layout, seed: u32) {
    for (index, site) in (0..).zip(&layout.sites) {
        for (element, i) in (0..).zip(site.range()) {
            // 24 bits fit an f32 exactly.
            tensors.scores[i] = (random(seed, index, element, SCORES) >> 8) as f32 / 16_777_216.0;
            tensors.mask[i] = 1.0;
        }
    }
}

/// Learning rate of the scores for a search of `steps` steps, when none is set.
///
/// Adam moves a score by about the rate in each step that all agree on, so what a score can
/// travel is about rate × steps × ½ (the cosine's mean). Scores start up to 1 away from their
/// threshold; the published 1e-3 has 78,000 steps for that (200 epochs of CIFAR at batch 128).
/// Shorter searches need a larger rate: this one lets a score travel five times that distance,
/// between the published rate and a bound well below the scores' own range.
pub fn default_rate(steps: u64) -> f32 {
    (10.0 / steps.max(1) as f32).clamp(1e-3, 2e-2)
}
