//! Twin of `shaders/dropout.wgsl`: the same draws.

use super::random::random;

/// One layer's dropout in one step.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Elements that stay or go together: 1, or those of a sample.
    pub share: usize,
    /// Share of the draws that drop.
    pub rate: f64,
    /// Seed of the run.
    pub seed: u32,
    /// Step of the phase.
    pub step: u32,
    /// Draws of the samples before the first.
    pub before: u32,
    /// Purpose word of the layer's random stream.
    pub purpose: u32,
}

impl Dropout {
    /// What is left of `x`, scaled to the same expectation. The gradient is the same function
    /// of `dy`.
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        let threshold = self.rate * 4_294_967_296.0;
        let keep = |draw: usize| {
            let draw = self.before + draw as u32;
            let bits = random(self.seed, self.step, draw, self.purpose);
            f64::from(bits) >= threshold.floor()
        };
        let mut y = Vec::with_capacity(x.len());
        for (draw, shared) in x.chunks(self.share).enumerate() {
            let factor = match keep(draw) {
                true => 1.0 / (1.0 - self.rate),
                false => 0.0,
            };
            y.extend(shared.iter().map(|x| x * factor));
        }
        y
    }
}
