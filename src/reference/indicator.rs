//! Twin of `shaders/indicator.wgsl`.

use std::ops::Range;

/// ln(1 + eˣ).
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The mask after a step, from the mask before and the score: a 1 stays while `score > −t`, a 0
/// becomes 1 when `score > +t`.
pub fn hysteresis(mask: bool, score: f64, threshold: f64) -> bool {
    score > if mask { -threshold } else { threshold }
}

/// Straight-through gradient of a score from the mask's gradient, with the penalty's share.
pub fn score_gradient(score: f64, mask_gradient: f64, penalty: f64) -> f64 {
    softplus(score) * (mask_gradient + penalty)
}

/// A score with its averages of the gradient and its square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The score.
    pub value: f64,
    /// Adam's first moment.
    pub first: f64,
    /// Adam's second moment.
    pub second: f64,
}

/// Adam's constants in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub rate: f64,
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    pub corrections: [f64; 2],
    /// ε.
    pub epsilon: f64,
}

impl Score {
    /// A step of Adam along the gradient `g`.
    pub fn step(self, g: f64, adam: &Adam) -> Self {
        let [b1, b2] = adam.betas;
        let first = b1 * self.first + (1.0 - b1) * g;
        let second = b2 * self.second + (1.0 - b2) * g * g;
        let root = (second / adam.corrections[1]).sqrt() + adam.epsilon;
        Self {
            value: self.value - adam.rate * (first / adam.corrections[0]) / root,
            first,
            second,
        }
    }

    /// Fisher information: what the loss would rise by to second order, `½·E[g²]`, for each unit of
    /// cost saved.
    pub fn fisher(self, g: f64, cost: f64, adam: &Adam) -> Self {
        let second = adam.betas[1] * self.second + (1.0 - adam.betas[1]) * g * g;
        Self {
            value: second / adam.corrections[1] / (2.0 * cost),
            second,
            ..self
        }
    }

    /// What the loss would rise by, slope and curvature, for each unit of cost saved. `images` of a
    /// batch have the mean gradient g, so that the variance of g is their own over their number.
    pub fn taylor(self, g: f64, cost: f64, rate: f64, images: f64) -> Self {
        let first = self.first + rate * (g - self.first);
        let second = self.second + rate * (g * g - self.second);
        let curvature = images * (second - first * first).max(0.0);
        Self {
            value: (0.5 * curvature - first) / cost,
            first,
            second,
        }
    }
}

/// Every element of a group gets the mean of the group; groups are disjoint.
pub fn share(gradient: &mut [f64], groups: &[Range<usize>]) {
    for group in groups {
        let sum: f64 = gradient[group.clone()].iter().sum();
        let mean = sum / group.len() as f64;
        gradient[group.clone()].fill(mean);
    }
}
